"""Objects in the form that the caller asked for: whole, as a Table, or their metadata alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from jobman.local.api import tables
from jobman.local.api.answers import Accept
from jobman.local.api.call import Call

Object = dict[str, Any]


def in_form(call: Call, accept: Accept, obj: Object) -> Object:
    """One object."""
    if accept.table:
        about = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return {**_table(call, [obj]), "metadata": about}
    return tables.partial(obj) if accept.partial else obj


def list_in_form(call: Call, accept: Accept, objects: list[Object], metadata: Object) -> Object:
    """A list of objects; `metadata` is the list's."""
    if accept.table:
        return {**_table(call, objects), "metadata": metadata}
    if accept.partial:
        return {**tables.partial_list(objects), "metadata": metadata}
    resource = call.target.resource
    for obj in objects:
        obj.pop("kind", None)
        obj.pop("apiVersion", None)
    head = {"kind": f"{resource.kind}List", "apiVersion": resource.group_version}
    return {**head, "metadata": metadata, "items": objects}


def encoder(call: Call, accept: Accept) -> Callable[[Object], Object] | None:
    """How a watch puts objects into the form; None: as they are. A Table tells columns once."""
    if accept.partial:
        return tables.partial
    if not accept.table:
        return None
    headed = True

    def encode(obj: Object) -> Object:
        nonlocal headed
        table, headed = _table(call, [obj], headed=headed), False
        about = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return {**table, "metadata": about}

    return encode


def _table(call: Call, objects: list[Object], *, headed: bool = True) -> Object:
    asked = call.request.query.get("includeObject", "Metadata")
    include = cast(tables.Include, asked if asked in ("None", "Object") else "Metadata")
    now = datetime.now(UTC)
    return tables.render(call.target.resource, objects, now, include, headed=headed)
