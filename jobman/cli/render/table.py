"""Tables: drawn by rich on a terminal, plain padded columns everywhere else.

Cells are foreign text: control characters are made visible, nothing is read as markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jobman.values.text import visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from jobman.cli.context import AppContext

CELL_LIMIT = 120
GAP = "  "
NARROWEST = 8
STYLES = {
    "Running": "green",
    "Succeeded": "cyan",
    "Failed": "red",
    "Stuck": "bold red",
    "Pending": "yellow",
    "Starting": "yellow",
    "Suspended": "magenta",
    "Cancelled": "dim",
    "Deleting": "dim",
    "Ready": "green",
    "Ready,cordoned": "yellow",
    "NotReady": "bold red",
    "NotReady,cordoned": "bold red",
}
"""The colour of a cell in a column that has `colored`, by its text."""


@dataclass(frozen=True)
class Column:
    """One column: `right` aligns numbers, `colored` gives states their colour, `style` all cells.

    On a terminal that is too narrow the title is `short`, and columns that `fold` are cut, with an
    ellipsis; where that is not enough the columns come in blocks, one below the other.
    """

    title: str
    short: str = field(default="", kw_only=True)
    right: bool = False
    colored: bool = False
    fold: bool = False
    style: str = ""


def write_table(app: AppContext, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Write the table to stdout in the form that fits it."""
    cells = shown(rows)
    if app.out_is_terminal:
        _draw(app, columns, cells)
    else:
        app.out.writelines(f"{line}\n" for line in plain_lines(columns, cells))


def shown(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The cells as a table shows them."""
    return [[visible(cell, limit=CELL_LIMIT) for cell in row] for row in rows]


def plain_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Header and rows, each column as wide as its widest cell, no spaces at a line's end."""
    table = PlainTable(columns, rows)
    return [table.header, *table.lines(rows)]


class PlainTable:
    """Plain columns, as wide as their titles and the widest of the `first` rows."""

    def __init__(self, columns: Sequence[Column], first: Sequence[Sequence[str]]) -> None:
        self._right = [column.right for column in columns]
        self._widths = [
            max(_width(column.title), *(_width(row[i]) for row in first), 0)
            for i, column in enumerate(columns)
        ]
        (self.header,) = self.lines([[column.title for column in columns]])

    def lines(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Rows in these columns; after a cell that is wider the rest of its row is moved."""
        return [GAP.join(map(_padded, row, self._widths, self._right)).rstrip() for row in rows]


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    """Columns that a terminal gives to `text`."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


class _Fitted(NamedTuple):
    """A column as it is drawn, and which one it is."""

    at: int
    title: str
    width: int


def _draw(app: AppContext, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console

    console = Console(
        file=app.out,
        width=app.width,
        color_system="auto" if app.color else None,
        markup=False,
        highlight=False,
        emoji=False,
    )
    for number, block in enumerate(_blocks(columns, rows, app.width)):
        if number:
            app.write("")
        console.print(_table(block, columns, rows))


def _table(
    block: Sequence[_Fitted], columns: Sequence[Column], rows: Sequence[Sequence[str]]
) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
    for fitted in block:
        table.add_column(
            Text(fitted.title),
            justify="right" if columns[fitted.at].right else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=fitted.width,
        )
    for row in rows:
        table.add_row(*(_drawn(row[each.at], columns[each.at]) for each in block))
    return table


def _blocks(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], available: int
) -> list[list[_Fitted]]:
    """All columns beside each other where they fit, if need be short; else in several blocks."""
    full = _widths(columns, [column.title for column in columns], rows)
    if _total(full) <= available:
        return [full]
    short = _widths(columns, [column.short or column.title for column in columns], rows)
    narrow = _narrowed(columns, short, available)
    return [narrow] if _total(narrow) <= available else _apart(short, available)


def _widths(
    columns: Sequence[Column], titles: Sequence[str], rows: Sequence[Sequence[str]]
) -> list[_Fitted]:
    return [
        _Fitted(i, titles[i], max(_width(titles[i]), *(_width(row[i]) for row in rows), 0))
        for i in range(len(columns))
    ]


def _total(block: Sequence[_Fitted]) -> int:
    return sum(each.width for each in block) + len(GAP) * (len(block) - 1)


def _narrowed(columns: Sequence[Column], block: Sequence[_Fitted], available: int) -> list[_Fitted]:
    """Those that fold give way, the widest first."""
    excess = max(_total(block) - available, 0)
    narrow = [*block]
    folding = [each for each in block if columns[each.at].fold]
    for each in sorted(folding, key=lambda each: each.width, reverse=True):
        given = min(excess, max(each.width - NARROWEST, 0))
        narrow[each.at] = each._replace(width=each.width - given)
        excess -= given
    return narrow


def _apart(columns: Sequence[_Fitted], available: int) -> list[list[_Fitted]]:
    """Blocks that each begin with the first column, which says what the row is."""
    first = columns[0]._replace(width=min(columns[0].width, max(available // 3, NARROWEST)))
    room = max(available - first.width - len(GAP), 1)
    blocks = [[first]]
    for column in columns[1:]:
        fitted = column._replace(width=min(column.width, room))
        if len(blocks[-1]) > 1 and _total([*blocks[-1], fitted]) > available:
            blocks.append([first])
        blocks[-1].append(fitted)
    return blocks


def _drawn(cell: str, column: Column) -> Text:
    from rich.text import Text

    style = STYLES.get(cell, "") if column.colored else column.style
    return Text(cell, style="dim" if cell == "-" and column.style else style)
