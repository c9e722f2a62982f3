"""Objects as a Table, or their metadata alone: the two short forms of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Literal

from jobman.local.api import openapi
from jobman.local.api.resources import Resource
from jobman.local.api.table_layouts import DEFAULT, LAYOUTS

Object = Mapping[str, Any]
Include = Literal["None", "Metadata", "Object"]

_META = {"apiVersion": "meta.k8s.io/v1"}


def render(
    resource: Resource,
    objects: Iterable[Object],
    now: datetime,
    include: Include = "Metadata",
    *,
    headed: bool = True,
) -> dict[str, Any]:
    """The Table of `objects` at `now`; its own metadata is the caller's to set.

    `include` says what of each object goes with its row. Only the first Table of a watch is
    `headed` with the columns.
    """
    layout = LAYOUTS.get(resource.kind, DEFAULT)
    rows = []
    for obj in objects:
        row: dict[str, Any] = {"cells": layout.cells(obj, now)}
        conditions = (
            _CONDITIONS.get(obj.get("status", {}).get("phase", "")) if _is_pod(resource) else None
        )
        if conditions is not None:
            row["conditions"] = [conditions]
        row["object"] = _included(resource, obj, include)
        rows.append(row)
    return {
        "kind": "Table",
        **_META,
        "metadata": {},
        "columnDefinitions": columns(resource.kind) if headed else None,
        "rows": rows,
    }


@cache
def columns(kind: str) -> list[dict[str, Any]]:
    """The columns of a kind as the Table tells them."""
    layout = LAYOUTS.get(kind, DEFAULT)
    abouts = [column.about for column in layout.columns]
    documented = openapi.descriptions(
        frozenset(about[1:] for about in abouts if about.startswith("@"))
    )
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.form,
            "description": documented.get(column.about[1:], column.about),
            "priority": int(column.wide),
        }
        for column in layout.columns
    ]


def partial(obj: Object) -> dict[str, Any]:
    """An object's PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", **_META, "metadata": obj["metadata"]}


def partial_list(objects: Iterable[Object]) -> dict[str, Any]:
    """A PartialObjectMetadataList; its own metadata is the caller's to set."""
    items = [partial(obj) for obj in objects]
    return {"kind": "PartialObjectMetadataList", **_META, "metadata": {}, "items": items}


def _included(resource: Resource, obj: Object, include: Include) -> Object | None:
    if include == "None":
        return None
    if include == "Metadata":
        return partial(obj)
    return {"kind": resource.kind, "apiVersion": resource.group_version, **obj}


def _is_pod(resource: Resource) -> bool:
    return resource.kind == "Pod"


def _over(reason: str, message: str) -> dict[str, str]:
    return {"type": "Completed", "status": "True", "reason": reason, "message": message}


_CONDITIONS = {
    "Succeeded": _over("Succeeded", "The pod has completed successfully."),
    "Failed": _over("Failed", "The pod failed."),
}
