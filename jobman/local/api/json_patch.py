"""RFC 6902: a list of operations on a JSON document, and RFC 6901 pointers into it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import msgspec

Operation = dict[str, Any]

_COPIED_MAX = 3 * 1024 * 1024
_MOVED_MAX = 200_000_000
_MOVING = ("add", "remove", "move", "copy")


class PatchError(ValueError):
    """The operations do not fit the document, or are no operations."""


def apply(document: Any, operations: list[Any]) -> Any:
    """`document` after all operations; itself untouched. Raises PatchError."""
    holder = [copy.deepcopy(document)]
    copied = moved = 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise PatchError("an operation is an object")
        run = _OPERATIONS.get(str(operation.get("op")))
        if run is None:
            raise PatchError(f"unknown operation: {operation.get('op')}")
        if operation["op"] == "copy":
            copied += len(msgspec.json.encode(_look(holder, _pointer(operation, "from"))))
        moved += _moves(holder, operation)
        if copied > _COPIED_MAX or moved > _MOVED_MAX:
            raise PatchError("it is too much for one patch")
        run(holder, operation)
    return holder[0]


def _moves(holder: list[Any], operation: Operation) -> int:
    """How many items of lists are behind the one that comes or goes."""
    moved = 0
    for name in ("path", "from") if operation["op"] in _MOVING else ():
        with contextlib.suppress(PatchError):  # which the operation itself tells
            parent, key = _place(holder, _pointer(operation, name))
            moved += max(len(parent) - int(key), 0) if isinstance(parent, list) else 0
    return moved


def _pointer(operation: Operation, name: str) -> list[str]:
    text = operation.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"missing or bad {name}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _place(holder: list[Any], path: list[str]) -> tuple[Any, str | int]:
    """What holds the target, and the target's key or index in it; the root is held by `holder`."""
    parent: Any = holder
    key: str | int = 0
    for part in path:
        parent = _child(parent, key)
        if isinstance(parent, dict):
            key = part
        elif isinstance(parent, list):
            key = len(parent) if part == "-" else _index(part)
        else:
            raise PatchError(f"nothing can be at {part!r}")
    return parent, key


def _index(part: str) -> int:
    if not part.isascii() or not part.isdigit() or (part[0] == "0" and part != "0"):
        raise PatchError(f"{part!r} is no index")
    return int(part) if len(part) < 10 else 10**9


def _child(parent: Any, key: str | int) -> Any:
    try:
        return parent[key]
    except (KeyError, IndexError):
        raise PatchError(f"nothing at {key!r}") from None


def _value(operation: Operation) -> Any:
    if "value" not in operation:
        raise PatchError("missing value")
    return copy.deepcopy(operation["value"])


def _put(holder: list[Any], path: list[str], value: Any) -> None:
    parent, key = _place(holder, path)
    if isinstance(parent, list) and parent is not holder:
        if isinstance(key, int) and key > len(parent):
            raise PatchError(f"index {key} is past the end")
        parent.insert(int(key), value)
    else:
        parent[key] = value


def _take(holder: list[Any], path: list[str]) -> Any:
    parent, key = _place(holder, path)
    taken = _child(parent, key)
    if parent is holder:
        holder[0] = None
    else:
        del parent[key]
    return taken


def _look(holder: list[Any], path: list[str]) -> Any:
    return _child(*_place(holder, path))


def _add(holder: list[Any], operation: Operation) -> None:
    _put(holder, _pointer(operation, "path"), _value(operation))


def _remove(holder: list[Any], operation: Operation) -> None:
    _take(holder, _pointer(operation, "path"))


def _replace(holder: list[Any], operation: Operation) -> None:
    parent, key = _place(holder, _pointer(operation, "path"))
    _child(parent, key)
    parent[key] = _value(operation)


def _move(holder: list[Any], operation: Operation) -> None:
    source, target = _pointer(operation, "from"), _pointer(operation, "path")
    if len(target) > len(source) and target[: len(source)] == source:
        raise PatchError("a value cannot move into itself")
    _put(holder, target, _take(holder, source))


def _copy(holder: list[Any], operation: Operation) -> None:
    value = copy.deepcopy(_look(holder, _pointer(operation, "from")))
    _put(holder, _pointer(operation, "path"), value)


def _test(holder: list[Any], operation: Operation) -> None:
    parent, key = _place(holder, _pointer(operation, "path"))
    wanted = _value(operation)
    if isinstance(parent, dict) and key not in parent and wanted is None:
        return  # that nothing is there is asked so
    if not same(_child(parent, key), wanted):
        raise PatchError("the test failed")


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


_OPERATIONS: dict[str, Callable[[list[Any], Operation], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
