"""Requests go first, and the cluster's own work does not starve."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from jobman.local import turns as own
from jobman.local.turns import Turns


async def _seconds(turns: Turns) -> float:
    start = time.monotonic()
    await turns.next()
    return time.monotonic() - start


def test_with_nobody_asking_the_next_turn_comes_at_once() -> None:
    order = []

    async def main() -> None:
        turns = Turns()
        asyncio.get_running_loop().call_soon(order.append, "another part")
        await turns.next()
        order.append("this part")

    asyncio.run(main())
    assert order == ["another part", "this part"]


def test_after_requests_work_waits_for_a_pause() -> None:
    async def main() -> float:
        turns = Turns()
        turns.request()
        turns.request()
        return await _seconds(turns)

    assert asyncio.run(main()) >= 0.002


def test_one_request_alone_holds_up_nothing() -> None:
    async def main() -> list[float]:
        turns, times = Turns(), []
        for _ in range(5):
            turns.request()
            times.append(await _seconds(turns))
            await asyncio.sleep(0.005)
        return times

    assert min(asyncio.run(main())) < 0.002


def test_in_a_rush_without_end_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    turns = Turns()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 1000
        turns.request()
        turns.request()

    monkeypatch.setattr(own, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(own, "time", SimpleNamespace(monotonic=lambda: sum(waits)))
    asyncio.run(turns.next())
    assert sum(waits) == pytest.approx(0.050)
