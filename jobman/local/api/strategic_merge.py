"""Kubernetes' strategic merge: like a merge patch, but lists merge by the key of their type.

Directives in a patch: `$patch: replace|delete|merge`, `$retainKeys`,
`$setElementOrder/FIELD`, `$deleteFromPrimitiveList/FIELD`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from jobman.local.api import types
from jobman.local.api.cause import shown

Object = dict[str, Any]

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"
_UNTYPED = types.Field(types.ANYTHING)


class DirectiveError(ValueError):
    """A patch whose directives or merge keys make no sense."""


def merge(type_name: str, original: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    """The struct `type_name` after the patch; neither argument is changed."""
    return _struct(types.struct(type_name), original, patch)


def _struct(fields: types.Struct, original: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    directive = patch.get(_PATCH, "merge")
    if directive == "replace":
        original = {}
    elif directive == "delete":
        return {}
    elif directive != "merge":
        raise DirectiveError(f"Unknown patch type found: {directive}")
    kept = _retained(original, patch)
    for name, value in patch.items():
        if not name.startswith("$"):
            _set(kept, name, fields.get(name, _UNTYPED), value)
    for name, value in patch.items():
        if name.startswith(_DELETE):
            _delete_from(kept, name.removeprefix(_DELETE), _items(name, value))
    for name, value in patch.items():
        if name.startswith(_ORDER):
            _put_in_order(kept, original, name.removeprefix(_ORDER), fields, _items(name, value))
    return kept


def _items(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise DirectiveError(f"{name} must be a list")
    return value


def _retained(original: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    if _RETAIN not in patch:
        return dict(original)
    names = _items(_RETAIN, patch[_RETAIN])
    if any(
        key not in names for key, value in patch.items() if key[:1] != "$" and value is not None
    ):
        raise DirectiveError(f"{_RETAIN} must name every field of the patch")
    return {key: value for key, value in original.items() if key in names}


def _set(kept: Object, name: str, field: types.Field, value: Any) -> None:
    if value is None:
        kept.pop(name, None)
        return
    before = kept.get(name)
    if isinstance(value, dict):
        fields = types.struct(field.type.name) if field.type.form == "struct" else {}
        kept[name] = _struct(fields, before if isinstance(before, dict) else {}, value)
    elif isinstance(value, list) and "merge" in field.merge:
        kept[name] = _list(field, before if isinstance(before, list) else [], value)
    else:
        kept[name] = value


def _list(field: types.Field, original: list[Any], patch: list[Any]) -> list[Any]:
    if not field.key:
        there = set(map(mark, original))
        merged = original + [item for item in patch if mark(item) not in there]
        return in_order(merged, original, patch, _key_of(""))
    if not all(isinstance(item, dict) for item in [*original, *patch]):
        raise DirectiveError("a list of objects was expected")
    merged, changes = _special(field, list(original), patch)
    fields = types.struct(field.type.element.name) if field.type.element else {}
    found = _first_places(merged, _key_of(field.key))
    for item in changes:
        place = found.setdefault(mark(item[field.key]), len(merged))
        if place == len(merged):
            merged.append(_struct(fields, {}, item))
        else:
            merged[place] = _struct(fields, merged[place], item)
    return in_order(merged, original, changes, _key_of(field.key))


def _special(
    field: types.Field, original: list[Any], patch: list[Any]
) -> tuple[list[Any], list[Any]]:
    """What is left after items that say delete or replace, and the items to merge."""
    changes = []
    for item in patch:
        directive = item.get(_PATCH, "merge")
        if directive == "replace":
            original = []
            continue
        if field.key not in item:
            text = f"map: {shown(item)} does not contain declared merge key: {field.key}"
            raise DirectiveError(text)
        if directive == "delete":
            original = [each for each in original if each.get(field.key) != item[field.key]]
        else:
            changes.append(item)
    return original, changes


def _delete_from(kept: Object, name: str, items: list[Any]) -> None:
    if isinstance(kept.get(name), list):
        unwanted = set(map(mark, items))
        kept[name] = [item for item in kept[name] if mark(item) not in unwanted]


def _put_in_order(
    kept: Object, original: Mapping[str, Any], name: str, fields: types.Struct, order: list[Any]
) -> None:
    if not isinstance(kept.get(name), list):
        return
    key = fields.get(name, _UNTYPED).key
    before = original.get(name)
    places = before if isinstance(before, list) else []
    kept[name] = in_order(kept[name], places, order, _key_of(key))


def in_order(
    items: list[Any], original: list[Any], order: list[Any], key: Callable[[Any], Any]
) -> list[Any]:
    """`items` with those of `order` in its order, the others as near as may be to where they were.

    An item of `order` that the original did not have goes before the rest.
    """
    wanted, places = _first_places(order, key), _first_places(original, key)
    marked = [(mark(key(item)), item) for item in items]
    named = deque(sorted((m for m in marked if m[0] in wanted), key=lambda m: wanted[m[0]]))
    others = deque(m for m in marked if m[0] not in wanted)
    result = []
    while named and others:
        ours, theirs = places.get(others[0][0]), places.get(named[0][0])
        first = ours is not None and theirs is not None and ours < theirs
        result.append((others if first else named).popleft())
    return [item for _, item in (*result, *named, *others)]


def mark(value: Any) -> bytes:
    """What is the same for equal values, to be looked up by."""
    return msgspec.json.encode(value, order="sorted")


def _first_places(items: list[Any], key: Callable[[Any], Any]) -> dict[bytes, int]:
    places: dict[bytes, int] = {}
    for place, item in enumerate(items):
        places.setdefault(mark(key(item)), place)
    return places


def _key_of(name: str) -> Callable[[Any], Any]:
    return lambda item: item.get(name) if name and isinstance(item, dict) else item
