"""Moments as objects carry them: Kubernetes' Time and MicroTime, always in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def now() -> str:
    """This moment, to the second."""
    return stamp(time.time())


def stamp(seconds: float) -> str:
    """A moment in seconds since 1970, to the second: `2026-11-21T02:32:52Z`."""
    return _stamp(int(seconds))


# Most that is written is of this very second, or of the last one.
@lru_cache(maxsize=4)
def _stamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def micro_stamp(moment: datetime) -> str:
    """A moment to the microsecond: `2026-11-21T02:32:52.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
