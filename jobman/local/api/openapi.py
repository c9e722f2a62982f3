"""OpenAPI v3: what `kubectl explain` shows and what tells kubectl that the server validates.

Of v2, which it replaces, there is a document that describes nothing: kubectl looks there for kinds
that v3 has not, and then says that the server does not have the kind. The schemas are read from
`data/schemas.json.gz` for each document; the finished documents are kept.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from jobman.local.api.resources import RESOURCES, Resource

Schema = dict[str, Any]

CONTENT_TYPE = "application/json"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_V2_PROTOBUF_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_REF = "#/components/schemas/"
_PACKAGES = {
    "": "io.k8s.api.core.v1",
    "authentication.k8s.io": "io.k8s.api.authentication.v1",
    "authorization.k8s.io": "io.k8s.api.authorization.v1",
    "batch": "io.k8s.api.batch.v1",
    "coordination.k8s.io": "io.k8s.api.coordination.v1",
    "rbac.authorization.k8s.io": "io.k8s.api.rbac.v1",
    "scheduling.k8s.io": "io.k8s.api.scheduling.v1",
}
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


@cache
def index() -> bytes:
    """`/openapi/v3`: the documents there are; a URL changes with what it leads to."""
    tag = etag()
    paths = {
        name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={tag}"} for name in _group_versions()
    }
    return _encoded({"paths": paths})


@cache
def etag() -> str:
    """A fingerprint of all documents."""
    digest = hashlib.sha512(_packed())
    digest.update(repr(RESOURCES).encode())
    return digest.hexdigest().upper()


@cache
def document(group_version: str) -> bytes | None:
    """The document of `api/v1` or `apis/batch/v1`; None where there is none."""
    served = _group_versions().get(group_version)
    if served is None:
        return None
    schemas = _schemas()
    paths: dict[str, Any] = {}
    for resource in served:
        paths.update(_paths(group_version, resource))
    needed = _closure(schemas, [_type_name(resource) for resource in served])
    return _encoded(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "unversioned"},
            "paths": paths,
            "components": {"schemas": {name: schemas[name] for name in sorted(needed)}},
        }
    )


def v2(accept: str) -> tuple[bytes, str]:
    """`/openapi/v2` with its content type: a document that describes nothing."""
    if _V2_PROTOBUF_ASKED in accept:
        return b"\x0a\x032.0", V2_PROTOBUF  # field 1, swagger
    about = {"title": "Kubernetes", "version": "unversioned"}
    return _encoded({"swagger": "2.0", "info": about, "paths": {}}), CONTENT_TYPE


def descriptions(wanted: frozenset[str]) -> dict[str, str]:
    """What the documentation says of fields, each named like `core.v1.PodStatus.podIP`."""
    schemas = _schemas()
    found = {}
    for name in wanted:
        owner, _, field = name.rpartition(".")
        prefix = "io.k8s.apimachinery.pkg.apis." if owner.startswith("meta.") else "io.k8s.api."
        properties = schemas.get(prefix + owner, {}).get("properties", {})
        found[name] = properties.get(field, {}).get("description", "")
    return found


def _group_versions() -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for resource in RESOURCES:
        prefix = "apis/" if resource.group else "api/"
        found.setdefault(prefix + resource.group_version, []).append(resource)
    return found


@cache
def _packed() -> bytes:
    return (resources.files("jobman.local.api") / "data" / "schemas.json.gz").read_bytes()


def _schemas() -> dict[str, Schema]:
    content: dict[str, Schema] = json.loads(gzip.decompress(_packed()))
    return content


def _type_name(resource: Resource) -> str:
    return f"{_PACKAGES[resource.group]}.{resource.kind}"


def _closure(schemas: Mapping[str, Schema], names: list[str]) -> set[str]:
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += _references(schemas[name])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.removeprefix(_REF)
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _paths(group_version: str, resource: Resource) -> dict[str, Any]:
    """The paths of one resource with what may be done there."""
    within = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"/{group_version}{within}/{resource.plural}"
    return {
        path: methods
        for path, methods in (
            (collection, _methods(resource, {"get": "list", "post": "create"})),
            (
                collection + "/{name}",
                _methods(
                    resource, {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}
                ),
            ),
        )
        if methods
    }


def _methods(resource: Resource, verbs: Mapping[str, str]) -> dict[str, Any]:
    return {
        method: _operation(resource, method, verb)
        for method, verb in verbs.items()
        if verb in resource.verbs
    }


def _operation(resource: Resource, method: str, verb: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "description": f"{verb} {resource.kind}",
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
    }
    if method in ("post", "put", "patch"):
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            for name in _WRITE_PARAMETERS
        ]
    return operation


def _encoded(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
