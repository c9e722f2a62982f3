"""Who goes first on the one thread: requests, then the cluster's own work, which never starves."""

from __future__ import annotations

import asyncio
import time

# Who asks again and again does so within this time; own work waits for a longer pause than that,
_PAUSE_S = 0.002
# and takes a step without one after this time.
_LONGEST_S = 0.050


class Turns:
    """Knows when a request came last, so that the cluster's own work can let them go first."""

    def __init__(self) -> None:
        self._asked_at = 0.0

    def request(self) -> None:
        """A request is being answered."""
        self._asked_at = time.monotonic()

    async def next(self) -> None:
        """Until nobody has asked for a moment, or it has been long enough."""
        latest = time.monotonic() + _LONGEST_S
        await asyncio.sleep(0)
        while (left_s := min(self._asked_at + _PAUSE_S, latest) - time.monotonic()) > 0:
            await asyncio.sleep(left_s)
