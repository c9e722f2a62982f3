"""The text of a body as an object: JSON read as Go reads it, and YAML read as JSON."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

import msgspec
import yaml

from jobman.local.api import yaml_body

_SPACED = re.compile(rb'"[ \t\r\n]+:')
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SHOWN = 30
_HEADER = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string'
    ' "json:\\"kind,omitempty\\"" }'
)


class BodyError(ValueError):
    """A body that is no object, in the words of Go's decoder."""


class Duplicated(dict[str, Any]):
    """An object some of whose fields were given more than once; the last one counts."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.duplicates = [name for name, count in counts.items() if count > 1]


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; objects in it with a repeated field are `Duplicated`.

    Raises BodyError with the decoder's text and the start of the body, as Kubernetes shows it.
    """
    try:
        value = from_json(body)
    except BodyError as error:
        raise BodyError(f"{error} ({_summary(body)})") from None
    return _object(value, body)


def decode_yaml(body: bytes) -> dict[str, Any]:
    """The YAML object in a body. Raises BodyError."""
    try:
        value = yaml_body.load(body)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        text = " ".join(str(error).split())
        raise BodyError(f"error converting YAML to JSON: {text} ({_summary(body)})") from None
    return _object(_without_surrogates(_as_json(value)), body)


def from_json(body: bytes) -> Any:
    """The JSON value in a body. Raises BodyError with the text of Go's decoder."""
    try:
        value = msgspec.json.decode(body)
        if _SPACED.search(body) is None and _written_keys(body) == _count_keys(value):
            return value  # as many fields as were written: none of them twice
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the slow way tells what is wrong, and takes what Go takes
    return _slowly(body.decode(errors="replace"))


def _slowly(text: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BodyError(_go_text(error, text)) from None
    except ValueError as error:  # a constant that JSON does not have, a number of 5,000 digits
        raise BodyError(str(error)) from None
    except RecursionError:
        raise BodyError("exceeded max depth") from None
    return _without_surrogates(value) if _SURROGATE.search(text) else value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Duplicated(pairs)


def _no_constant(word: str) -> NoReturn:
    raise BodyError(f"invalid character '{word.lstrip('-')[0]}' looking for beginning of value")


_WHERE = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": (
        "looking for beginning of object key string"
    ),
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
}


def _go_text(error: json.JSONDecodeError, text: str) -> str:
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    problem = error.msg.removesuffix(":")
    where = _WHERE.get(problem, "looking for beginning of value")
    return f"invalid character '{text[error.pos]}' {where}"


def _written_keys(body: bytes) -> int:
    return body.count(b'":') - body.count(b'\\":')


def _count_keys(value: Any) -> int:
    count, todo = 0, [value]
    while todo:
        each = todo.pop()
        if type(each) is dict:
            count += len(each)
            todo += each.values()
        elif type(each) is list:
            todo += each
    return count


def _without_surrogates(value: Any) -> Any:
    """Halves of a character alone become U+FFFD, as in Go."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        clean = [(_without_surrogates(key), _without_surrogates(v)) for key, v in value.items()]
        return _pairs(clean)
    return value


def _object(value: Any, body: bytes) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    text = f"json: cannot unmarshal {json_type(value)} into Go value of type {_HEADER}"
    raise BodyError(f"{text} ({_summary(body)})")


def json_type(value: Any) -> str:
    """What Go's decoder calls the type of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if value is None:
        return "null"
    return "array" if isinstance(value, list) else "object"


def _summary(body: bytes) -> str:
    if not body:
        return "<empty>"
    start = body[:_SHOWN]
    shown = start.decode(errors="replace") if start.startswith(b"{") else start.hex()
    return shown if len(body) <= _SHOWN else f"{shown} ..."


def _as_json(value: Any) -> Any:
    """YAML's other keys and values as JSON has them; what cannot be raises BodyError."""
    if isinstance(value, dict):
        return {_key(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise BodyError("json: unsupported value")
    if value is None or isinstance(value, str | int | float):
        return value
    raise BodyError(f"a {type(value).__name__} is no JSON value")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return str(key)
    raise BodyError("a key is a text")
