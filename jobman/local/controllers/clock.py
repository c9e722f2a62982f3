"""The time, and a call at a later one: what controllers wait by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Do not make it."""


class Clock(Protocol):
    """What time it is, and when to call back."""

    def now(self) -> datetime:
        """This moment, in UTC."""

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, in a while."""


class SystemClock:
    """The machine's own."""

    def now(self) -> datetime:
        """This moment, in UTC."""
        return datetime.now(UTC)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, in a while, on the running loop."""
        return asyncio.get_running_loop().call_later(delay_s, call)
