"""Moments as objects carry them: Kubernetes' Time and MicroTime, always in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH, _SECOND = datetime.fromtimestamp(0, UTC), timedelta(seconds=1)


def now() -> str:
    """This moment, to the second."""
    return _stamp(int(time.time()))


def stamp(moment: datetime) -> str:
    """A moment to the second: `2026-11-21T02:32:52Z`."""
    return _stamp((moment - _EPOCH) // _SECOND)


def stamp_ns(nanoseconds: int) -> str:
    """A moment in nanoseconds since 1970, to the second."""
    return _stamp(nanoseconds // 1_000_000_000)


# Most that is written is of this very second, or of the last one.
@lru_cache(maxsize=4)
def _stamp(seconds: int) -> str:
    moment = time.gmtime(seconds)
    return f"{moment.tm_year:04}" + time.strftime("-%m-%dT%H:%M:%SZ", moment)  # %Y may be `1`


@lru_cache(maxsize=64)
def seconds_of(text: str) -> float:
    """The seconds since 1970 of a moment as objects carry it."""
    return datetime.fromisoformat(text).timestamp()


def micro_stamp(moment: datetime) -> str:
    """A moment to the microsecond: `2026-11-21T02:32:52.000000Z`."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds") + "Z"
