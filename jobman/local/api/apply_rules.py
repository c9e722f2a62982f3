"""What an applied configuration must be before it is merged: of its kind, with items told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from jobman.local.api import strategic_merge, types
from jobman.local.api.cause import shown
from jobman.local.api.resources import Resource
from jobman.local.api.status import bad_request

Object = dict[str, Any]

_MOST_TOLD = 100


def check(resource: Resource, config: Mapping[str, Any]) -> None:
    """A configuration must say what it is, and not who owns what; all its fields are known.

    Raises ApiError: 400, also where Kubernetes has a 500 for what its types cannot hold.
    """
    kind, version = config.get("kind") or "", config.get("apiVersion") or ""
    group, _, number = str(version).rpartition("/")
    named = f"{group}/{number}, Kind={kind}"
    if (kind, version) != (resource.kind, resource.group_version):
        raise bad_request(f"invalid object type: {named}")
    about = config.get("metadata")
    about = about if isinstance(about, dict) else {}
    if about.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    told = list(islice(_of_struct(resource.kind, config, ""), _MOST_TOLD))
    if told:
        why = told[0] if len(told) == 1 else "\n  ".join(["errors:", *told])
        whose = f"{about.get('namespace') or ''}/{about.get('name') or ''}; {named}"
        raise bad_request(f"failed to create typed patch object ({whose}): {why}")


def item_keys(field: types.Field, item: Mapping[str, Any]) -> Object:
    """What tells an item of a list from the others."""
    return {key: item.get(key, types.KEY_DEFAULTS.get(key)) for key in sorted(field.keys)}


def _of_struct(name: str, value: Mapping[str, Any], at: str) -> Iterator[str]:
    fields = types.struct(name)
    for key, inner in value.items():
        field, place = fields.get(key), f"{at}.{key}"
        if field is not None:
            yield from _of_value(field, field.type, inner, place)
        elif fields:
            yield f"{place}: field not declared in schema"


def _of_value(field: types.Field, kind: types.Type, value: Any, at: str) -> Iterator[str]:
    """What is not of its type at all is told when the merged object is looked at."""
    if kind.form == "struct" and isinstance(value, dict):
        yield from _of_struct(kind.name, value, at)
    elif kind.form == "list" and isinstance(value, list):
        if field.keys and "merge" in field.merge:
            yield from _of_keyed(field, value, at)
        elif kind.element:
            inner = types.Field(kind.element)
            for index, item in enumerate(value):
                yield from _of_value(inner, kind.element, item, f"{at}[{index}]")


def _of_keyed(field: types.Field, items: list[Any], at: str) -> Iterator[str]:
    """Each must have its keys, and they must be its own."""
    seen: set[bytes] = set()
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            yield f"{at}: element {index}: expected map, got {shown(item)}"
            continue
        keys = item_keys(field, item)
        lacking = [key for key, value in keys.items() if value is None]
        if lacking:
            why = "associative list with keys has an element that omits key field"
            yield f'{at}: element {index}: {why} "{lacking[0]}" (and doesn\'t have default value)'
            continue
        named = ",".join(f"{key}={shown(value)}" for key, value in keys.items())
        mark = strategic_merge.mark(keys)
        if mark in seen:
            yield f"{at}: duplicate entries for key [{named}]"
        seen.add(mark)
        if field.type.element:
            yield from _of_value(field, field.type.element, item, f"{at}[{named}]")
