"""What is served of discovery, schemas and columns is as a real API server has it.

The documents as a whole differ, since not all is served; what is compared whole is replayed.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from plugins.replay_recordings import recordings

from jobman.local.api import discovery, openapi, tables

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


def body(name: str) -> dict[str, Any]:
    content: dict[str, Any] = copy.deepcopy(recordings()[name].body)
    return content


def document(path: str, accept: str = "application/json") -> dict[str, Any]:
    found = discovery.document(path, accept)
    assert found is not None
    content: dict[str, Any] = json.loads(found.body)
    return content


@pytest.mark.parametrize(
    ("path", "name"), [("/api/v1", "api-v1"), ("/apis/batch/v1", "apis-batch-v1")]
)
def test_each_resource_is_listed_as_recorded(path: str, name: str) -> None:
    wanted = body(f"discovery/{name}")
    found = document(path)
    theirs = {each["name"]: each for each in wanted.pop("resources")}
    ours = {each["name"]: each for each in found.pop("resources")}
    assert found == wanted
    assert ours == {each: theirs[each] for each in ours}


def test_a_group_is_as_recorded() -> None:
    assert document("/apis/batch") == body("discovery/apis-batch")


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_aggregated_discovery_is_as_recorded(path: str) -> None:
    wanted = body(f"discovery/{path[1:]}-aggregated")
    found = document(path, AGGREGATED)
    theirs = _aggregated(wanted)
    ours = _aggregated(found)
    assert ours == {each: _cut(theirs[each], ours[each]) for each in ours}
    assert {**found, "items": []} == {**wanted, "items": []}


def _aggregated(content: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (item["metadata"].get("name", ""), each["resource"]): each
        for item in content["items"]
        for each in item["versions"][0]["resources"]
    }


def _cut(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Without the subresources that are not served here."""
    served = {part["subresource"] for part in ours.get("subresources", [])}
    kept = [part for part in theirs.get("subresources", []) if part["subresource"] in served]
    rest = {key: value for key, value in theirs.items() if key != "subresources"}
    return {**rest, "subresources": kept} if kept else rest


def test_schemas_are_as_recorded() -> None:
    wanted = body("discovery/openapi-v3-batch-v1-job-schemas-only")
    found = json.loads(openapi.document("apis/batch/v1") or b"{}")
    schemas = found["components"]["schemas"]
    for name, theirs in wanted["components"]["schemas"].items():
        assert _shape(schemas[name]) == _shape(theirs)


def _shape(schema: Any) -> Any:
    """A schema without texts, defaults and closed lists of words."""
    if isinstance(schema, dict):
        left_out = ("description", "default", "enum")
        return {key: _shape(value) for key, value in schema.items() if key not in left_out}
    return [_shape(each) for each in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Job", "jobs"), ("Pod", "pods"), ("Node", "nodes"), ("Event", "events")],
)
def test_columns_are_as_recorded(kind: str, name: str) -> None:
    wanted = body(f"lists/{name}-as-Table")
    assert tables.columns(kind) == wanted["columnDefinitions"]
