"""Does an object have the shape of its kind? Unknown fields go, values become canonical.

The texts are those of Kubernetes' own decoder (Go's JSON decoder below it).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from jobman.local.api import types
from jobman.local.api.decode import decode as decode
from jobman.local.api.decode import json_type
from jobman.local.api.resources import RESOURCES, Resource
from jobman.local.api.status import ApiError, Cause, bad_request, invalid
from jobman.local.moments import micro_stamp, stamp
from jobman.values import quantity

Mode = Literal["Strict", "Warn", "Ignore"]
Path = tuple[Any, ...]
"""Where we are: `()` at the top, else (the path above, a field's name or an element's index)."""

_UNKNOWN_MAX = 100
_REMEMBERED_CHARS = 512
_QUANTITY_FORM = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"


class _MismatchError(Exception):
    """A value that is not of its type; `fatal` as Go's decoder stops at once."""

    def __init__(self, text: str, *, fatal: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.fatal = fatal


class _Walk:
    """One object's way through the tables: what was found on it."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.mismatch: str | None = None

    def surprised(self, what: str, path: Path) -> None:
        """Note a field that is unknown or a duplicate: once, and no more of them than Go does."""
        if len(self.unknown) < _UNKNOWN_MAX:
            text = f'{what} field "{_written(path)}"'
            if text not in self.unknown:
                self.unknown.append(text)


def check(resource: Resource, obj: Any, mode: Mode) -> tuple[dict[str, Any], list[str]]:
    """`obj` without unknown fields and nulls, in canonical values, and the warnings to send.

    Objects in it may be `Duplicated` (see `decode`). Raises ApiError 400 for another kind, a wrong
    type, a bad quantity, and under Strict for unknown or duplicate fields.
    """
    _check_kind(resource, obj)
    try:
        shaped, warnings = decode_as(resource.kind, obj, mode)
    except ValueError as error:
        raise bad_request(_cannot_be_handled(resource, obj, str(error))) from None
    return _named(resource, shaped), warnings


def check_patched(resource: Resource, obj: Any, mode: Mode) -> tuple[dict[str, Any], list[str]]:
    """Like `check`, for the outcome of a patch: a problem is a 422 about the patch."""
    try:
        shaped, warnings = decode_as(resource.kind, obj, mode)
    except ValueError as error:
        raise invalid_patch(obj, str(error)) from None
    return _named(resource, shaped), warnings


_FIRST = ("kind", "apiVersion", "metadata", "spec")


def _named(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """`obj` with its kind, in the order of fields that Kubernetes writes."""
    obj["kind"], obj["apiVersion"] = resource.kind, resource.group_version
    first = {name: obj.pop(name) for name in _FIRST if name in obj}
    return first | obj


def decode_as(type_name: str, obj: Any, mode: Mode) -> tuple[dict[str, Any], list[str]]:
    """`obj` as the struct `type_name`. Raises ValueError with the decoder's own text."""
    walk = _Walk()
    try:
        shaped = _struct(types.struct(type_name), type_name, obj, (), walk)
    except _MismatchError as error:
        raise ValueError(error.text) from None
    if walk.mismatch is not None:
        raise ValueError(walk.mismatch)
    if mode == "Ignore":
        return shaped, []
    if mode == "Strict" and walk.unknown:
        raise ValueError("strict decoding error: " + ", ".join(walk.unknown))
    return shaped, walk.unknown


def invalid_patch(obj: Any, why: str) -> ApiError:
    """The refusal of a patch that makes this of an object."""
    shown = json.dumps(json.dumps(obj, separators=(",", ":"), ensure_ascii=False))
    message = f"Invalid value: {shown}: {why}"
    return invalid("", "", "", [Cause("FieldValueInvalid", "patch", message)])


def _check_kind(resource: Resource, obj: Any) -> None:
    if not isinstance(obj, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    kind = obj.get("kind") or resource.kind
    version = obj.get("apiVersion") or resource.group_version
    if (kind, version) == (resource.kind, resource.group_version):
        return
    if not isinstance(kind, str) or not isinstance(version, str):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get"
            " version/kind; json parse error: apiVersion and kind must be strings"
        )
    if _is_served(kind, version):
        group = resource.group.partition(".")[0] or "core"
        problem = (
            f"converting ({version.rpartition('/')[2]}.{kind}) to ({group}.{resource.kind}):"
            " unknown conversion"
        )
    else:
        problem = (
            f'no kind "{kind}" is registered for version "{version}" in scheme'
            ' "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
        )
    raise bad_request(_cannot_be_handled(resource, obj, problem))


def _is_served(kind: str, version: str) -> bool:
    return any((r.kind, r.group_version) == (kind, version) for r in RESOURCES)


def _cannot_be_handled(resource: Resource, obj: dict[str, Any], problem: str) -> str:
    version = str(obj.get("apiVersion") or resource.group_version).rpartition("/")[2]
    kind = obj.get("kind") or resource.kind
    return f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {problem}'


def _struct(fields: types.Struct, owner: str, obj: Any, path: Path, walk: _Walk) -> dict[str, Any]:
    if not isinstance(obj, dict):
        raise _MismatchError(
            f"json: cannot unmarshal {json_type(obj)} into Go value of type v1.{owner}"
        )
    for name in getattr(obj, "duplicates", ()):
        walk.surprised("duplicate", (path, name))
    kept: dict[str, Any] = {}
    for name, value in obj.items():
        field = fields.get(name)
        if field is None:
            walk.surprised("unknown", (path, name))
        elif value is not None:
            value = _value(field.type, owner, value, (path, name), walk)
            if value is not None and not (field.omits_zero and _is_zero(value)):
                kept[name] = value
    return kept


def _is_zero(value: Any) -> bool:
    return value == "" or value is False or (not value and not isinstance(value, float))


def _value(kind: types.Type, owner: str, value: Any, path: Path, walk: _Walk) -> Any:
    """`value` made canonical; None where it is as if not given, or not of its type (noted)."""
    form = kind.form
    if form == "struct":
        if isinstance(value, dict):
            return _struct(types.struct(kind.name), kind.name, value, path, walk)
    elif form == "list":
        if isinstance(value, list):
            return _list(kind, owner, value, path, walk)
    elif form == "map":
        if isinstance(value, dict):
            return _map(kind, owner, value, path, walk)
    elif form == "s" and type(value) is str:
        return value
    else:
        try:
            return _PLAIN[form](value)
        except _MismatchError as error:
            if error.fatal:
                raise
            _note(walk, error.text, owner, path, kind)
            return None
    _note(walk, json_type(value), owner, path, kind)
    return None


def _list(kind: types.Type, owner: str, value: list[Any], path: Path, walk: _Walk) -> list[Any]:
    element = kind.element or types.ANYTHING
    if element.form == "s" and all(type(item) is str for item in value):
        return value
    return [
        _zero(element) if item is None else _value(element, owner, item, (path, index), walk)
        for index, item in enumerate(value)
    ]


def _map(
    kind: types.Type, owner: str, value: dict[str, Any], path: Path, walk: _Walk
) -> dict[str, Any]:
    element = kind.element or types.ANYTHING
    for name in getattr(value, "duplicates", ()):
        walk.surprised("duplicate", (path, name))
    if element.form == "s" and all(type(item) is str for item in value.values()):
        return value
    return {
        key: _zero(element) if item is None else _value(element, owner, item, path, walk)
        for key, item in value.items()
    }


def _zero(kind: types.Type) -> Any:
    """What null is as an element."""
    if kind.form in ("struct", "map"):
        return {}
    return {"list": [], "i": 0, "l": 0, "b": False, "q": "0"}.get(kind.form, "")


def _note(walk: _Walk, found: str, owner: str, path: Path, kind: types.Type) -> None:
    if walk.mismatch is None:
        walk.mismatch = (
            f"json: cannot unmarshal {found} into Go struct field {owner}.{_go_path(path)} of type"
            f" {kind.go_name}"
        )


def _go_path(path: Path) -> str:
    """The names alone: Go's decoder names no index (and keys of maps are not on the path)."""
    parts = []
    while path:
        path, part = path
        parts.append(part)
    return ".".join(part for part in reversed(parts) if isinstance(part, str))


def _written(path: Path) -> str:
    text, parts = "", []
    while path:
        path, part = path
        parts.append(part)
    for part in reversed(parts):
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _MismatchError(json_type(value))


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _MismatchError(json_type(value))


def _integer(bits: int) -> Callable[[Any], int]:
    limit = 1 << (bits - 1)

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _MismatchError(json_type(value))
        if isinstance(value, float) or not -limit <= value < limit:
            raise _MismatchError(f"number {value}")
        return value

    return read


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _MismatchError(json_type(value))
    return value


def _int_or_string(value: Any) -> int | str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _MismatchError(
            f"json: cannot unmarshal {json_type(value)} into Go value of type int32", fatal=True
        )
    if isinstance(value, float) or not -(1 << 31) <= value < 1 << 31:
        raise _MismatchError(
            f"json: cannot unmarshal number {value} into Go value of type int32", fatal=True
        )
    return value


def _quantity(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _MismatchError(
            f"quantities must match the regular expression '{_QUANTITY_FORM}'", fatal=True
        )
    text = value if isinstance(value, str) else repr(value)
    return _canonical(text) if len(text) <= _REMEMBERED_CHARS else _canonical.__wrapped__(text)


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    try:
        return str(quantity.parse(text, allow_negative=True))
    except ValueError:
        if text and re.fullmatch(_QUANTITY_FORM, text) and text.count(".") < 2:
            raise _MismatchError("unable to parse quantity's suffix", fatal=True) from None
        raise _MismatchError(
            f"quantities must match the regular expression '{_QUANTITY_FORM}'", fatal=True
        ) from None


# Go's zero time: a field that has it is not given.
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)


def _time(value: Any) -> str | None:
    moment = _moment(value)
    return None if moment == _NO_TIME else stamp(moment)


def _micro_time(value: Any) -> str | None:
    moment = _moment(value)
    return None if moment == _NO_TIME else micro_stamp(moment)


_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise _MismatchError(
            f"json: cannot unmarshal {json_type(value)} into Go value of type string", fatal=True
        )
    match = _TIME.fullmatch(value)
    try:
        if match is None:
            raise ValueError
        fraction = (match[2] or "0").ljust(6, "0")[:6]
        offset = "+00:00" if match[3] in "Zz" else match[3]
        return datetime.fromisoformat(f"{match[1]}.{fraction}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        shown = json.dumps(value)
        raise _MismatchError(
            f'parsing time {shown} as "2006-01-02T15:04:05Z07:00": cannot parse {shown} as "2006"',
            fatal=True,
        ) from None


_BASE64 = re.compile(r"[A-Za-z0-9+/]*")


def _base64(value: Any) -> str:
    if not isinstance(value, str):
        raise _MismatchError(json_type(value))
    text = value.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        good = _BASE64.match(text)
        place = good.end() if good else 0
        raise _MismatchError(f"illegal base64 data at input byte {place}", fatal=True) from None
    return text


def _anything(value: Any) -> Any:
    return value


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "s": _string,
    "i": _integer(32),
    "l": _integer(64),
    "b": _bool,
    "n": _number,
    "q": _quantity,
    "t": _time,
    "u": _micro_time,
    "x": _int_or_string,
    "y": _base64,
    "*": _anything,
}
