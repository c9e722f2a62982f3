"""Which fields of an object were applied by whom: `managedFields` of server-side apply.

Only appliers are kept. That somebody else set a field is seen by its value alone: an applier
whose field was changed by an update does not own it any more. What kubectl applied without the
server is known by its note of it.

A path leads to a field as fieldsV1 writes it: `f:spec`, `k:{"name":"main"}` for an item of a list
that merges by key, `v:"x"` for one of a set, `.` for an item as a whole.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from jobman.local.api import last_applied, types
from jobman.local.api.apply_rules import item_keys
from jobman.local.api.resources import Resource
from jobman.local.api.status import ApiError
from jobman.local.api.strategic_merge import mark
from jobman.local.moments import now

Object = dict[str, Any]
Path = tuple[str, ...]
# Applier -> the paths it owns.
Owners = dict[str, frozenset[Path]]
Entries = tuple[Object, ...]

_UNTYPED = types.Field(types.ANYTHING)
_NOT_OWNED: frozenset[Path] = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        ("f:metadata", "f:name"),
        ("f:metadata", "f:namespace"),
    }
)
_ITEM = "."
_MISSING = object()


def of_new(resource: Resource, config: Mapping[str, Any], manager: str) -> Entries:
    """The managedFields of an object that an apply creates."""
    return (_entry(manager, _applied(resource, config), resource.group_version),)


def without_dropped(
    resource: Resource, old: Object, merged: Object, config: Mapping[str, Any], manager: str
) -> Object:
    """The merged object without what `manager` owned, applies no more and nobody else owns."""
    owners = _owners(old)
    owned = owners.pop(manager, frozenset()) | _noted(resource, old, manager)
    kept = _with_parents(_applied(resource, config).union(*owners.values()))
    found = copy.deepcopy(merged)
    _remove(found, _tree(owned - kept))
    return found


def after_apply(
    resource: Resource,
    old: Object,
    new: Object,
    config: Mapping[str, Any],
    manager: str,
    *,
    force: bool,
) -> Entries:
    """The managedFields after an apply. Raises a 409 where it changes another's, unless forced."""
    owners, paths = _owners(old), _applied(resource, config)
    before, afterwards = _Fields(old), _Fields(new)
    lost = [
        (name, path)
        for name in sorted(owners.keys() - {manager})
        for path in sorted(owners[name] & paths)
        if before.at(path) != afterwards.at(path)
    ]
    if not (force or {path for _, path in lost} <= _noted(resource, old, manager)):
        raise _conflict(lost)
    after = {
        name: owned - {path for of, path in lost if of == name} for name, owned in owners.items()
    }
    return _entries(resource, old, {**after, manager: paths})


def after_update(resource: Resource, old: Object, new: Object) -> Entries:
    """The managedFields after another change: what it changed belongs to no applier any more."""
    before, afterwards = _Fields(old), _Fields(new)
    after = {
        name: frozenset(path for path in owned if before.at(path) == afterwards.at(path))
        for name, owned in _owners(old).items()
    }
    return _entries(resource, old, after)


def write(obj: Object, entries: Entries) -> None:
    """Keep them with the object."""
    if entries:
        obj["metadata"]["managedFields"] = list(entries)


def _owners(obj: Mapping[str, Any]) -> Owners:
    entries = obj["metadata"].get("managedFields") or []
    return {entry["manager"]: frozenset(_leaves(entry["fieldsV1"])) for entry in entries}


def _applied(resource: Resource, config: Mapping[str, Any]) -> frozenset[Path]:
    return frozenset(_of_struct(types.struct(resource.kind), config)) - _NOT_OWNED


def _with_parents(paths: Iterable[Path]) -> frozenset[Path]:
    """The paths, and those of what they are in: it may have been empty when it was applied."""
    return frozenset(path[:end] for path in paths for end in range(1, len(path) + 1))


def _noted(resource: Resource, obj: Object, manager: str) -> frozenset[Path]:
    """What kubectl noted as applied and is still as it noted it."""
    note = last_applied.read(resource, obj, manager)
    if not note:
        return frozenset()
    applied, found = _Fields(note), _Fields(obj)
    return frozenset(
        path for path in _applied(resource, note) if applied.at(path) == found.at(path)
    )


