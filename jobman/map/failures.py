"""Failures by what they have in common. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from jobman.map.outcome import Outcome

_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+")
_LONGEST = 200


@dataclass
class Cause:
    """What `count` items failed of.

    `line` is the last of the first one's log; in the others' the same but for numbers.
    """

    reason: str
    line: str
    count: int = 0
    nodes: Counter[str] = field(default_factory=Counter)


def by_cause(failures: Iterable[Outcome]) -> list[Cause]:
    """The causes, the most frequent first; the reason has the exit code in it."""
    found: dict[tuple[str, str], Cause] = {}
    for outcome in failures:
        line = outcome.last_line or outcome.message
        key = (outcome.reason, normalised(line))
        cause = found.setdefault(key, Cause(outcome.reason, line))
        cause.count += 1
        if outcome.node:
            cause.nodes[outcome.node] += 1
    return sorted(found.values(), key=lambda cause: -cause.count)


def normalised(line: str) -> str:
    """A line without what varies between items: numbers and addresses."""
    return _VARYING.sub("#", line[:_LONGEST]).strip().lower()
