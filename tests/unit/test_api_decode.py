"""Bodies as objects: the texts of Go's decoder, repeated fields, YAML with JSON's types."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.local.api.decode import BodyError, Duplicated, decode, decode_yaml, from_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "unexpected end of JSON input (<empty>)"),
        (b'{"a":', 'unexpected end of JSON input ({"a":)'),
        (b'{"a":"b', 'unexpected end of JSON input ({"a":"b)'),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key ("),
        (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        (b'{"a":1}x', "invalid character 'x' after top-level value"),
        (b'{"a":"\n"}', "invalid character '\n' in string literal"),
        (b"nope", "invalid character 'n' looking for beginning of value (6e6f7065)"),
        (b"[" * 100_000, "exceeded max depth"),
        (b"[1]", "json: cannot unmarshal array into Go value of type struct"),
        (b'"x"', "json: cannot unmarshal string into Go value of type struct"),
        (b"true", "json: cannot unmarshal bool into Go value of type struct"),
        (b"7", "json: cannot unmarshal number into Go value of type struct"),
    ],
)
def test_what_is_no_object_is_told_as_go_tells_it(body: bytes, text: str) -> None:
    with pytest.raises(BodyError) as refused:
        decode(body)
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"null", {}),
        (b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a":"\\ud800"}', {"a": "�"}),
        (b'{"a":"\xff"}', {"a": "�"}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{ "a\\":1" : 1.0 }', {'a":1': 1.0}),
    ],
)
def test_what_go_takes_is_taken(body: bytes, value: Any) -> None:
    assert decode(body) == value


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"a":1,"a":2}', ["a"]),
        (b'{"a" :1,"a" :2,"b":3,"a":4}', ["a"]),
        (b'{"a":"x\\":y","b":1,"b":2}', ["b"]),
        (b'{"a":1,"b":2}', []),
    ],
)
def test_repeated_fields_are_noted_and_the_last_counts(body: bytes, names: list[str]) -> None:
    obj = decode(body)
    assert getattr(obj, "duplicates", []) == names
    assert isinstance(obj, Duplicated) == bool(names)


def test_repeated_fields_deep_inside_are_noted() -> None:
    obj = decode(b'{"a":{"b":[{"c":1,"c":2}]}}')
    assert obj["a"]["b"][0].duplicates == ["c"]


@given(JSON)
def test_json_comes_back(value: Any) -> None:
    assert from_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (decode, decode_yaml):
        with contextlib.suppress(BodyError):
            assert isinstance(read(body), dict)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2026-01-01T00:00:00Z", {"a": "2026-01-01T00:00:00Z"}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("2: x\ntrue: y", {"2": "x", "true": "y"}),
        ("a: [1, 2.5, ~, yes]", {"a": [1, 2.5, None, True]}),
    ],
)
def test_yaml_has_the_types_of_json(text: str, value: Any) -> None:
    assert decode_yaml(text.encode()) == value


@pytest.mark.parametrize(
    "text",
    ["a: .inf", "a: !!set {x}", "a: b: c", "? [1]\n: 2", "- 1", "a: !!python/name:os.system"],
)
def test_yaml_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BodyError):
        decode_yaml(text.encode())


def _bomb(form: str) -> str:
    """Nine times nine times nine …, each line by aliases of the one before."""
    lines = ["l0: &l0 {x: y}"]
    lines += [f"l{n}: &l{n} " + form.format(",".join([f"*l{n - 1}"] * 9)) for n in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('kind: "Jo\\ud800b"\n', "found invalid Unicode character escape code"),
        ("a: &a [*a]\n", "yaml: anchor 'a' value contains itself"),
        ("a: &a {b: {c: *a}}\n", "yaml: anchor 'a' value contains itself"),
        ("a: " + "[" * 600 + "]" * 600, "yaml: exceeded max depth of 500"),
        ("a: " + "[" * 100_000, "yaml: exceeded max depth of 500"),
        (_bomb("[{}]"), "yaml: document contains excessive aliasing"),
        (_bomb("{{<<: [{}]}}"), "yaml: document contains excessive aliasing"),
    ],
)
def test_yaml_that_would_be_too_much(text: str, why: str) -> None:
    with pytest.raises(BodyError, match=re.escape(why)):
        decode_yaml(text.encode())


def test_yaml_with_some_aliases() -> None:
    text = "a: &a {x: [1]}\nb: *a\nc: {<<: *a, y: 2}\nd: [*a, *a]\n"
    assert decode_yaml(text.encode()) == {
        "a": {"x": [1]},
        "b": {"x": [1]},
        "c": {"x": [1], "y": 2},
        "d": [{"x": [1]}, {"x": [1]}],
    }
