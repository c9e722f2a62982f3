"""What the server has: the plain documents of old and the aggregated ones."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from typing import Any, NamedTuple

from jobman.local.api.resources import RESOURCES, Resource, groups

JSON = "application/json"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

KUBERNETES_MINOR = 36
"""The Kubernetes 1.x whose API this is."""


class Document(NamedTuple):
    """An answer: its bytes, content type and, where it has one, ETag (with its quotes)."""

    body: bytes
    content_type: str
    etag: str | None


def document(path: str, accept: str = JSON) -> Document | None:
    """The discovery document at a path, in the form that the Accept header asks for, or None."""
    aggregated = wants_aggregated(accept)
    if path in ("/api", "/apis") and aggregated:
        return _aggregated(path)
    return _plain(path.rstrip("/") or "/")


def wants_aggregated(accept: str) -> bool:
    """Whether an Accept header asks for aggregated discovery in the version there is."""
    for part in accept.split(","):
        words = {word.strip() for word in part.split(";")}
        if {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"} <= words:
            return True
    return False


@cache
def version(build: str) -> bytes:
    """`/version`; `build` is the version of this program."""
    return _encoded(
        {
            "major": "1",
            "minor": str(KUBERNETES_MINOR),
            "gitVersion": f"v1.{KUBERNETES_MINOR}.0+jobman-{build}",
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": "",
            "platform": "linux/amd64",
        }
    )


@cache
def _plain(path: str) -> Document | None:
    parts = path.strip("/").split("/") if path != "/" else []
    content = _content(parts)
    return None if content is None else Document(_encoded(content), JSON, None)


def _content(parts: list[str]) -> dict[str, Any] | None:
    match parts:
        case []:
            return {"paths": _all_paths()}
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            named = [_group(group) for group in groups() if group]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
        case ["api", number]:
            return _resource_list("", number)
        case ["apis", group] if group in groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["apis", group, number]:
            return _resource_list(group, number)
    return None


def _all_paths() -> list[str]:
    paths = ["/api", "/api/v1", "/apis", "/apis/"]
    for group, number in groups().items():
        if group:
            paths += [f"/apis/{group}", f"/apis/{group}/{number}"]
    more = [
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/readyz",
        "/version",
    ]
    return sorted(paths + more)


def _group(name: str) -> dict[str, Any]:
    number = groups()[name]
    served = {"groupVersion": f"{name}/{number}", "version": number}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _served(group: str, number: str) -> list[Resource]:
    return [each for each in RESOURCES if (each.group, each.version) == (group, number)]


def _resource_list(group: str, number: str) -> dict[str, Any] | None:
    served = _served(group, number)
    if not served:
        return None
    listed = []
    for resource in sorted(served, key=lambda each: each.plural):
        listed.append(_resource(resource))
        listed += [
            {
                "name": f"{resource.plural}/{part.name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                **_group_of(part.kind),
                "kind": part.kind,
                "verbs": list(part.verbs),
            }
            for part in resource.subresources
        ]
    version = f"{group}/{number}" if group else number
    return {
        "kind": "APIResourceList",
        **({"apiVersion": "v1"} if group else {}),
        "groupVersion": version,
        "resources": listed,
    }


def _group_of(kind: str) -> dict[str, str]:
    """Of a subresource whose kind is another group's."""
    return {"group": "policy", "version": "v1"} if kind == "Eviction" else {}


def _resource(resource: Resource) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        content["shortNames"] = list(resource.short_names)
    if resource.categories:
        content["categories"] = list(resource.categories)
    if resource.stored:
        content["storageVersionHash"] = _storage_hash(resource)
    return content


def _storage_hash(resource: Resource) -> str:
    """Eight bytes that stand for the version in which objects of a kind are kept."""
    digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode())
    return base64.b64encode(digest.digest()[:8]).decode()


@cache
def _aggregated(path: str) -> Document:
    names = [""] if path == "/api" else [group for group in groups() if group]
    body = _encoded(
        {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": [_aggregated_group(name) for name in names],
        }
    )
    return Document(body, AGGREGATED, f'"{hashlib.sha512(body).hexdigest().upper()}"')


def _aggregated_group(name: str) -> dict[str, Any]:
    number = groups()[name]
    resources = [
        _aggregated_resource(each)
        for each in sorted(_served(name, number), key=lambda each: each.plural)
    ]
    return {
        "metadata": {"name": name} if name else {},
        "versions": [{"version": number, "resources": resources, "freshness": "Current"}],
    }


def _aggregated_resource(resource: Resource) -> dict[str, Any]:
    content: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        content["shortNames"] = list(resource.short_names)
    if resource.categories:
        content["categories"] = list(resource.categories)
    if resource.subresources:
        content["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": _kind(part.kind),
                "verbs": list(part.verbs),
            }
            for part in resource.subresources
        ]
    return content


def _kind(kind: str) -> dict[str, str]:
    """A kind of the group at hand (which is then not named), or of another."""
    return {"group": "", "version": "", **_group_of(kind), "kind": kind}


def _encoded(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
