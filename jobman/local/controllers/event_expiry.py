"""The end of events: an hour after they were written last, or when there are too many."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any

from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError
from jobman.local.controllers.clock import Clock, SystemClock, Timer
from jobman.local.stored import Change, Key

Object = dict[str, Any]

KEPT_S = 3600.0
KEPT_MOST = 20_000
_AT_ONCE = 100
_PAUSE_S = 1.0


class EventExpiry:
    """Takes the oldest events away; one timer is set, for the oldest of all."""

    def __init__(
        self, registry: Registry, *, clock: Clock | None = None, most: int = KEPT_MOST
    ) -> None:
        self._registry = registry
        self._clock: Clock = clock or SystemClock()
        self._most = most
        self._ends: OrderedDict[Key, datetime] = OrderedDict()
        self._wake = asyncio.Event()
        self._timer: Timer | None = None

    async def run(self) -> None:
        """Wait for the oldest event's end, until cancelled."""
        unsubscribe = self._registry.store.subscribe(self._changed, "events")
        try:
            self._begin()
            while True:
                await self._expire()
                self._set_timer()
                await self._wake.wait()
                self._wake.clear()
        finally:
            unsubscribe()
            if self._timer is not None:
                self._timer.cancel()

    def _begin(self) -> None:
        now, kept = self._clock.now(), timedelta(seconds=KEPT_S)
        found = [(_last(r.object()), r.key) for r in self._registry.store.list("events")]
        ends = ((key, min(last, now) + kept) for last, key in sorted(found))
        self._ends = OrderedDict(ends)

    def _changed(self, change: Change) -> None:
        key = change.record.key
        if change.type == "DELETED":
            self._ends.pop(key, None)
            return
        self._ends[key] = self._clock.now() + timedelta(seconds=KEPT_S)
        self._ends.move_to_end(key)
        if len(self._ends) > self._most or self._timer is None:
            self._wake.set()

    async def _expire(self) -> None:
        count = 0
        while self._ends:
            key, end = next(iter(self._ends.items()))
            if end > self._clock.now() and len(self._ends) <= self._most:
                return
            if not self._delete(key):
                return
            count += 1
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _delete(self, key: Key) -> bool:
        """Whether it is gone; a full disk may not let it."""
        try:
            self._registry.delete(*key)
        except ApiError as error:
            if error.code != 404:
                return False
        self._ends.pop(key, None)
        return True

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ends:
            end = next(iter(self._ends.values()))
            left_s = (end - self._clock.now()).total_seconds()
            self._timer = self._clock.call_later(max(left_s, _PAUSE_S), self._wake.set)


def _last(event: Object) -> datetime:
    """When the event happened last."""
    series = event.get("series") or {}
    text = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return datetime.fromisoformat(text or event["metadata"]["creationTimestamp"])
