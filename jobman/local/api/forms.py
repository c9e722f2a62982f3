"""Objects in the form that the caller asked for: whole, as a Table, or their metadata alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from jobman.local.api import status, tables
from jobman.local.api.answers import Accept
from jobman.local.api.call import Call
from jobman.local.api.cause import wrong

Object = dict[str, Any]


def in_form(call: Call, accept: Accept, obj: Object) -> Object:
    """One object."""
    if accept.table:
        about = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return {**_table(call, [obj], _include(call)), "metadata": about}
    if accept.form == "PartialObjectMetadataList":
        raise _not_acceptable(call, accept, "not a list", "")
    return tables.partial(obj) if accept.partial else obj


def list_in_form(call: Call, accept: Accept, objects: list[Object], metadata: Object) -> Object:
    """A list of objects; `metadata` is the list's."""
    if accept.table:
        return {**_table(call, objects, _include(call)), "metadata": metadata}
    if accept.form == "PartialObjectMetadata":
        raise _not_acceptable(call, accept, "a list", "List")
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
    headed, include = True, _include(call)

    def encode(obj: Object) -> Object:
        nonlocal headed
        table, headed = _table(call, [obj], include, headed=headed), False
        about = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return {**table, "metadata": about}

    return encode


def _include(call: Call) -> tables.Include:
    """What of an object goes with its row. Raises a 400."""
    asked = call.request.query.get("includeObject") or "Metadata"
    if asked not in ("Metadata", "Object", "None"):
        why = "must be 'Metadata', 'Object', 'None', or empty"
        cause = wrong("includeObject", asked, why)
        text = f"Unable to convert to Table as requested: includeObject: {cause.message}"
        raise status.bad_request(text)
    return cast(tables.Include, asked)


def _not_acceptable(call: Call, accept: Accept, what: str, suffix: str) -> status.ApiError:
    resource = call.target.resource
    name = f"*{(resource.group or 'core').partition('.')[0]}.{resource.kind}{suffix}"
    text = f"you requested {accept.form}, but the requested object is {what} ({name})"
    return status.ApiError(406, "NotAcceptable", text)


def _table(
    call: Call, objects: list[Object], include: tables.Include, *, headed: bool = True
) -> Object:
    now = datetime.now(UTC)
    return tables.render(call.target.resource, objects, now, include, headed=headed)
