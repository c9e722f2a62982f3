"""When a request is sent again, and after how long. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

LONGEST_WAIT_S = 30.0
FIRST_WAIT_S = 0.25


class Patience(msgspec.Struct, frozen=True):
    """How long a call may take: seconds to connect and to read, tries, seconds for all tries.

    `quiet_s`: so long the server may be away before that is told.
    """

    connect_s: float = 5.0
    read_s: float = 30.0
    tries: int = 4
    budget_s: float = 45.0
    quiet_s: float = 5.0


HURRIED = Patience(connect_s=0.5, read_s=1.0, tries=1, budget_s=1.5)
"""For shell completion: better nothing than late."""


def worth_repeating(code: int, *, repeatable: bool, retry_after: str | None) -> bool:
    """Whether an answer with HTTP status `code` is worth another try.

    `repeatable`: doing it twice does no harm. Of the others, only what the server has surely not
    begun is sent again: it refused with 429, or named a time to come back.
    """
    if code == 429:
        return True
    if code < 500 or code in (501, 505):
        return False
    return repeatable or retry_after is not None


def wait_s(attempt: int, retry_after: str | None, chance: float, now: datetime) -> float:
    """Seconds before try `attempt` + 1 (the first try is 0).

    What the server asks for, else doubling from a quarter of a second; `chance` (0 to 1) spreads
    many clients over half of it.
    """
    asked = _seconds(retry_after, now)
    if asked is not None:
        return min(asked + 0.1 * chance, LONGEST_WAIT_S)
    pause = FIRST_WAIT_S * 2.0 ** min(attempt, 10)
    return min(pause, LONGEST_WAIT_S) * (0.5 + 0.5 * chance)


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Retry-After as seconds from now: a number, or a date."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
