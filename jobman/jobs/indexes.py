"""Indexes of an array's pods, as Kubernetes writes them: `0-4,7`."""

from __future__ import annotations

import re
from collections.abc import Collection

MOST = 100_000
"""Kubernetes allows no more completions of an Indexed Job."""
_PART = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)


def parse(text: str) -> frozenset[int]:
    """The indexes of `0-4,7`. Raises ValueError, with a plain message, for anything else."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"'{part.strip()}' is no index: 3, or 0-4, or 0-4,7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= MOST:
            raise ValueError(f"'{part.strip()}' is no range of indexes")
        found.update(range(first, last + 1))
    return frozenset(found)


def told(text: str | None) -> frozenset[int]:
    """The indexes that a Job's status tells; malformed is none."""
    try:
        return parse(text) if text else frozenset()
    except ValueError:
        return frozenset()


def text(indexes: Collection[int]) -> str:
    """`0-4,7` of some indexes."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and parts[-1][1] == index - 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
