"""What server-side apply makes of an object: what is applied is set, lists merge by all their keys.

Unlike a strategic merge it knows lists with several keys, and no directives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobman.local.api import strategic_merge, types
from jobman.local.api.cause import shown
from jobman.local.api.resources import Resource
from jobman.local.api.status import bad_request

Object = dict[str, Any]

_UNTYPED = types.Field(types.ANYTHING)


def check(resource: Resource, config: Mapping[str, Any]) -> None:
    """A configuration must say what it is, and not who owns what. Raises ApiError 400."""
    kind, version = config.get("kind") or "", config.get("apiVersion") or ""
    if (kind, version) != (resource.kind, resource.group_version):
        group, _, number = str(version).rpartition("/")
        raise bad_request(f"invalid object type: {group}/{number}, Kind={kind}")
    about = config.get("metadata")
    if isinstance(about, dict) and about.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")


def merge(type_name: str, live: Mapping[str, Any], config: Mapping[str, Any]) -> Object:
    """The struct `type_name` with the configuration. Raises ApiError 400 for items of one key."""
    return _struct(types.struct(type_name), live, config, "")


def item_keys(field: types.Field, item: Mapping[str, Any]) -> Object:
    """What tells an item of a list from the others."""
    return {key: item.get(key, types.KEY_DEFAULTS.get(key)) for key in sorted(field.keys)}


def _struct(
    fields: types.Struct, live: Mapping[str, Any], config: Mapping[str, Any], at: str
) -> Object:
    merged = dict(live)
    for name, value in config.items():
        field, before, place = fields.get(name, _UNTYPED), live.get(name), f"{at}.{name}"
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            struct = types.struct(field.type.name) if field.type.form == "struct" else {}
            merged[name] = _struct(struct, before if isinstance(before, dict) else {}, value, place)
        elif isinstance(value, list) and "merge" in field.merge:
            merged[name] = _list(field, before if isinstance(before, list) else [], value, place)
        else:
            merged[name] = value
    return merged


def _list(field: types.Field, live: list[Any], config: list[Any], at: str) -> list[Any]:
    if not field.keys:
        there = set(map(strategic_merge.mark, live))
        merged = live + [item for item in config if strategic_merge.mark(item) not in there]
        return strategic_merge.in_order(merged, live, config, _itself)
    _check_items(field, config, at)
    struct = types.struct(field.type.element.name) if field.type.element else {}
    merged = list(live)
    places = {strategic_merge.mark(item_keys(field, one)): i for i, one in enumerate(live)}
    for item in config:
        place = places.get(strategic_merge.mark(item_keys(field, item)))
        if place is None:
            merged.append(_struct(struct, {}, item, at))
        else:
            merged[place] = _struct(struct, merged[place], item, at)
    return strategic_merge.in_order(merged, live, config, lambda item: item_keys(field, item))


def _itself(item: Any) -> Any:
    return item


def _check_items(field: types.Field, config: list[Any], at: str) -> None:
    """Each must have its keys, and they must be its own."""
    seen: set[bytes] = set()
    for index, item in enumerate(config):
        if not isinstance(item, dict):
            raise _untyped(f"{at}: element {index}: expected map, got {shown(item)}")
        keys = item_keys(field, item)
        lacking = [key for key, value in keys.items() if value is None]
        if lacking:
            why = "associative list with keys has an element that omits key field"
            text = f'{at}: element {index}: {why} "{lacking[0]}" (and doesn\'t have default value)'
            raise _untyped(text)
        if strategic_merge.mark(keys) in seen:
            named = ",".join(f"{key}={shown(value)}" for key, value in keys.items())
            raise _untyped(f"{at}: duplicate entries for key [{named}]")
        seen.add(strategic_merge.mark(keys))


def _untyped(text: str) -> Exception:
    return bad_request(f"failed to create typed patch object: {text}")
