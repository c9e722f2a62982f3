"""Who goes first on the one thread: requests, then the cluster's own work, which never starves."""

from __future__ import annotations

import asyncio
import time

# Who asks again and again does so within this time; own work waits for a longer pause than that,
_PAUSE_S = 0.002
# and takes a step without one after this time.
_LONGEST_S = 0.050


class Turns:
    """Knows when requests follow each other, so that the cluster's own work lets them go first.

    One that comes alone is answered between two steps and holds up nothing.
    """

    def __init__(self) -> None:
        self._asked_at = 0.0
        self._held_until = 0.0

    def request(self) -> None:
        """A request is being answered."""
        now = time.monotonic()
        if now - self._asked_at < _PAUSE_S:
            self._held_until = now + _PAUSE_S
        self._asked_at = now

    async def next(self) -> None:
        """Until requests have stopped for a moment, or it has been long enough."""
        latest = time.monotonic() + _LONGEST_S
        await asyncio.sleep(0)
        while (left_s := min(self._held_until, latest) - time.monotonic()) > 0:
            await asyncio.sleep(left_s)
