"""Tables: drawn by rich on a terminal, plain padded columns everywhere else.

Cells are foreign text: control characters are made visible, nothing is read as markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobman.values.text import visible

if TYPE_CHECKING:
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

    On a terminal that is too narrow, columns that `fold` are cut first, with an ellipsis.
    """

    title: str
    right: bool = False
    colored: bool = False
    fold: bool = False
    style: str = ""


def write_table(app: AppContext, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Write the table to stdout in the form that fits it."""
    cells = [[visible(cell, limit=CELL_LIMIT) for cell in row] for row in rows]
    if app.out_is_terminal:
        _draw(app, columns, cells)
    else:
        app.out.writelines(f"{line}\n" for line in plain_lines(columns, cells))


def plain_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Header and rows, each column as wide as its widest cell, no spaces at a line's end."""
    table = [[column.title for column in columns], *rows]
    widths = [max(_width(row[i]) for row in table) for i in range(len(columns))]
    return [
        GAP.join(map(_padded, row, widths, (column.right for column in columns))).rstrip()
        for row in table
    ]


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


def _draw(app: AppContext, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
    for column, width in zip(columns, _fitted(columns, rows, app.width), strict=True):
        table.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=width,
        )
    for row in rows:
        table.add_row(*(_drawn(cell, column) for cell, column in zip(row, columns, strict=True)))
    Console(
        file=app.out,
        width=app.width,
        color_system="auto" if app.color else None,
        markup=False,
        highlight=False,
        emoji=False,
    ).print(table)


def _fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], available: int) -> list[int]:
    """The width of each column; where they are too wide together, those that fold give way."""
    widths = [
        max(_width(column.title), *(_width(row[i]) for row in rows), 0)
        for i, column in enumerate(columns)
    ]
    excess = sum(widths) + len(GAP) * (len(columns) - 1) - available
    folding = [i for i, column in enumerate(columns) if column.fold]
    for i in sorted(folding, key=lambda i: widths[i], reverse=True):
        given = min(max(excess, 0), max(widths[i] - NARROWEST, 0))
        widths[i] -= given
        excess -= given
    return widths


def _drawn(cell: str, column: Column) -> Text:
    from rich.text import Text

    style = STYLES.get(cell, "") if column.colored else column.style
    return Text(cell, style="dim" if cell == "-" and column.style else style)
