"""Discovery and OpenAPI: what kubectl needs of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobman.local.api import discovery, openapi
from jobman.local.api.resources import RESOURCES

GROUPED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def content(path: str, accept: str = "application/json") -> dict[str, Any]:
    found = discovery.document(path, accept)
    assert found is not None
    decoded: dict[str, Any] = json.loads(found.body)
    return decoded


def test_what_is_found_at_the_root_is_there() -> None:
    paths = {path for path in content("/")["paths"] if path.startswith("/api")}
    assert paths >= {
        "/api/v1",
        *(f"/apis/{each.group_version}" for each in RESOURCES if each.group),
    }
    for path in paths:
        assert discovery.document(path) is not None


@pytest.mark.parametrize(
    "path", ["/apis/nope", "/apis/batch/v2", "/api/v2", "/nope", "/apis/a/b/c"]
)
def test_what_is_not_there(path: str) -> None:
    assert discovery.document(path) is None


def test_every_resource_is_listed_in_both_forms() -> None:
    wanted = {(resource.group, resource.plural) for resource in RESOURCES}
    plain, aggregated = set(), set()
    for resource in RESOURCES:
        prefix = "/apis/" if resource.group else "/api/"
        listed = content(prefix + resource.group_version)["resources"]
        plain |= {(resource.group, each["name"]) for each in listed if "/" not in each["name"]}
    for path in ("/api", "/apis"):
        for item in content(path, GROUPED)["items"]:
            for each in item["versions"][0]["resources"]:
                aggregated.add((item["metadata"].get("name", ""), each["resource"]))
    assert plain == aggregated == wanted


@pytest.mark.parametrize(
    ("accept", "aggregated"),
    [
        ("application/json", False),
        ("", False),
        ("*/*", False),
        (GROUPED, True),
        (GROUPED + ",application/json", True),
        ("application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io", True),
        ("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", False),
    ],
)
def test_the_form_that_is_asked_for(accept: str, aggregated: bool) -> None:
    found = discovery.document("/apis", accept)
    assert found is not None
    assert (found.content_type == discovery.AGGREGATED) is aggregated
    assert (found.etag is not None) is aggregated


def test_an_etag_stands_for_the_bytes() -> None:
    tags = {discovery.document(path, GROUPED)[2] for path in ("/api", "/apis", "/api")}  # type: ignore[index]
    assert len(tags) == 2


def test_the_version_is_one_that_clients_can_read() -> None:
    version = json.loads(discovery.version("9.9.9"))
    assert version["gitVersion"] == f"v1.{version['minor']}.0+jobman-9.9.9"


def test_each_document_of_the_index_is_there_and_tells_what_kubectl_looks_for() -> None:
    index = json.loads(openapi.index())["paths"]
    assert set(index) == {
        ("apis/" if each.group else "api/") + each.group_version for each in RESOURCES
    }
    for name, entry in index.items():
        assert entry["serverRelativeURL"] == f"/openapi/v3/{name}?hash={openapi.etag()}"
        document = json.loads(openapi.document(name) or b"")
        _check_references(document)
        for resource in RESOURCES:
            if name == ("apis/" if resource.group else "api/") + resource.group_version:
                _check_kind(document, resource.kind)


@pytest.mark.parametrize(
    ("accept", "kind", "begin"),
    [
        ("application/json", "application/json", b'{"swagger":"2.0",'),
        (
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            b"\x0a\x032.0",
        ),
    ],
)
def test_the_older_document_describes_nothing(accept: str, kind: str, begin: bytes) -> None:
    body, told = openapi.v2(accept)
    assert told == kind
    assert body.startswith(begin)


def _check_references(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert "null" not in json.dumps(document["components"]["schemas"][name].get("type", ""))
    wanted = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert wanted <= set(document["components"]["schemas"])


def _check_kind(document: dict[str, Any], kind: str) -> None:
    kinds = [
        schema["x-kubernetes-group-version-kind"]
        for name, schema in document["components"]["schemas"].items()
        if name.endswith(f".{kind}")
    ]
    assert any(each["kind"] == kind for listed in kinds for each in listed)
    patches = [
        path["patch"]
        for path in document["paths"].values()
        if path.get("patch", {}).get("x-kubernetes-group-version-kind", {}).get("kind") == kind
    ]
    assert bool(patches) is (not kind.endswith("Review"))
    for operation in patches:
        assert {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}} in (
            operation["parameters"]
        )


def test_there_is_no_other_document() -> None:
    assert openapi.document("apis/nope/v1") is None
    assert openapi.document("") is None