def _of_struct(fields: types.Struct, value: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    for name, inner in value.items():
        place, field = (*at, f"f:{name}"), fields.get(name, _UNTYPED)
        if isinstance(inner, dict) and inner:
            struct = types.struct(field.type.name) if field.type.form == "struct" else {}
            yield from _of_struct(struct, inner, place)
        elif isinstance(inner, list) and inner and "merge" in field.merge:
            yield from _of_list(field, inner, place)
        elif inner is not None:
            yield place


def _of_list(field: types.Field, items: Sequence[Any], at: Path) -> Iterator[Path]:
    struct = types.struct(field.type.element.name) if field.type.element else {}
    for item in items:
        if field.keys and isinstance(item, dict):
            place = (*at, f"k:{_json(item_keys(field, item))}")
            yield (*place, _ITEM)
            yield from _of_struct(struct, item, place)
        else:
            yield (*at, f"v:{_json(item)}")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _leaves(fields: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    for name, inner in fields.items():
        if inner:
            yield from _leaves(inner, (*at, name))
        else:
            yield (*at, name)


def _entries(resource: Resource, old: Object, after: Owners) -> Entries:
    """The entries; one that stays as it is keeps its time."""
    before = {each["manager"]: each for each in old["metadata"].get("managedFields") or []}
    made = []
    for name, paths in after.items():
        kept = before.get(name)
        if kept is not None and frozenset(_leaves(kept["fieldsV1"])) == paths:
            made.append(kept)
        elif paths:
            made.append(_entry(name, paths, resource.group_version))
    return tuple(made)


def _entry(manager: str, paths: Iterable[Path], group_version: str) -> Object:
    return {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": group_version,
        "time": now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": _tree(paths),
    }


def _tree(paths: Iterable[Path]) -> Object:
    """The paths as fieldsV1 has them."""
    fields: Object = {}
    for path in sorted(paths):
        place = fields
        for part in path:
            place = place.setdefault(part, {})
    return fields


class _Fields:
    """The fields of an object, to be looked up by path; each of its lists is gone through once."""

    def __init__(self, obj: Any) -> None:
        self._obj = obj
        self._indexes: dict[tuple[int, tuple[str, ...] | None], dict[bytes, int]] = {}

    def at(self, path: Path) -> Any:
        """What is there; of an item or a set's element only whether it is."""
        obj = self._obj
        for part in path:
            if part == _ITEM:
                return True
            place = self.place(obj, part)
            if place is None:
                return _MISSING
            if part.startswith("v:"):
                return True
            obj = obj[place]
        return obj

    def place(self, value: Any, part: str) -> Any:
        """The key or the index of a path's part; None where it is not there."""
        kind, rest = part[:2], part[2:]
        if kind == "f:":
            return rest if isinstance(value, dict) and rest in value else None
        if not isinstance(value, list):
            return None
        wanted = msgspec.json.decode(rest)
        keys = tuple(wanted) if kind == "k:" else None
        index = self._indexes.get((id(value), keys))
        if index is None:
            index = self._indexes[id(value), keys] = _index(value, keys)
        return index.get(mark(wanted))


def _index(items: list[Any], keys: tuple[str, ...] | None) -> dict[bytes, int]:
    """Where the first of equal items is; with `keys`, of items that are equal in these."""
    places: dict[bytes, int] = {}
    for place, item in enumerate(items):
        if keys is None:
            places.setdefault(mark(item), place)
        elif isinstance(item, dict):
            places.setdefault(mark({key: item.get(key) for key in keys}), place)
    return places


def _remove(value: Any, fields: Object) -> None:
    """Take out what is there of the fields (fieldsV1); what that leaves empty goes too."""
    found, gone = _Fields(value), set()
    for part, inner in fields.items():
        place = found.place(value, part)
        if place is None:
            continue
        if inner and _ITEM not in inner:
            _remove(value[place], inner)
        if not inner or _ITEM in inner or not value[place]:
            gone.add(place)
    if isinstance(value, list):
        value[:] = [item for place, item in enumerate(value) if place not in gone]
    for place in gone if isinstance(value, dict) else ():
        del value[place]


def _conflict(lost: list[tuple[str, Path]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}"',
            "field": _shown(path),
        }
        for manager, path in lost
    ]
    if len(lost) == 1:
        text = f"1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        told = []
        for manager in dict.fromkeys(manager for manager, _ in lost):
            told.append(f'conflicts with "{manager}":')
            told += [f"- {_shown(path)}" for of, path in lost if of == manager]
        text = f"{len(lost)} conflicts: " + "\n".join(told)
    return ApiError(409, "Conflict", f"Apply failed with {text}", details={"causes": causes})


def _shown(path: Path) -> str:
    """`.spec.template.spec.containers[name="main"].image`."""
    shown = ""
    for part in path:
        if part.startswith("f:"):
            shown += f".{part[2:]}"
        elif part.startswith("k:"):
            keys = json.loads(part[2:]).items()
            shown += "[" + ",".join(f"{key}={_json(value)}" for key, value in keys) + "]"
        elif part.startswith("v:"):
            shown += f"[={part[2:]}]"
    return shown
