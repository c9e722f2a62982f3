"""What is asked of `jobman logs`: which jobs, which pods of theirs, how much, and where to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jobman.errors import UsageError
from jobman.values.duration import parse_duration


@dataclass(frozen=True)
class Asked:
    """`indexes` None: of all pods; `tail`, `since_s` None: from the log's beginning."""

    follow: bool = False
    previous: bool = False
    container: str | None = None
    indexes: frozenset[int] | None = None
    together: bool = False
    tail: int | None = None
    since_s: int | None = None
    timestamps: bool = False

    def __post_init__(self) -> None:
        if self.follow and self.previous:
            raise UsageError("--previous is about a run that is over: there is nothing to follow")


def words_of(arguments: list[str] | None, options: list[str] | None) -> list[str]:
    """The jobs named by arguments and by -j, each once."""
    words = list(dict.fromkeys([*(arguments or ()), *(options or ())]))
    if not words or not all(words):
        raise UsageError("no job is named", hint="a name, or LAST for the job submitted last")
    return words


def seconds_since(text: str | None) -> int | None:
    """The whole seconds, at least one, that the server takes."""
    if text is None:
        return None
    try:
        return max(math.ceil(parse_duration(text)), 1)
    except ValueError as error:
        raise UsageError(f"--since {text}: {error}") from error


def indexes_of(texts: list[str] | None) -> frozenset[int] | None:
    """The indexes of all `--index`; None where none is given."""
    if not texts:
        return None
    from jobman.jobs import indexes

    try:
        return frozenset().union(*(indexes.parse(text) for text in texts))
    except ValueError as error:
        raise UsageError(f"--index: {error}") from error
