"""What a request's query says, read as Kubernetes reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobman.local.api import status

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_MOST = 2**63 - 1


def flag(query: Mapping[str, str], name: str) -> bool:
    """Whether it is there, and neither `false` nor `0`."""
    text = query.get(name)
    return text is not None and text.lower() != "false" and text != "0"


def integer(query: Mapping[str, str], name: str) -> int | None:
    """The number; None where there is none. Raises a 400."""
    text = query.get(name, "")
    if not text:
        return None
    if not _INTEGER.fullmatch(text):
        raise _unreadable(text, "invalid syntax")
    if len(text) > 20 or not -_MOST - 1 <= int(text) <= _MOST:
        raise _unreadable(text, "value out of range")
    return int(text)


def _unreadable(text: str, why: str) -> status.ApiError:
    return status.bad_request(f'strconv.ParseInt: parsing "{text}": {why}')


def is_version(text: str) -> bool:
    """Whether a resourceVersion is a number of 64 bits."""
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**64
