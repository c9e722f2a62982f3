"""The items of a run: read once, kept on disk, gone through as often as needed."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice, product
from math import prod
from pathlib import Path
from typing import IO, Any

import msgspec

from jobman.errors import UsageError

Values = Mapping[str, Any]
_SNIFFED = 1 << 16


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its number from 0, its text, and its named values where it has any."""

    index: int
    text: str
    values: Values = field(default_factory=dict)


class Items:
    """All items of a run, in order: each pass reads them anew, and none is kept in memory.

    `digest` stands for all of them; `columns` are the names that every item has a value for.
    """

    def __init__(self, found: Iterable[tuple[str, Values]], columns: tuple[str, ...] = ()) -> None:
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
        with open(self._lines.fileno(), "rb", closefd=False) as shared:
            path = f"/proc/self/fd/{shared.fileno()}"
        with Path(path).open("rb") as file:
            for index, line in enumerate(file):
                text, values = decode(line)
                yield Item(index, text, values)


def lines(path: Path | None, stdin: IO[bytes]) -> Items:
    """Each line that is not blank; `path` None reads `stdin`."""

    def found(file: IO[bytes], source: str) -> Iterator[tuple[str, Values]]:
        for number, line in enumerate(file, 1):
            text = _decoded(line, f"{source}, line {number}").rstrip("\r\n")
            if number == 1:
                text = text.removeprefix("\ufeff")
            if text.strip():
                yield text, {}

    return _read(path, stdin, lambda file, source: Items(found(file, source)))


def json_list(path: Path | None, stdin: IO[bytes]) -> Items:
    """A JSON list of texts, or of objects whose members are the values."""

    def read(file: IO[bytes], source: str) -> Items:
        try:
            found = msgspec.json.decode(file.read())
        except (msgspec.DecodeError, UnicodeError) as error:
            raise UsageError(f"{source} is not JSON: {error}") from error
        if not isinstance(found, list):
            raise UsageError(f"{source}: a JSON list is needed, of texts or of objects")
        return Items(_of_json(value, f"{source}, item {n}") for n, value in enumerate(found))

    return _read(path, stdin, read)


def _of_json(value: Any, where: str) -> tuple[str, Values]:
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode(), value
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value), {}
    raise UsageError(f"{where}: a text or an object is needed")


def csv_rows(path: Path | None, stdin: IO[bytes]) -> Items:
    """The rows of a CSV file, their values named by its first row."""

    def read(file: IO[bytes], source: str) -> Items:
        text = _decoded(file.read(), source).removeprefix("\ufeff")
        rows = csv.reader(io.StringIO(text, newline=""), _dialect(text), strict=True)
        try:
            columns = tuple(name.strip() for name in next(rows, ()))
        except csv.Error as error:
            raise UsageError(f"{source}, line 1: {error}") from error
        if not columns or not all(columns) or len(set(columns)) < len(columns):
            raise UsageError(f"{source}: the first row must name each column, and no name twice")
        return Items(_rows(rows, columns, source), columns)

    return _read(path, stdin, read)


def _dialect(text: str) -> type[csv.Dialect] | str:
    try:
        return csv.Sniffer().sniff(text[:_SNIFFED], delimiters=",;\t|")
    except csv.Error:
        return "excel"


def _rows(rows: Any, columns: tuple[str, ...], source: str) -> Iterator[tuple[str, Values]]:
    try:
        for row in rows:
            if not row:
                continue
            if len(row) != len(columns):
                raise UsageError(
                    f"{source}, line {rows.line_num}: {len(row)} values for"
                    f" {len(columns)} columns ({', '.join(columns)})"
                )
            values = dict(zip(columns, row, strict=True))
            yield ",".join(row), values
    except csv.Error as error:
        raise UsageError(f"{source}, line {rows.line_num}: {error}") from error


def seq(count: int) -> Items:
    """The numbers from 0 to `count` - 1."""
    return Items((str(number), {}) for number in range(count))


def braces(text: str) -> Items:
    """What bash makes of `a{00..12}b{x,y}`: ranges keep their zeroes, several multiply."""
    parts = [_alternatives(part) for part in _split_braces(text)]
    if prod(len(part) for part in parts) > 10_000_000:
        raise UsageError(f"-b {text}: more than ten million items")
    return Items(("".join(words), {}) for words in product(*parts))


_BRACE = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?")


def _split_braces(text: str) -> list[str]:
    if re.sub(_BRACE, "", text).count("{") or re.sub(_BRACE, "", text).count("}"):
        raise UsageError(f"-b {text}: a brace is not closed, or is within another")
    return [part for part in re.split(r"(\{[^{}]*\})", text) if part]


def _alternatives(part: str) -> list[str]:
    if not part.startswith("{"):
        return [part]
    inner = part[1:-1]
    if match := _RANGE.fullmatch(inner):
        return _range(match)
    if "," not in inner:
        raise UsageError(f"-b {part}: {{FIRST..LAST}} or {{A,B}} is needed")
    return inner.split(",")


def _range(match: re.Match[str]) -> list[str]:
    first, last = int(match[1]), int(match[2])
    step = abs(int(match[3] or 1)) or 1
    padded = any(re.match(r"-?0\d", end) for end in (match[1], match[2]))
    width = max(len(match[1]), len(match[2])) if padded else 0
    numbers = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return [f"{number:0{width}d}" for number in numbers]


def _read(path: Path | None, stdin: IO[bytes], read: Callable[[IO[bytes], str], Items]) -> Items:
    if path is None:
        return read(stdin, "stdin")
    with _named(path), path.open("rb") as file:
        return read(file, str(path))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _decoded(text: bytes, where: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: is not UTF-8: {error.reason}") from error


def first(items: Items, most: int) -> list[Item]:
    """The first few."""
    return list(islice(items, most))
