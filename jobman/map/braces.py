"""What bash makes of braces: `shard-{000..999}.tar`, `{a,b}{1..3}`; nothing is kept in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST = 10_000_000
"""More items than this are a slip of the keyboard."""
DEEPEST = 32
"""More braces within each other are one, too."""
_SPECIAL = frozenset("{},")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?", re.ASCII)
_LETTERS = re.compile(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.(-?\d+))?", re.ASCII)


@dataclass(frozen=True)
class Pattern:
    """A text with alternatives: each part is plain text, or one of several."""

    parts: tuple[str | Choice | Numbers, ...]

    def __len__(self) -> int:
        count = 1
        for part in self.parts:
            count *= 1 if isinstance(part, str) else len(part)
        return count

    def __iter__(self) -> Iterator[str]:
        return _product(self.parts)


@dataclass(frozen=True)
class Choice:
    """`{a,b}`: its patterns, one after the other."""

    patterns: tuple[Pattern, ...]

    def __len__(self) -> int:
        return sum(len(pattern) for pattern in self.patterns)

    def __iter__(self) -> Iterator[str]:
        return (text for pattern in self.patterns for text in pattern)


@dataclass(frozen=True)
class Numbers:
    """`{000..123}`, `{a..e}`: with zeroes in front up to `width`, or as letters."""

    numbers: range
    width: int = 0
    letters: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[str]:
        if self.letters:
            return map(chr, self.numbers)
        return (f"{number:0{self.width}d}" for number in self.numbers)


def _product(parts: tuple[str | Choice | Numbers, ...]) -> Iterator[str]:
    """All combinations, the last part changing quickest; by halves, for there may be many parts."""
    if len(parts) <= 1:
        part = parts[0] if parts else ""
        yield from (part,) if isinstance(part, str) else part
        return
    half = len(parts) // 2
    for before in _product(parts[:half]):
        for behind in _product(parts[half:]):
            yield before + behind


def parse(text: str) -> Pattern:
    """The pattern; ValueError with a plain reason. A backslash takes what follows as it is."""
    pattern, rest = _pattern(text, 0, 0)
    if rest < len(text):
        raise ValueError("a '}' has no '{' before it; a plain one is written '\\}'")
    try:
        count = len(pattern)
    except OverflowError:
        count = MOST + 1
    if count > MOST:
        raise ValueError(f"there are more than {MOST} items in it")
    return pattern


def _pattern(text: str, at: int, depth: int) -> tuple[Pattern, int]:
    """The pattern from `at` on, `depth` braces around it, and where it ends."""
    parts: list[str | Choice | Numbers] = []
    plain = ""
    while at < len(text):
        char = text[at]
        if char == "\\" and text[at + 1 : at + 2] in (*_SPECIAL, "\\"):
            plain, at = plain + text[at + 1], at + 2
        elif char == "{":
            choice, at = _choice(text, at, depth + 1)
            parts, plain = [*parts, plain, choice], ""
        elif char == "}" or (depth and char == ","):
            break
        else:
            plain, at = plain + char, at + 1
    return Pattern(tuple(part for part in [*parts, plain] if part != "")), at


def _choice(text: str, opened: int, depth: int) -> tuple[Choice | Numbers, int]:
    """What the brace at `opened` holds, the `depth`th of those around it, and where it ends."""
    if depth > DEEPEST:
        raise ValueError(f"there are more than {DEEPEST} braces within each other")
    closed = text.find("}", opened)
    found = _numbers(text[opened + 1 : closed]) if closed > 0 else None
    if found is not None:
        return found, closed + 1
    patterns = []
    at = opened
    while True:
        pattern, at = _pattern(text, at + 1, depth)
        patterns.append(pattern)
        if at >= len(text):
            raise ValueError("a '{' is not closed; a plain one is written '\\{'")
        if text[at] == "}":
            break
    if len(patterns) == 1:
        inside = text[opened : at + 1]
        raise ValueError(f"{inside}: {{FIRST..LAST}} or {{A,B}} is needed")
    return Choice(tuple(patterns)), at + 1


def _numbers(inside: str) -> Numbers | None:
    if match := _LETTERS.fullmatch(inside):
        return Numbers(_range(ord(match[1]), ord(match[2]), match[3]), letters=True)
    match = _RANGE.fullmatch(inside)
    if match is None:
        return None
    ends = (match[1], match[2])
    padded = any(re.match(r"-?0\d", end) for end in ends)
    width = max(map(len, ends)) if padded else 0
    return Numbers(_range(int(match[1]), int(match[2]), match[3]), width)


def _range(first: int, last: int, step: str | None) -> range:
    """Both ends belong to it; it goes towards `last`, whatever the step's sign."""
    by = abs(int(step or 1)) or 1
    return range(first, last + 1, by) if first <= last else range(first, last - 1, -by)
