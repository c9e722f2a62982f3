"""Tables and machine forms, to the character."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from plugins.command_line import Stream

from jobman.cli.context import AppContext
from jobman.cli.render import forms
from jobman.cli.render.table import Column, PlainTable, plain_lines, write_table

COLUMNS = [Column("NAME"), Column("STATE", colored=True), Column("N", right=True)]


def an_app(*, terminal: bool = False, columns: int = 40, **environ: str) -> AppContext:
    out = Stream(terminal=terminal)
    return AppContext(out=out, err=Stream(terminal=terminal), environ=environ, columns=columns)


def written(app: AppContext) -> str:
    assert isinstance(app.out, Stream)
    return app.out.bytes.decode()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], ["NAME  STATE  N"]),
        ([["a", "Running", "10"]], ["NAME  STATE     N", "a     Running  10"]),
        (
            [["ねこ", "x", "1"], ["é", "y", "2"]],
            ["NAME  STATE  N", "ねこ  x      1", "é     y      2"],
        ),
        ([["e\u0301", "x", ""]], ["NAME  STATE  N", "e\u0301     x"]),
    ],
)
def test_plain_columns(rows: list[list[str]], expected: list[str]) -> None:
    assert plain_lines(COLUMNS, rows) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (["a", "x", "1"], "a     x         1"),
        (["ねこ", "é", "10"], "ねこ  é        10"),
        (["longer", "Running", "100"], "longer  Running  100"),
    ],
)
def test_rows_that_come_later_keep_the_columns(row: list[str], expected: str) -> None:
    table = PlainTable(COLUMNS, [["ab", "Pending", "12"]])
    assert table.header == "NAME  STATE     N"
    assert table.lines([row]) == [expected]


def test_piped_cells_are_made_visible_and_cut() -> None:
    app = an_app()
    write_table(app, COLUMNS, [["[/]\x1b[31m\n\t", "x" * 1_000_000, "1"]])
    header, row = written(app).splitlines()
    assert header.startswith("NAME")
    assert row.startswith(r"[/]\x1b[31m\n\t  xxx")
    assert len(row) < 200


def test_a_terminal_has_colour_unless_it_wants_none() -> None:
    rows = [["[red]a[/]", "Running", "1"]]
    colored, plain = an_app(terminal=True, TERM="xterm"), an_app(terminal=True, NO_COLOR="1")
    for app in (colored, plain):
        write_table(app, COLUMNS, rows)
    assert "\x1b" in written(colored)
    assert written(plain).splitlines()[1].split() == ["[red]a[/]", "Running", "1"]


def test_a_narrow_terminal_cuts_what_may_be_cut() -> None:
    app = an_app(terminal=True, columns=24, NO_COLOR="1")
    columns = [Column("NAME"), Column("REASON", fold=True), Column("AGE", right=True)]
    write_table(app, columns, [["a-name", "ContainerCreating", "10m"]])
    lines = written(app).splitlines()
    assert all(len(line) <= 24 for line in lines)
    assert lines[1].split()[0] == "a-name"
    assert lines[1].split()[-1] == "10m"
    assert "…" in lines[1]


COUNTS = [
    Column("FLAVOR", fold=True),
    Column("WAITING", right=True, short="WAIT"),
    Column("RUNNING", right=True, short="RUN"),
    Column("OLDEST", right=True),
]
FLAVORS = [["large-gpu-a100", "3", "12345", "17m"], ["small", "-", "7", "-"]]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            40,
            [
                "FLAVOR          WAITING  RUNNING  OLDEST",
                "large-gpu-a100        3    12345     17m",
                "small                 -        7       -",
            ],
        ),
        (
            36,
            [
                "FLAVOR          WAIT    RUN  OLDEST",
                "large-gpu-a100     3  12345     17m",
                "small              -      7       -",
            ],
        ),
        (
            30,
            [
                "FLAVOR     WAIT    RUN  OLDEST",
                "large-gp…     3  12345     17m",
                "small         -      7       -",
            ],
        ),
        (
            24,
            [
                "FLAVOR    WAIT    RUN",
                "large-g…     3  12345",
                "small        -      7",
                "",
                "FLAVOR    OLDEST",
                "large-g…     17m",
                "small          -",
            ],
        ),
    ],
)
def test_a_narrow_terminal_never_cuts_numbers(columns: int, expected: list[str]) -> None:
    app = an_app(terminal=True, columns=columns, NO_COLOR="1")
    write_table(app, COUNTS, FLAVORS)
    assert [line.rstrip() for line in written(app).splitlines()] == expected


@given(st.integers(20, 120), st.lists(st.integers(0, 10**9), min_size=1, max_size=12))
def test_every_number_is_there_whole_at_any_width(columns: int, numbers: list[int]) -> None:
    app = an_app(terminal=True, columns=columns, NO_COLOR="1")
    titles = [Column(f"N{i}", right=True, short=f"n{i}") for i in range(len(numbers))]
    write_table(app, [Column("NAME", fold=True), *titles], [["a" * 30, *map(str, numbers)]])
    lines = written(app).splitlines()
    assert all(len(line) <= columns for line in lines)
    shown = [word for line in lines for word in line.split() if word.isdigit()]
    assert not Counter(map(str, numbers)) - Counter(shown)


@pytest.mark.parametrize("rows", [[], [{"a": 1}], [{"a": "é"}, {"b": None}]])
def test_rows_are_one_json_document(rows: list[Any]) -> None:
    app = an_app()
    forms.write_json_rows(app, rows)
    assert json.loads(written(app)) == rows
    assert written(app).count("\n") == len(rows) + (2 if rows else 1)


TRICKY = {"text": "[/]\x1b[2J\x9b\u202e\ud7ff é"}


@pytest.mark.parametrize(
    ("write", "read"), [(forms.write_json, json.loads), (forms.write_yaml, yaml.safe_load)]
)
def test_a_document_says_the_same_on_a_terminal(write: Any, read: Any) -> None:
    piped, seen = an_app(), an_app(terminal=True)
    write(piped, TRICKY)
    write(seen, TRICKY)
    assert read(written(piped)) == TRICKY
    assert not set("\x1b\x9b\u202e") & set(written(seen))
    assert read(written(seen)) == TRICKY


def test_text_before_bytes_comes_first() -> None:
    app = an_app()
    app.write("first")
    forms.write_json(app, [])
    assert written(app).startswith("first\n")


def test_csv_quotes() -> None:
    app = an_app()
    forms.write_csv(app, ["a", "b"], [["x,y", 'say "hi"\n']])
    assert written(app) == 'a,b\n"x,y","say ""hi""\\n"\n'
