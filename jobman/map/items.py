"""The items of a run: read once, kept on disk, gone through as often as needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from jobman.errors import UsageError
from jobman.map import braces as brace_patterns
from jobman.map.params import Rows
from jobman.values.text import is_utf8

Values = Mapping[str, Any]
Found = tuple[str, Values]
T = TypeVar("T")

_CHUNK = 1 << 16
_NUL = "holds a NUL character, which no argument can"
_BETWEEN = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its number from 0, its text, and its named values where it has any."""

    index: int
    text: str
    values: Values = field(default_factory=dict)


class Items:
    """All items of a run, in order: each pass reads them anew, and none is kept in memory.

    `digest` stands for all of them; `columns` are the names that every item has a value for.
    Several passes may be under way at a time.
    """

    def __init__(self, found: Iterable[Found], columns: tuple[str, ...] = ()) -> None:
        self.columns = columns
        self.count = 0
        self._lines = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the items
        weakref.finalize(self, self._lines.close)
        digest = sha256()
        for text, values in found:
            line = msgspec.json.encode((text, values)) + b"\n"
            digest.update(line)
            self._lines.write(line)
            self.count += 1
        self._lines.flush()
        self.digest = digest.hexdigest()

    def __iter__(self) -> Iterator[Item]:
        decode = msgspec.json.Decoder(tuple[str, dict[str, Any]]).decode
        for index, line in enumerate(self._whole_lines()):
            text, values = decode(line)
            yield Item(index, text, values)

    def _whole_lines(self) -> Iterator[bytes]:
        """Read at a place of its own, so that passes do not disturb each other."""
        at, rest = 0, b""
        while chunk := os.pread(self._lines.fileno(), _CHUNK, at):
            at += len(chunk)
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            yield from lines


def first(items: Items, most: int) -> list[Item]:
    """The first few."""
    return list(islice(items, most))


def lines(path: Path | None, stdin: IO[bytes]) -> Items:
    """Each line that is not blank; `path` None reads `stdin`."""

    def found(file: IO[bytes], source: str) -> Iterator[Found]:
        for number, line in enumerate(file, 1):
            where = f"{source}, line {number}"
            text = _decoded(line, where).rstrip("\r\n")
            if number == 1:
                text = text.removeprefix("\ufeff")
            if text.strip():
                yield _without_nul(text, where), {}

    return _read(path, stdin, lambda file, source: Items(found(file, source)))


def csv_rows(path: Path | None, stdin: IO[bytes]) -> Items:
    """The rows of a CSV file, their values named by its first row."""

    def read(file: IO[bytes], source: str) -> Items:
        rows = Rows(file, source)
        try:
            found = Items(rows, rows.columns)
        finally:
            rows.let_go()
        if not found.count:
            names = ", ".join(rows.columns)
            raise UsageError(f"{source}: there are no items: no row but the first one ({names})")
        return found

    return _read(path, stdin, read)


def seq(count: int) -> Items:
    """The numbers from 0 to `count` - 1, also by the name `i`."""
    return Items(((str(number), {"i": str(number)}) for number in range(count)), ("i",))


def braces(text: str) -> Items:
    """What bash makes of `text`; UsageError where it is no pattern."""
    try:
        pattern = brace_patterns.parse(text)
    except ValueError as error:
        raise UsageError(f"-b {text}: {error}") from None
    return Items((each, {}) for each in pattern)


def json_list(path: Path | None, stdin: IO[bytes]) -> Items:
    """A JSON list of texts, or of objects whose members are the values."""

    def read(file: IO[bytes], source: str) -> Items:
        text = _decoded(file.read(), source).removeprefix("\ufeff")
        return Items(
            _of_json(value, f"{source}, item {number}")
            for number, value in enumerate(_elements(text, source))
        )

    return _read(path, stdin, read)


def _elements(text: str, source: str) -> Iterator[Any]:
    """One element after the other: a list of a million is never there as a whole."""
    decode = json.JSONDecoder(parse_constant=_no_constant).raw_decode
    at = _skipped(text, 0)
    if text[at : at + 1] != "[":
        raise UsageError(f"{source}: a JSON list is needed, of texts or of objects")
    at = _skipped(text, at + 1)
    wanted = "]" if text[at : at + 1] == "]" else ""
    while not wanted:
        try:
            value, at = decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _no_json(source, text, at, error) from error
        yield value
        at = _skipped(text, at)
        if text[at : at + 1] == ",":
            at = _skipped(text, at + 1)
        else:
            wanted = "]"
    if text[at : at + 1] != wanted or text[at + 1 :].strip():
        raise _no_json(source, text, at, "the list should go on, or end, here")


def _skipped(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return match.end() if match else at


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _no_json(source: str, text: str, at: int, error: object) -> UsageError:
    if isinstance(error, json.JSONDecodeError):
        at, error = error.pos, error.msg
    line = text.count("\n", 0, at) + 1
    return UsageError(f"{source}, line {line}: not JSON: {error}")


def _of_json(value: Any, where: str) -> Found:
    if isinstance(value, dict):
        plain = {
            _decodable(key, where): _plain(inner, f"{where}, '{key}'")
            for key, inner in value.items()
        }
        return msgspec.json.encode(value).decode(), plain
    return _plain(value, where), {}


def _plain(value: Any, where: str) -> str:
    """A text as it stands; numbers, true and false as JSON writes them."""
    if isinstance(value, str):
        return _without_nul(_decodable(value, where), where)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise UsageError(f"{where}: a text, a number, true or false is needed, not {json.dumps(value)}")


def _decodable(text: str, where: str) -> str:
    if not is_utf8(text):
        raise UsageError(f"{where}: holds half of a character (an unpaired surrogate)")
    return text


def _without_nul(text: str, where: str) -> str:
    if "\0" in text:
        raise UsageError(f"{where}: {_NUL}")
    return text


def _read(path: Path | None, stdin: IO[bytes], read: Callable[[IO[bytes], str], T]) -> T:
    """What `read` makes of the file; stdin is put on disk first."""
    if path is None:
        with tempfile.TemporaryFile() as spool:
            shutil.copyfileobj(stdin, spool)
            spool.seek(0)
            return read(spool, "stdin")
    try:
        file = path.open("rb")
        if not file.seekable():
            with file:
                return _read(None, file, lambda spool, _: read(spool, str(path)))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    with file:
        return read(file, str(path))


def _decoded(text: bytes, where: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: is not UTF-8 text: {error.reason}") from error
