"""In which order jobs are listed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobman.values.enums import State

if TYPE_CHECKING:
    from jobman.jobs.listing import JobRow

Key = Callable[["JobRow"], Any]
_STATES = {state: number for number, state in enumerate(State)}

KEYS: dict[str, tuple[Key, bool]] = {
    "age": (lambda row: row.submitted_at, True),
    "name": (lambda row: row.name, False),
    "user": (lambda row: row.user, False),
    "namespace": (lambda row: row.namespace, False),
    "state": (lambda row: _STATES[row.state], False),
    "flavor": (lambda row: row.flavor, False),
    "node": (lambda row: row.node or None, False),
    "gpus": (lambda row: row.gpus, True),
    "duration": (lambda row: row.duration_seconds, True),
    "started": (lambda row: row.started_at, True),
    "finished": (lambda row: row.finished_at, True),
}
"""What to sort by, and whether the greatest comes first."""


def ordered(rows: Iterable[JobRow], word: str = "age") -> list[JobRow]:
    """The rows by one of KEYS, a `-` before it turns it round; then newest first, then by name.

    Rows that lack the value come last. Raises KeyError for another word.
    """
    key, descending = KEYS[word.removeprefix("-")]
    found = sorted(rows, key=lambda row: row.name)
    found.sort(key=_newest_first)
    having = [row for row in found if key(row) is not None]
    having.sort(key=key, reverse=descending != word.startswith("-"))
    return having + [row for row in found if key(row) is None]


def _newest_first(row: JobRow) -> float:
    moment: datetime | None = row.submitted_at
    return -moment.timestamp() if moment else 0.0
