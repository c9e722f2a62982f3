"""Sets of completion indexes as a Job's status writes them: `0,2-5`.

Kept as spans, since a Job may have a hundred thousand indexes and most are neighbours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Span = tuple[int, int]


class IndexSet:
    """Indexes as spans (first, last), in order and apart from each other."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans = _merged(spans)

    @classmethod
    def of(cls, indexes: Iterable[int]) -> IndexSet:
        """The set of these indexes."""
        return cls((index, index) for index in indexes)

    @classmethod
    def parse(cls, text: str, below: int) -> IndexSet:
        """The indexes under `below` that `text` lists; what is no list of indexes is none."""
        return cls(_spans_of(text, below))

    def __str__(self) -> str:
        return ",".join(_text(first, last) for first, last in self._spans)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._spans)

    def __contains__(self, index: int) -> bool:
        place = bisect_right(self._spans, (index, index)) - 1
        after = self._spans[place + 1 : place + 2]
        around = self._spans[max(place, 0) : place + 1] + after
        return any(first <= index <= last for first, last in around)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndexSet) and self._spans == other._spans

    def __hash__(self) -> int:
        return hash(tuple(self._spans))

    def __or__(self, other: IndexSet) -> IndexSet:
        return IndexSet([*self._spans, *other._spans])

    def count_common(self, other: IndexSet) -> int:
        """How many indexes are in both."""
        return len(self) + len(other) - len(self | other)

    def missing(self, below: int) -> Iterator[int]:
        """The indexes under `below` that are not in the set, from the lowest."""
        start = 0
        for first, last in self._spans:
            yield from range(start, min(first, below))
            start = last + 1
        yield from range(start, below)


def _spans_of(text: str, below: int) -> Iterator[Span]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            continue
        span = int(first), min(int(last or first), below - 1)
        if span[0] <= span[1]:
            yield span


def _is_number(text: str) -> bool:
    return len(text) <= 10 and text.isascii() and text.isdigit()


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _text(first: int, last: int) -> str:
    """Two neighbours are written one by one, three or more as a range."""
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"
