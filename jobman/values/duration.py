"""Durations and points in time, in and out."""

from __future__ import annotations

import re
from datetime import UTC, datetime

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
_UNITS_S = {"s": 1, "m": MINUTE_S, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S}
_PARTS = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])", re.ASCII)
_SLURM = re.compile(r"(?:(?P<d>\d+)-)?(?P<h>\d+)(?::(?P<m>\d{1,2})(?::(?P<s>\d{1,2}))?)?", re.ASCII)
LONGEST_S = 100 * 365 * DAY_S
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


class TooLongError(ValueError):
    """A duration, but longer than anybody waits."""


def parse_duration(text: str) -> float:
    """Seconds of `90`, `2h30m`, `7d`, or Slurm's `D-HH`, `D-HH:MM:SS` and `HH:MM:SS`.

    Raises ValueError with a plain reason.
    """
    seconds = _seconds(text.strip())
    if seconds is None:
        raise ValueError(f"'{text}' is no duration (like 90, 45s, 2h30m, 7d or 1-02:30:00)")
    if seconds > LONGEST_S:
        raise TooLongError(f"'{text}' is longer than a hundred years")
    return seconds


def _seconds(text: str) -> float | None:
    if re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII):
        return float(text)
    if _PARTS.fullmatch(text):
        return sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    slurm = _SLURM.fullmatch(text)
    if slurm is None or int(slurm["m"] or 0) > 59 or int(slurm["s"] or 0) > 59:
        return None
    days, hours, minutes, rest = (int(slurm[part] or 0) for part in "dhms")
    if slurm["d"] is None and slurm["s"] is None:
        return hours * MINUTE_S + minutes  # Slurm reads A:B as minutes and seconds
    return days * DAY_S + hours * HOUR_S + minutes * MINUTE_S + rest


def format_age(seconds: float) -> str:
    """A duration as kubectl writes it: `45s`, `3m12s`, `17m`, `5h2m`, `26h`, `2d3h`, `12d`."""
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole >= -2 else "<invalid>"
    if whole < 2 * MINUTE_S:
        return f"{whole}s"
    minutes, hours, days = whole // MINUTE_S, whole // HOUR_S, whole // DAY_S
    if minutes < 10:
        return _two(minutes, "m", whole % MINUTE_S, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


def format_rfc3339(moment: datetime) -> str:
    """A point in time in UTC: `2026-11-21T02:32:52Z`, with microseconds where it has some."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds" if utc.microsecond else "seconds") + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The point in time that `text` writes, to the microsecond. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no RFC 3339 time")
    date, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    return datetime.fromisoformat(f"{date}T{clock}{(fraction or '')[:7]}{zone}")
