"""Items of every kind of list, in little memory, each wrong one told with its place."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.errors import UsageError
from jobman.map import braces, items
from jobman.map.items import Items

NOTHING = io.BytesIO()


def texts(found: Items) -> list[str]:
    return [item.text for item in found]


def of_file(tmp_path: Path, read: object, data: bytes) -> Items:
    path = tmp_path / "list"
    path.write_bytes(data)
    return read(path, NOTHING)  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"a\nb\n", ["a", "b"], id="lines"),
        pytest.param(b"a\r\nb", ["a", "b"], id="windows, no end"),
        pytest.param(b"\xef\xbb\xbfa\n\n  \nb\n", ["a", "b"], id="BOM and blank lines"),
        pytest.param(b" a: 'x' \n{{.Item}}\n", [" a: 'x' ", "{{.Item}}"], id="as it is"),
        pytest.param(b"", [], id="none"),
    ],
)
def test_lines(tmp_path: Path, data: bytes, expected: list[str]) -> None:
    found = of_file(tmp_path, items.lines, data)
    assert texts(found) == expected
    assert texts(found) == expected
    assert found.count == len(expected)
    assert texts(items.lines(None, io.BytesIO(data))) == expected


def test_passes_do_not_disturb_each_other() -> None:
    found = Items((str(number), {}) for number in range(1000))
    assert all(a == b for a, b in zip(found, found, strict=True))
    assert [item.index for item in items.first(found, 3)] == [0, 1, 2]


def test_the_digest_stands_for_texts_and_values() -> None:
    one = Items([("a", {"x": "1"})])
    assert one.digest == Items([("a", {"x": "1"})]).digest
    others = [Items([("a", {"x": "2"})]), Items([("a", {})]), Items([("a", {"x": "1"})] * 2)]
    assert one.digest not in {other.digest for other in others}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param("[]", [], id="none"),
        pytest.param(' ["a", "b\\nc"] ', [("a", {}), ("b\nc", {})], id="texts"),
        pytest.param("[1, 2.5, true]", [("1", {}), ("2.5", {}), ("true", {})], id="scalars"),
        pytest.param(
            '[{"x": "1", "y": 2}]', [('{"x":"1","y":2}', {"x": "1", "y": "2"})], id="objects"
        ),
    ],
)
def test_json(tmp_path: Path, data: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    found = of_file(tmp_path, items.json_list, data.encode())
    assert [(item.text, item.values) for item in found] == expected


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        pytest.param("x,y\n1,2\n3,4\n", [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}], id="commas"),
        pytest.param("\ufeffx;y\r\n1;2,5\r\n", [{"x": "1", "y": "2,5"}], id="excel abroad"),
        pytest.param("x\ty\n1\t2 3\n", [{"x": "1", "y": "2 3"}], id="tabs"),
        pytest.param("x|y\n1|2\n3|4\n", [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}], id="pipes"),
        pytest.param('x,y\n"a, b","say ""hi"""\n', [{"x": "a, b", "y": 'say "hi"'}], id="quotes"),
        pytest.param('x,y\n"a\nb",2\n', [{"x": "a\nb", "y": "2"}], id="a newline within"),
        pytest.param("name\nanna\nhannah\n", [{"name": "anna"}, {"name": "hannah"}], id="one"),
        pytest.param("x , y\n1,2\n\n", [{"x": "1", "y": "2"}], id="spaces, blank line"),
        pytest.param("model:size\nq:14b\n", [{"model:size": "q:14b"}], id="one, with colons"),
        pytest.param(
            "date time\n1 10:00\n2 11:00\n",
            [{"date time": "1 10:00"}, {"date time": "2 11:00"}],
            id="one, with spaces",
        ),
        pytest.param("x_y\n1_2\n", [{"x_y": "1_2"}], id="one, with underscores"),
        pytest.param("run\na;b\nc;d\n", [{"run": "a;b"}, {"run": "c;d"}], id="one, of separators"),
        pytest.param("at t|n\n1 2|3\n", [{"at t": "1 2", "n": "3"}], id="pipes and spaces"),
        pytest.param("x;y\n1,2;3,4\n", [{"x": "1,2", "y": "3,4"}], id="commas within"),
        pytest.param('x;y\n"1;1";2\n', [{"x": "1;1", "y": "2"}], id="separators within"),
        pytest.param("x,y\n'a, b',2\n", [{"x": "a, b", "y": "2"}], id="single quotes"),
        pytest.param("x; y\n1; 2\n", [{"x": "1", "y": "2"}], id="spaces behind separators"),
        pytest.param('x;y\n"1"; "2"\n', [{"x": "1", "y": "2"}], id="spaces before quotes"),
        pytest.param('x,y\n"a, ""b""", 2\n', [{"x": 'a, "b"', "y": " 2"}], id="a space kept"),
        pytest.param('"a;b",x\n1,2\n', [{"a;b": "1", "x": "2"}], id="a quoted name"),
        pytest.param("x,y;z\n1;2\n3;4\n", [{"x,y": "1", "z": "2"}, {"x,y": "3", "z": "4"}], id="m"),
    ],
)
def test_csv(tmp_path: Path, data: str, rows: list[dict[str, str]]) -> None:
    found = of_file(tmp_path, items.csv_rows, data.encode())
    assert [item.values for item in found] == rows
    assert set(found.columns) == {key for row in rows for key in row}
    assert [i.values for i in items.csv_rows(None, io.BytesIO(data.encode()))] == rows


def test_a_quote_is_doubled_also_behind_the_sample(tmp_path: Path) -> None:
    rows = ['"a","b"'] * 10_000 + ['"say ""hi""","c"']
    found = of_file(tmp_path, items.csv_rows, "\n".join(['"x","y"', *rows]).encode())
    assert list(found)[-1].values == {"x": 'say "hi"', "y": "c"}


