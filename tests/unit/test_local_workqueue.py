"""Keys waiting to be looked at, and the loop around them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from plugins.local_registry import config_map
from plugins.manual_clock import ManualClock

from jobman.local.api.registry import Registry
from jobman.local.controllers.workqueue import (
    FIRST_PAUSE_S,
    LATEST_LOOK_S,
    Controller,
    WorkQueue,
)
from jobman.local.stored import Change


def drained(queue: WorkQueue[str]) -> list[str]:
    async def take() -> list[str]:
        return [await queue.get() for _ in range(len(queue))]

    return asyncio.run(take())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_key_waits_once_and_in_order(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    for key in ("b", "a", "b"):
        queue.add(key)
    assert drained(queue) == ["b", "a"]
    queue.add("b")
    assert drained(queue) == ["b"]


@pytest.mark.parametrize("delays", [[5, 9], [9, 5]], ids=["first", "second"])
def test_the_earliest_time_counts(clock: ManualClock, delays: list[float]) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    for delay_s in delays:
        queue.add_after("a", delay_s)
    clock.advance(4.9)
    assert len(queue) == 0
    clock.advance(0.1)
    assert drained(queue) == ["a"]
    clock.advance(100)
    assert len(queue) == 0


def test_a_time_that_is_past_is_now(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", -3)
    clock.advance(0)
    assert drained(queue) == ["a"]


def test_a_time_beyond_any_calendar_is_looked_at_now_and_then(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 2**63 - 1)
    clock.advance(3600)
    assert len(queue) == 0
    clock.advance(LATEST_LOOK_S)
    assert drained(queue) == ["a"]


def test_pauses_double_until_it_works(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    pauses = []
    for _ in range(14):
        queue.retry("a")
        before = clock.now()
        while not len(queue):
            clock.advance(0.05)
        pauses.append(round((clock.now() - before).total_seconds(), 2))
        drained(queue)
    assert pauses[:4] == [0.05, 0.1, 0.2, 0.4]
    assert pauses[-1] == 60.0
    queue.succeeded("a")
    queue.retry("a")
    clock.advance(0.05)
    assert len(queue) == 1


class Watcher(Controller[str]):
    """Notes the ConfigMaps that it is told to look at; the first looks fail."""

    resources = ("configmaps",)
    failures = 0

    def keys_of(self, change: Change) -> list[str]:
        return [change.record.key.name]

    async def sync(self, key: str) -> float | None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not now")
        seen.append(key)
        return None


seen: list[str] = []


def test_a_failure_is_logged_and_tried_again(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    seen.clear()
    registry.create("configmaps", "default", config_map("before"))
    watcher = Watcher(registry)
    watcher.failures = 2

    async def play() -> None:
        task = asyncio.create_task(watcher.run())
        await asyncio.sleep(0)
        registry.create("configmaps", "default", config_map("after"))
        while len(seen) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with caplog.at_level(logging.ERROR):
        asyncio.run(asyncio.wait_for(play(), 30))
    assert sorted(seen) == ["after", "before"]
    assert len([r for r in caplog.records if "not now" in str(r.exc_info)]) == 2


def test_what_works_again_is_forgiven_its_failures(registry: Registry, clock: ManualClock) -> None:
    watcher: Any = Watcher(registry, clock=clock)
    stop = watcher.start()

    async def look() -> None:
        watcher.queue.add("a")
        await watcher.step()

    for failures in (3, 0, 1):
        watcher.failures = failures
        for _ in range(max(failures, 1)):
            asyncio.run(look())
    assert len(watcher.queue) == 0
    clock.advance(FIRST_PAUSE_S)
    assert len(watcher.queue) == 1
    stop()


def test_a_controller_that_ended_looks_at_nothing_later(
    registry: Registry, clock: ManualClock
) -> None:
    watcher: Any = Watcher(registry, clock=clock)
    stop = watcher.start()
    watcher.queue.add_after("a", 5)
    stop()
    clock.advance(5)
    assert len(watcher.queue) == 0


def test_a_controller_that_ended_is_told_nothing_more(registry: Registry) -> None:
    watcher: Any = Watcher(registry)
    stop = watcher.start()
    stop()
    registry.create("configmaps", "default", config_map("late"))
    assert len(watcher.queue) == 0


def test_who_looks_now_says_anew_when_to_look_again(clock: ManualClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 5)
    queue.add("a")
    assert drained(queue) == ["a"]
    clock.advance(100)
    assert len(queue) == 0
