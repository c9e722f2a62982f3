"""YAML and JSON texts to plain values, as kubectl reads them."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from jobman.errors import UsageError

_BASE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DROPPED = ("timestamp", "int", "float")


class _Loader(_BASE):  # type: ignore[misc, valid-type]
    """Dates and `12:30` are text; `1e3` is a number; a key may stand once."""

    yaml_implicit_resolvers = {  # noqa: RUF012 PyYAML's own name and type
        first: [(tag, pattern) for tag, pattern in found if tag.rpartition(":")[2] not in _DROPPED]
        for first, found in _BASE.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key '{key.value}' is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
        r"|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


def load(text: str, source: str) -> list[Any]:
    """The documents that are not empty, of JSON's types alone. Raises UsageError.

    A text that begins with a brace is JSON where it can be.
    """
    found = _json(text) if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") else None
    if found is None:
        found = _yaml(text, source)
    try:
        plain = [_plain(value) for value in found]
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{source}: holds what JSON cannot: {error}") from error
    return [value for value in plain if value is not None]


def _plain(value: Any) -> Any:
    """The value as it comes out of JSON: keys are text. Raises TypeError and ValueError."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode()
    return json.loads(text)


def _json(text: str) -> list[Any] | None:
    try:
        return [json.loads(text.removeprefix("\ufeff"))]
    except (ValueError, RecursionError):
        return None


def _yaml(text: str, source: str) -> list[Any]:
    try:
        return list(yaml.load_all(text, _Loader))
    except yaml.YAMLError as error:
        raise UsageError(f"{source}: no YAML: {_told(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source}: cannot be read: {error}") from error


def _told(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