@pytest.mark.parametrize(
    ("read", "data", "told"),
    [
        (items.lines, b"a\n\xff\n", "line 2: is not UTF-8"),
        (items.lines, b"a\nb\0\n", "line 2: holds a NUL"),
        (items.json_list, b"{}", "a JSON list is needed"),
        (items.json_list, b'["a"', "line 1: not JSON"),
        (items.json_list, b'["a",]', "line 1: not JSON"),
        (items.json_list, b'["a"] x', "line 1: not JSON"),
        (items.json_list, b'[\n"a",\n"b]', "line 3: not JSON"),
        (items.json_list, b"[NaN]", "not JSON: NaN"),
        (items.json_list, b"[null]", "item 0: a text, a number"),
        (items.json_list, b'[{"x": ["a"]}]', "item 0, 'x': a text"),
        (items.json_list, b'["\\ud800"]', "half of a character"),
        (items.json_list, b"[" * 100_000, "not JSON"),
        (items.json_list, b'[{"\\ud800": "x"}]', "item 0: holds half of a character"),
        (items.csv_rows, b"", "the first row must name the columns"),
        (items.csv_rows, b"x,x\n1,2\n", "two columns are called 'x'"),
        (items.csv_rows, b"x,\n1,2\n", "column 2 has no name"),
        (items.csv_rows, b"x,y\n1,2\n1,2,3\n", "line 3: 3 values for 2 columns (x, y)"),
        (items.csv_rows, b'x,y\n1,"2\n3,4\n', "line 2: a quote is opened, and not closed"),
        (
            items.csv_rows,
            b"x;y\n1;2\n3;4;5\n",
            "line 3: 3 values for 2 columns (x, y) (read with ';'",
        ),
        (items.csv_rows, b"x;y;z\r\n1;2\r\n", "line 2: 2 values for 3 columns"),
        (items.csv_rows, b"x\ty\n1\t2\n3\n", "line 3: 1 value for 2 columns"),
        (items.csv_rows, b"x;y\n1;2;3\n1;2;3;4\n", "line 2: 3 values for 2 columns (x, y)"),
        (items.csv_rows, b"x;y\n", "no row but the first one (x, y)"),
        (items.csv_rows, b"x,y\n1,\xff\n", "is not UTF-8 text"),
        (items.csv_rows, b"x,y\n1,\0\n", "line 2: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, read: object, data: bytes, told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        of_file(tmp_path, read, data)
    assert told in caught.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        items.lines(tmp_path / "missing", NOTHING)
    with pytest.raises(UsageError, match="directory"):
        items.lines(tmp_path, NOTHING)


def test_seq() -> None:
    assert [(i.text, i.values) for i in items.seq(2)] == [("0", {"i": "0"}), ("1", {"i": "1"})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a{000..002}b", ["a000b", "a001b", "a002b"]),
        ("{8..10}", ["8", "9", "10"]),
        ("{08..10}", ["08", "09", "10"]),
        ("{3..1}", ["3", "2", "1"]),
        ("{0..6..3}", ["0", "3", "6"]),
        ("{-1..1}", ["-1", "0", "1"]),
        ("{a..c}", ["a", "b", "c"]),
        ("{a,b}{1..2}", ["a1", "a2", "b1", "b2"]),
        ("x{a,,b}", ["xa", "x", "xb"]),
        ("{a,b{1..2}}", ["a", "b1", "b2"]),
        ("plain", ["plain"]),
        ("{" + "{a,b}{c,{1..2}}," * 2 + "x}", ["ac", "a1", "a2", "bc", "b1", "b2"] * 2 + ["x"]),
        ("{a," * 32 + "b" + "}" * 32, ["a"] * 32 + ["b"]),
        ("x{1..1}" * 2000, ["x1" * 2000]),
        ("a\\{b\\}", ["a{b}"]),
    ],
)
def test_braces(text: str, expected: list[str]) -> None:
    assert texts(items.braces(text)) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a{1..2", "a '{' is not closed"),
        ("a}", "has no '{' before it"),
        ("{x}", "{x}: {FIRST..LAST} or {A,B} is needed"),
        ("{0..99999999}", "more than 10000000"),
        ("{0..99999999999999999999999}", "more than 10000000"),
        ("{1..9999}{1..9999}", "more than 10000000"),
        ("{" * 600, "more than 32 braces within each other"),
        ("{a," * 33 + "b" + "}" * 33, "more than 32 braces within each other"),
    ],
)
def test_wrong_braces(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        items.braces(text)
    assert told in caught.value.message


_PIECES = st.sampled_from(
    ["a", "-", ".", "{1..3}", "{01..03}", "{a,b}", "{x,{1..2}}", "{3..1}", "{0..4..2}"]
)


@given(st.lists(_PIECES, max_size=4).map("".join))
def test_a_pattern_has_as_many_items_as_it_says(text: str) -> None:
    pattern = braces.parse(text)
    found = list(itertools.islice(pattern, 1000))
    assert len(found) == min(len(pattern), 1000)


def test_braces_are_those_of_bash() -> None:
    """One process for all patterns."""
    patterns = ["a{00..12}b", "{a,b}{1..3}", "{3..1}x{q,}", "{-03..2}", "{a,b{1..2}c}", "{1..9..4}"]
    script = "; echo; ".join(f"printf '%s\\n' {pattern}" for pattern in patterns)
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    for pattern, told in zip(patterns, said.stdout.split("\n\n"), strict=True):
        assert texts(items.braces(pattern)) == told.rstrip("\n").split("\n")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_json_texts_come_back(found: list[str]) -> None:
    assert texts(items.json_list(None, io.BytesIO(json.dumps(found).encode()))) == found
