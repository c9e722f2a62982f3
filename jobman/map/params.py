"""The rows of a CSV file, in whatever dialect it is, as items with named values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import IO

from jobman.errors import UsageError

_SNIFFED = 1 << 16
SEPARATORS = ",;\t|"
"""What may stand between values: of anything else a value may consist (`model:size`)."""


class Rows:
    """The rows after the first one, which names the columns; UsageError where they do not fit."""

    def __init__(self, file: IO[bytes], source: str) -> None:
        self._source = source
        self._file = file
        sample = self._sample()
        self._dialect = dialect_of(sample)
        file.seek(0)
        self._text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        self._rows = csv.reader(self._text, self._dialect, strict=True)
        try:
            self.columns = self._named(next(self._read(), []))
        except UsageError:
            self.let_go()
            raise

    def __iter__(self) -> Iterator[tuple[str, dict[str, str]]]:
        for row in self._read():
            if not any(row):
                continue
            if len(row) != len(self.columns):
                raise UsageError(
                    f"{self._where}: {_counted(len(row), 'value')} for"
                    f" {_counted(len(self.columns), 'column')}"
                    f" ({', '.join(self.columns)}){self._as_read()}",
                    hint="each row needs a value for each name of the first row; one that holds"
                    f" {self._dialect.delimiter!r} stands in quotes",
                )
            yield _line(row), dict(zip(self.columns, row, strict=True))

    def let_go(self) -> None:
        """Leave the file to whoever opened it."""
        self._text.detach()

    @property
    def _where(self) -> str:
        return f"{self._source}, line {self._rows.line_num}"

    def _sample(self) -> str:
        """The beginning of the text, whole lines where there are several."""
        data = self._file.read(_SNIFFED)
        if len(data) == _SNIFFED:
            data = data[: data.rfind(b"\n") + 1] or data
        return data.decode("utf-8-sig", "replace")

    def _read(self) -> Iterator[list[str]]:
        while True:
            begins = self._rows.line_num + 1
            try:
                row = next(self._rows)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end" in str(error):
                    where = f"{self._source}, line {begins}"
                    raise UsageError(f"{where}: a quote is opened, and not closed") from error
                raise UsageError(f"{self._where}: {error}{self._as_read()}") from error
            except UnicodeDecodeError as error:
                raise UsageError(
                    f"{self._source}: is not UTF-8 text: {error.reason}", hint="save it as UTF-8"
                ) from error
            if any("\0" in value for value in row):
                raise UsageError(f"{self._where}: holds a NUL character, which no argument can")
            yield row

    def _named(self, row: list[str]) -> tuple[str, ...]:
        columns = tuple(name.strip() for name in row)
        if not any(columns):
            raise UsageError(f"{self._source}: the first row must name the columns, it is empty")
        for number, name in enumerate(columns):
            if not name:
                raise UsageError(f"{self._source}: column {number + 1} has no name")
            if name in columns[:number]:
                raise UsageError(f"{self._source}: two columns are called '{name}'")
            if set(name) & set("{}\n"):
                raise UsageError(f"{self._source}: column name '{name}' must have no braces")
        return columns

    def _as_read(self) -> str:
        delimiter = self._dialect.delimiter
        return "" if delimiter == "," else f" (read with {delimiter!r} between the values)"


def dialect_of(sample: str) -> type[csv.Dialect]:
    """How the values are separated and quoted: by the first row, which the others may not fit.

    Where several characters could part the first row, the one by which most rows have as many
    values as that; a comma where none does.
    """
    found = [_dialect(delimiter, sample) for delimiter in SEPARATORS]
    return max(found, key=lambda dialect: _alike(dialect, sample))


def _dialect(separator: str, sample: str) -> type[csv.Dialect]:
    begins = rf"(?:^|{re.escape(separator)}) ?"
    ends = rf"(?:{re.escape(separator)}|\r?$)"
    double = re.search(rf'{begins}"', sample, re.MULTILINE)
    single = re.search(rf"{begins}'[^'\n]*'{ends}", sample, re.MULTILINE)
    first_row = sample.partition("\n")[0]
    spaced = 0 < first_row.count(separator) == first_row.count(f"{separator} ")

    quote = "'" if single and not double else '"'
    # a quote within a quoted value is doubled
    quoted_behind_space = re.search(f"{re.escape(separator)} {quote}(?!{quote})", sample)

    class Found(csv.excel):
        delimiter = separator
        quotechar = quote
        skipinitialspace = spaced or quoted_behind_space is not None

    return Found


def _alike(dialect: type[csv.Dialect], sample: str) -> int:
    """How many rows have as many values as the first; none where that has one alone."""
    try:
        counts = [len(row) for row in csv.reader(io.StringIO(sample, newline=""), dialect)]
    except csv.Error:
        return 0
    return counts.count(counts[0]) if counts and counts[0] > 1 else 0


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _line(row: list[str]) -> str:
    """The row as one line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(row)
    return text.getvalue()
