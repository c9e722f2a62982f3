"""`{{.Index}}`, `{{.Item}}`, `{{.Values.NAME}}` in a text, and `{NAME}` in a command's words. Pure.

Braces that mean themselves are written `{{"{{"}}`, as in Go's templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jobman.map.items import Item
from jobman.values.names import nearest

Piece = str | Callable[[Item], str]

INDEX, ITEM, VALUES = ".Index", ".Item", ".Values."
_GO = r'\{\{(?:\s*"(?:[^"\\\n]|\\.)*"\s*|\s*`[^`]*`\s*|[^{}\n]*)\}\}'
_PLACEHOLDER = re.compile(_GO)
_LITERAL = re.compile(r'\s*(?:"((?:[^"\\\n]|\\.)*)"|`([^`]*)`)\s*')
_BARE = re.compile(r"\{\{[^{}\n]*\}\}")
_COLUMN = re.compile(rf"({_GO})|(?<!\$)\{{([^{{}}\n]+)\}}")
_UNCLOSED = re.compile(r"\{\{\s*\.(?:Index|Item|Values)\b\S*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def pieces(text: str, columns: Sequence[str] | None = None) -> list[Piece]:
    """Plain texts, and what gives an item's part of each placeholder.

    `columns` are the values' names where they are known. Raises ValueError.
    """
    found: list[Piece] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        found += [_closed(text[end : match.start()]), _meaning(match[0], columns)]
        end = match.end()
    rest = _closed(text[end:])
    return [piece for piece in [*found, rest] if piece != ""]


def _closed(plain: str) -> str:
    """The text between placeholders; ValueError where one begins in it that does not end."""
    if begun := _UNCLOSED.search(plain):
        raise ValueError(f"{begun[0]}: its braces are not closed by }}}}; there {_known(None)}")
    return plain


def _meaning(placeholder: str, columns: Sequence[str] | None) -> Piece:
    inside = placeholder[2:-2]
    if literal := _LITERAL.fullmatch(inside):
        return literal[2] if literal[1] is None else re.sub(r"\\(.)", r"\1", literal[1])
    path = inside.strip()
    if path == INDEX:
        return lambda item: str(item.index)
    if path == ITEM:
        return lambda item: item.text
    key = path.removeprefix(VALUES)
    if key == path or not key:
        raise ValueError(f"{placeholder} is not known; there {_known(columns)}")
    if columns and key not in columns:
        raise ValueError(f"{placeholder}: there is no such value; there {_known(columns)}")
    return lambda item: str(item.values[key])


def _known(columns: Sequence[str] | None) -> str:
    named = [f"{{{{{VALUES}{name}}}}}" for name in columns or ()]
    every = [f"{{{{{INDEX}}}}}", f"{{{{{ITEM}}}}}", *(named or [f"{{{{{VALUES}NAME}}}}"])]
    return f"are {', '.join(every[:-1])} and {every[-1]}"


def keys(text: str) -> Iterator[str]:
    """The names of the values that the text asks for."""
    for match in _PLACEHOLDER.finditer(text):
        path = match[0][2:-2].strip()
        if path.startswith(VALUES):
            yield path.removeprefix(VALUES)


def has_any(text: str) -> bool:
    """Whether there is a placeholder in the text."""
    return _PLACEHOLDER.search(text) is not None


def with_columns(word: str, columns: Sequence[str]) -> str:
    """The word with `{NAME}` written as `{{.Values.NAME}}`; `${NAME}` is the shell's own.

    Raises ValueError for what looks like a column and is none.
    """

    def named(match: re.Match[str]) -> str:
        if match[1]:
            return match[1]
        name = match[2].strip()
        if name in columns:
            return f"{{{{{VALUES}{name}}}}}"
        if _NAME.fullmatch(match[2]):
            raise ValueError(_no_column(match[0], name, columns))
        return match[0]

    return _COLUMN.sub(named, word)


def _no_column(told: str, name: str, columns: Sequence[str]) -> str:
    close = nearest(name, columns)
    meant = f"did you mean {{{close}}}? " if close else ""
    known = ", ".join(f"{{{column}}}" for column in columns)
    return f"{told} is no column; {meant}there are: {known}; braces as such: {{{{`{told}`}}}}"


class Marked:
    """A text whose placeholders are words that YAML leaves alone, and the way back."""

    def __init__(self, text: str) -> None:
        self._marks: dict[str, str] = {}
        self.text = _BARE.sub(self._mark, text)

    def _mark(self, match: re.Match[str]) -> str:
        word = f"jobman0placeholder0{len(self._marks)}0"
        self._marks[word] = match[0]
        return word

    def restored(self, value: Any) -> Any:
        """A parsed value with its placeholders back in their places."""
        if isinstance(value, str):
            return re.sub(
                r"jobman0placeholder0\d+0",
                lambda match: self._marks.get(match[0], match[0]),
                value,
            )
        if isinstance(value, Mapping):
            return {self.restored(key): self.restored(inner) for key, inner in value.items()}
        return [self.restored(inner) for inner in value] if isinstance(value, list) else value
