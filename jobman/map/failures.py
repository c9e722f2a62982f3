"""Failures by what they have in common. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from hashlib import blake2b

from jobman.map.outcome import Outcome

_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+")
_LONGEST = 200
_ID_BYTES = 4


@dataclass
class Cause:
    """What `count` items failed of.

    `line` is the last of the first one's log; in the others' the same but for numbers.
    """

    reason: str
    line: str
    count: int = 0
    nodes: Counter[str] = field(default_factory=Counter)
    id: str = ""
    """Names it, the same each time."""


def by_cause(failures: Iterable[Outcome]) -> list[Cause]:
    """The causes, the most frequent first; the reason has the exit code in it."""
    found: dict[tuple[str, str], Cause] = {}
    for outcome in failures:
        line = outcome.last_line or outcome.message
        key = (outcome.reason, normalised(line))
        cause = found.setdefault(key, Cause(outcome.reason, line, id=id_of(outcome)))
        cause.count += 1
        if outcome.node:
            cause.nodes[outcome.node] += 1
    return sorted(found.values(), key=lambda cause: -cause.count)


def unmet(reasons: Set[str], failures: Iterable[Outcome]) -> str:
    """What is said of the reasons, or names of causes, that nothing failed of; else empty."""
    missing, counts = set(reasons), Counter[str]()
    if not missing:
        return ""
    for outcome in failures:
        missing -= {outcome.reason, id_of(outcome)}
        counts[outcome.reason] += 1
    if not missing:
        return ""
    there = ", ".join(f"{reason} ({count})" for reason, count in counts.most_common())
    told = f"there are: {there}" if there else "nothing has failed at all"
    return f"nothing failed of {' or '.join(sorted(missing))}; {told}"


def id_of(outcome: Outcome) -> str:
    """A few letters that stand for reason and last line."""
    text = f"{outcome.reason}\0{normalised(outcome.last_line or outcome.message)}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=_ID_BYTES).hexdigest()


def normalised(line: str) -> str:
    """A line without what varies between items: numbers and addresses."""
    return _VARYING.sub("#", line[:_LONGEST]).strip().lower()
