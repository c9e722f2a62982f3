"""What the items are, and the pod of each."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.errors import UsageError
from jobman.map import items
from jobman.map.items import Item, Items
from jobman.map.template import Template, name_problems


def read(source: Callable[..., Items], text: bytes) -> list[tuple[str, Any]]:
    return [(item.text, dict(item.values)) for item in source(None, io.BytesIO(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"a\nb\n", ["a", "b"], id="lines"),
        pytest.param(b"a\r\n\n \nb", ["a", "b"], id="blank ones and the last without its end"),
        pytest.param(b"\xef\xbb\xbfa b\n", ["a b"], id="a byte order mark"),
        pytest.param("ü '\"{}\t:\n".encode(), ["ü '\"{}\t:"], id="whatever there may be in one"),
    ],
)
def test_lines(text: bytes, expected: list[str]) -> None:
    assert read(items.lines, text) == [(line, {}) for line in expected]


def test_json() -> None:
    found = read(items.json_list, b'["a", 3, {"x": 1, "y": [2]}]')
    assert found == [("a", {}), ("3", {}), ('{"x":1,"y":[2]}', {"x": 1, "y": [2]})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"x,y\n1,2\n", [{"x": "1", "y": "2"}], id="commas"),
        pytest.param(b"\xef\xbb\xbfx;y\r\n1;2\r\n", [{"x": "1", "y": "2"}], id="as Excel has it"),
        pytest.param(b'x,y\n"a, b","c\nd"\n', [{"x": "a, b", "y": "c\nd"}], id="quotes"),
        pytest.param(b"x\n1\n2\n", [{"x": "1"}, {"x": "2"}], id="one column"),
        pytest.param(b"x,y\n", [], id="no rows"),
    ],
)
def test_csv(text: bytes, expected: list[dict[str, str]]) -> None:
    assert [values for _, values in read(items.csv_rows, text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a", ["a"], id="no braces"),
        pytest.param(
            "s-{08..11}.tar", ["s-08.tar", "s-09.tar", "s-10.tar", "s-11.tar"], id="zeroes"
        ),
        pytest.param("{a,b}{1..2}", ["a1", "a2", "b1", "b2"], id="several multiply"),
        pytest.param("{3..1}", ["3", "2", "1"], id="downwards"),
        pytest.param("{0..10..5}", ["0", "5", "10"], id="steps"),
    ],
)
def test_braces(text: str, expected: list[str]) -> None:
    assert [item.text for item in items.braces(text)] == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: read(items.lines, b"\xff\n"), "stdin, line 1: is not UTF-8"),
        (lambda: items.lines(Path("/no/such"), io.BytesIO()), "/no/such: No such file"),
        (lambda: read(items.json_list, b"{}"), "a JSON list is needed"),
        (lambda: read(items.json_list, b"["), "stdin is not JSON"),
        (lambda: read(items.json_list, b"[null]"), "item 0: a text or an object is needed"),
        (lambda: read(items.csv_rows, b"a,b\n1\n"), "line 2: 1 values for 2 columns"),
        (lambda: read(items.csv_rows, b"a,a\n"), "no name twice"),
        (lambda: read(items.csv_rows, b""), "the first row must name each column"),
        (lambda: items.braces("{a"), "a brace is not closed"),
        (lambda: items.braces("{a}"), "is needed"),
        (lambda: items.braces("{1..9999}{1..9999}"), "more than ten million"),
    ],
)
def test_what_is_wrong_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@given(st.lists(st.text()))
def test_items_come_back_as_often_as_asked(texts: list[str]) -> None:
    found = Items((text, {}) for text in texts)
    for _ in range(2):
        assert [item.text for item in found] == texts
    assert found.count == len(texts)
    assert found.digest == Items((text, {}) for text in texts).digest


def test_a_pass_is_not_disturbed_by_another() -> None:
    found = items.seq(5)
    assert [(a.text, b.text) for a, b in zip(found, found, strict=True)] == [
        (str(n), str(n)) for n in range(5)
    ]


def template(tmp_path: Path, text: str) -> Template:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    return Template.of_file(path, "run")


POD = """
kind: Pod
apiVersion: v1
metadata: {name: "p-{{.Item}}"}
spec:
  containers:
  - name: c
    args: [{{.Item}}, "{{ .Index }}: {{.Values.key}}", '${HOME}']
"""


def test_placeholders_are_filled_in(tmp_path: Path) -> None:
    made = template(tmp_path, POD).expand(Item(7, "x", {"key": "v"}))
    assert made["metadata"]["name"] == "p-x"
    assert made["spec"]["containers"][0]["args"] == ["x", "7: v", "${HOME}"]
    assert made["spec"]["restartPolicy"] == "Never"


@given(st.text())
def test_an_item_cannot_change_the_structure(text: str) -> None:
    pod = {"kind": "Pod", "spec": {"containers": [{"name": "c", "args": ["a{{.Item}}b"]}]}}
    made = Template(pod, "run").expand(Item(0, text))
    assert made["spec"] == {"containers": [{"name": "c", "args": [f"a{text}b"]}]}
    assert json.loads(json.dumps(made)) == made


def test_a_job_gives_its_pod(tmp_path: Path) -> None:
    job = {
        "kind": "Job",
        "metadata": {"name": "j-{{.Item}}"},
        "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}},
    }
    made = template(tmp_path, json.dumps(job)).expand(Item(0, "x"))
    assert (made["kind"], made["metadata"]) == ("Pod", {"labels": {"a": "b"}, "name": "j-x"})


def test_the_words_of_a_command_may_name_columns() -> None:
    words = ["{x}", "${x}", "{y}", "{{.Item}}", "{{.Values.x}}"]
    pod = {"kind": "Pod", "spec": {"containers": [{"args": words}]}}
    made = Template.of_pod(pod, "run", ["x"]).expand(Item(3, "a$(b)", {"x": "$1"}))
    assert made["spec"]["containers"][0]["args"] == ["$$1", "${x}", "{y}", "a$$(b)", "$$1"]
    assert made["metadata"]["name"] == "run-3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Service", "a Pod or a Job is needed, not Service"),
        ("a\n---\nb", "one Pod or Job is needed, there are 2"),
        ("kind: Pod", "spec is missing"),
        ("kind: Pod\nspec: {restartPolicy: Always}", "never ends"),
        ("kind: Pod\nspec: {a: '{{.Foo}}'}", r"{{.Foo}}; there are"),
        ("kind: Pod\nspec: {a: [}", "no YAML"),
    ],
)
def test_templates_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        template(tmp_path, text)


def test_a_value_that_an_item_lacks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="item 0 has no value 'key'; its values: x"):
        template(tmp_path, POD).expand(Item(0, "a", {"x": 1}))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["a", "b"], [], id="all is well"),
        pytest.param(
            ["a", "b", "a"], ["item 2: the pod's name 'p-a' is the name of more"], id="two"
        ),
        pytest.param(["A_b"], ["item 0: the pod's name 'p-A_b' only lower case"], id="invalid"),
        pytest.param(["x" * 249], [f"item 0: the pod's name 'p-{'x' * 249}' is longer"], id="long"),
    ],
)
def test_names_are_checked_first(tmp_path: Path, texts: list[str], expected: list[str]) -> None:
    found = list(name_problems(Items((t, {}) for t in texts), template(tmp_path, POD)))
    assert len(found) == len(expected)
    assert all(told.startswith(begin) for told, begin in zip(found, expected, strict=True))
