"""Discovery, schemas, tables and selectors against a real API server's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobman.local.api import discovery, openapi, selectors, tables
from jobman.local.api.resources import RESOURCES, Resource
from jobman.local.api.status import ApiError

RECORDINGS = Path(__file__).parent / "recordings"
KINDS = {resource.kind: resource for resource in RESOURCES}
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)
NOW = datetime(2026, 11, 21, 3, 1, 4, tzinfo=UTC)


def body(group: str, name: str) -> dict[str, Any]:
    recorded = json.loads((RECORDINGS / group / f"{name}.json").read_text())
    content: dict[str, Any] = recorded["response"]["body"]
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
    wanted = body("api-discovery", f"discovery.{name}")
    found = document(path)
    theirs = {each["name"]: each for each in wanted.pop("resources")}
    ours = {each["name"]: each for each in found.pop("resources")}
    assert found == wanted
    assert ours == {each: theirs[each] for each in ours}


def test_a_group_is_as_recorded() -> None:
    assert document("/apis/batch") == body("api-discovery", "discovery.apis-batch")


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_aggregated_discovery_is_as_recorded(path: str) -> None:
    wanted = body("api-discovery", f"discovery.{path[1:]}-aggregated")
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
    wanted = body("api-discovery", "discovery.openapi-v3-batch-v1-job-schemas-only")
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
    wanted = body("api-tables", f"lists.{name}-as-Table")
    assert tables.columns(kind) == wanted["columnDefinitions"]


def test_a_row_is_as_recorded() -> None:
    wanted = body("api-tables", "lists.jobs-as-Table-includeObject-Object")
    jobs = [row["object"] for row in wanted["rows"]]
    found = tables.render(KINDS["Job"], jobs, NOW, "Object")
    assert {**found, "metadata": wanted["metadata"]} == wanted


def test_metadata_alone_is_as_recorded() -> None:
    wanted = body("api-tables", "lists.jobs-as-PartialObjectMetadataList")
    jobs = [{"metadata": each["metadata"], "spec": {}} for each in wanted["items"]]
    assert {**tables.partial_list(jobs), "metadata": wanted["metadata"]} == wanted


def selections(kind: str) -> list[Any]:
    found = []
    for path in sorted((RECORDINGS / "api-selectors").glob("*.json")):
        recorded = json.loads(path.read_text())
        if kind in recorded["request"].get("query", {}):
            found.append(pytest.param(recorded, id=path.stem))
    assert found
    return found


@pytest.mark.parametrize("recorded", selections("labelSelector"))
def test_a_label_selector_does_as_recorded(recorded: dict[str, Any]) -> None:
    text = recorded["request"]["query"]["labelSelector"]
    wanted = recorded["response"]["body"]
    if recorded["response"]["status"] == 400:
        with pytest.raises(ApiError) as refused:
            selectors.labels(text)
        assert refused.value.status == wanted
        return
    accepts = selectors.labels(text)
    jobs = body("api-selectors", "lists.jobs-all")["items"]
    assert [
        job["metadata"]["name"] for job in jobs if accepts(job["metadata"]["labels"])
    ] == wanted["items"]


@pytest.mark.parametrize("recorded", selections("fieldSelector"))
def test_a_field_selector_does_as_recorded(recorded: dict[str, Any]) -> None:
    text = recorded["request"]["query"]["fieldSelector"]
    resource = _resource(recorded["request"]["path"])
    if recorded["response"]["status"] == 400:
        with pytest.raises(ApiError) as refused:
            selectors.fields(resource, text)
        assert refused.value.status == recorded["response"]["body"]
        return
    accepts = selectors.fields(resource, text)
    if resource.kind == "Job" and "status" not in text:
        jobs = body("api-selectors", "lists.jobs-all")["items"]
        wanted = recorded["response"]["body"]["items"]
        assert [job["metadata"]["name"] for job in jobs if accepts(job)] == wanted


def _resource(path: str) -> Resource:
    plural = path.rpartition("/")[2]
    return next(each for each in RESOURCES if each.plural == plural)
