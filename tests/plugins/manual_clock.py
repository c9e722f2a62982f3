"""A clock that stands until it is told to go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class ManualTimer:
    """A call that is to come."""

    def __init__(self, due: datetime, call: Callable[[], None]) -> None:
        self.due = due
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """Time as a test wants it; what is due is called when the time is moved past it."""

    def __init__(self, now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC).replace(microsecond=0)
        self.timers: list[ManualTimer] = []

    def now(self) -> datetime:
        return self._now

    def call_later(self, delay_s: float, call: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(self._now + timedelta(seconds=delay_s), call)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self.move_to(self._now + timedelta(seconds=seconds))

    def move_to(self, moment: datetime) -> None:
        while due := [t for t in self.timers if not t.cancelled and t.due <= moment]:
            first = min(due, key=lambda timer: timer.due)
            self.timers.remove(first)
            self._now = max(self._now, first.due)
            first.call()
        self.timers = [t for t in self.timers if not t.cancelled]
        self._now = max(self._now, moment)
