"""A queue of keys to look at, and the loop of a controller around it.

A key waits once however often it is added; one that fails comes back after a growing pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from jobman.local.api.registry import Registry
from jobman.local.store import Change

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 60.0


class WorkQueue(Generic[K]):
    """Keys in the order in which they came, each once."""

    def __init__(self) -> None:
        self._waiting: deque[K] = deque()
        self._known: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        """Look at `key` soon."""
        if key not in self._known:
            self._known.add(key)
            self._waiting.append(key)
            self._wake.set()

    def add_after(self, key: K, delay_s: float) -> None:
        """Look at `key` in a while; an earlier time that is set already stays."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(delay_s, 0)
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def retry(self, key: K) -> None:
        """Look at `key` again after a pause that doubles each time."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        self.add_after(key, min(_FIRST_PAUSE_S * 2**count, _LONGEST_PAUSE_S))

    def succeeded(self, key: K) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for the next key."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        key = self._waiting.popleft()
        self._known.discard(key)
        return key

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def close(self) -> None:
        """Stop all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


class Controller(Generic[K]):
    """Makes the world as the objects say, key by key.

    A subclass names the `resources` it follows, turns a change into keys (`keys_of`) and brings
    one key in order (`sync`), which returns after how many seconds to look again, or None.
    """

    resources: tuple[str, ...] = ()

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.queue: WorkQueue[K] = WorkQueue()

    def keys_of(self, change: Change) -> list[K]:
        """The keys that a change is about."""
        raise NotImplementedError

    def sync(self, key: K) -> float | None:
        """Bring one key in order."""
        raise NotImplementedError

    async def run(self) -> None:
        """Look at everything there is, then at what changes, until cancelled."""
        self.queue = WorkQueue()
        unsubscribe = self.registry.store.subscribe(self._changed, *self.resources)
        try:
            self._begin()
            while True:
                self._look_at(await self.queue.get())
                await asyncio.sleep(0)
        finally:
            unsubscribe()
            self.queue.close()

    def _begin(self) -> None:
        for resource in self.resources:
            for record in self.registry.store.list(resource):
                self._changed(Change("ADDED", record.rv, record, None))

    def _changed(self, change: Change) -> None:
        for key in self.keys_of(change):
            self.queue.add(key)

    def _look_at(self, key: K) -> None:
        try:
            again_s = self.sync(key)
        except Exception:
            log.exception("%s: %s", type(self).__name__, key)
            self.queue.retry(key)
            return
        self.queue.succeeded(key)
        if again_s is not None:
            self.queue.add_after(key, again_s)
