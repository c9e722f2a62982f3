"""A queue of keys to look at, and the loop of a controller around it.

A key waits once however often it is added; one that fails comes back after a growing pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from jobman.local.api.registry import Registry
from jobman.local.controllers.clock import Clock, SystemClock, Timer
from jobman.local.stored import Change

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 60.0
# Who asks for a look after the end of the calendar has one a day.
LATEST_LOOK_S = 86400.0


class WorkQueue(Generic[K]):
    """Keys in the order in which they came, each once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[K] = deque()
        self._known: set[K] = set()
        self._timers: dict[K, tuple[datetime, Timer]] = {}
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K) -> None:
        """Look at `key` soon."""
        if key not in self._known:
            self._known.add(key)
            self._waiting.append(key)
            self._wake.set()

    def add_after(self, key: K, delay_s: float) -> None:
        """Look at `key` in a while; an earlier time that is set already stays."""
        wait_s = min(max(delay_s, 0), LATEST_LOOK_S)
        due = self._clock.now() + timedelta(seconds=wait_s)
        known = self._timers.get(key)
        if known is not None:
            if known[0] <= due:
                return
            known[1].cancel()
        timer = self._clock.call_later(wait_s, lambda: self._due(key))
        self._timers[key] = (due, timer)

    def retry(self, key: K) -> None:
        """Look at `key` again after a pause that doubles each time."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        self.add_after(key, min(FIRST_PAUSE_S * 2.0 ** min(count, 30), LONGEST_PAUSE_S))

    def succeeded(self, key: K) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for the next key; who looks at it now says anew when to look again."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        key = self._waiting.popleft()
        self._known.discard(key)
        if key in self._timers:
            self._timers.pop(key)[1].cancel()
        return key

    def close(self) -> None:
        """Stop all timers."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)


class Controller(Generic[K]):
    """Makes the world as the objects say, key by key.

    A subclass names the `resources` it follows, turns a change into keys (`keys_of`) and brings
    one key in order (`sync`), which returns after how many seconds to look again, or None.
    """

    resources: tuple[str, ...] = ()

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        self.registry = registry
        self.clock: Clock = clock or SystemClock()
        self.queue: WorkQueue[K] = WorkQueue(self.clock)

    def keys_of(self, change: Change) -> list[K]:
        """The keys that a change is about. It must neither raise nor write."""
        raise NotImplementedError

    async def sync(self, key: K) -> float | None:
        """Bring one key in order."""
        raise NotImplementedError

    def begin(self) -> None:
        """Forget everything and look at all there is, as if it were new."""
        for resource in self.resources:
            for record in self.registry.store.list(resource):
                self._changed(Change("ADDED", record.rv, record, None))

    def start(self) -> Callable[[], None]:
        """Take up what there is and what changes; returns how to end that."""
        self.queue = WorkQueue(self.clock)
        unsubscribe = self.registry.store.subscribe(self._changed, *self.resources)
        self.begin()

        def stop() -> None:
            unsubscribe()
            self.queue.close()

        return stop

    async def run(self) -> None:
        """Look at everything there is, then at what changes, until cancelled."""
        stop = self.start()
        try:
            while True:
                await self.step()
                # Requests and the other parts of the cluster have their turn in between.
                await self.registry.turns.next()
        finally:
            stop()

    async def step(self) -> None:
        """Wait for the next key and bring it in order; a failure is logged and tried again."""
        key = await self.queue.get()
        try:
            again_s = await self.sync(key)
        except Exception:
            log.exception("%s: %s", type(self).__name__, key)
            self.queue.retry(key)
            return
        self.queue.succeeded(key)
        if again_s is not None:
            self.queue.add_after(key, again_s)

    def _changed(self, change: Change) -> None:
        for key in self.keys_of(change):
            self.queue.add(key)
