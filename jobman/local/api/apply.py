"""What server-side apply makes of an object: what is applied is set, lists merge by all their keys.

Unlike a strategic merge it knows lists with several keys, and no directives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobman.local.api import strategic_merge, types
from jobman.local.api.apply_rules import item_keys

Object = dict[str, Any]

_UNTYPED = types.Field(types.ANYTHING)


def merge(type_name: str, live: Mapping[str, Any], config: Mapping[str, Any]) -> Object:
    """The struct `type_name` with the configuration, whose items of lists are told apart."""
    return _struct(types.struct(type_name), live, config)


def _struct(fields: types.Struct, live: Mapping[str, Any], config: Mapping[str, Any]) -> Object:
    merged = dict(live)
    for name, value in config.items():
        field, before = fields.get(name, _UNTYPED), live.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            struct = types.struct(field.type.name) if field.type.form == "struct" else {}
            merged[name] = _struct(struct, before if isinstance(before, dict) else {}, value)
        elif isinstance(value, list) and "merge" in field.merge:
            merged[name] = _list(field, before if isinstance(before, list) else [], value)
        else:
            merged[name] = value
    return merged


def _list(field: types.Field, live: list[Any], config: list[Any]) -> list[Any]:
    if not field.keys:
        there = set(map(strategic_merge.mark, live))
        merged = live + [item for item in config if strategic_merge.mark(item) not in there]
        return strategic_merge.in_order(merged, live, config, _itself)
    struct = types.struct(field.type.element.name) if field.type.element else {}
    merged = list(live)
    places = {strategic_merge.mark(item_keys(field, one)): i for i, one in enumerate(live)}
    for item in config:
        place = places.get(strategic_merge.mark(item_keys(field, item)))
        if place is None:
            merged.append(_struct(struct, {}, item))
        else:
            merged[place] = _struct(struct, merged[place], item)
    return strategic_merge.in_order(merged, live, config, lambda item: item_keys(field, item))


def _itself(item: Any) -> Any:
    return item
