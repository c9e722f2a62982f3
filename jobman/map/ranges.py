"""Many small numbers as ranges: `0-4,7,9-12`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby


def by_value(values: Sequence[int]) -> dict[int, str]:
    """Which indexes have which value; 0 is left out."""
    found: dict[int, list[str]] = {}
    start = 0
    for value, group in groupby(values):
        length = sum(1 for _ in group)
        if value:
            found.setdefault(value, []).append(_range(start, start + length - 1))
        start += length
    return {value: ",".join(parts) for value, parts in sorted(found.items())}


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def parse(text: str) -> Iterator[tuple[int, int]]:
    """(first, last) of each range; ValueError where the text is none."""
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        low, high = int(first), int(last if dash else first)
        if low > high:
            raise ValueError(f"{part} ends before it begins")
        yield low, high
