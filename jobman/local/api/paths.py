"""URLs of the API: which resource, namespace, object and subresource they name."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote

import msgspec

from jobman.local.api import status
from jobman.local.api.resources import Resource, groups, of_path

_OF_NAMESPACES = ("status", "finalize")
# What a command of kubectl asks for by name: who uses it learns that Kubernetes would have it.
_NOT_SERVED = {
    "pods": ("attach", "ephemeralcontainers", "portforward", "resize"),
    "serviceaccounts": ("token",),
}


class Named(msgspec.Struct, frozen=True):
    """What a URL names, whether that is served or not.

    `namespace` None: of all namespaces, or without any; `name` None: the collection.
    """

    group: str
    version: str
    plural: str
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None
    watch: bool = False
    is_too_long: bool = False

    @property
    def home(self) -> str:
        """The namespace that roles are looked up in: a Namespace is in itself."""
        if (self.group, self.plural) == ("", "namespaces"):
            return self.name or ""
        return self.namespace or ""


class Target(msgspec.Struct, frozen=True):
    """What a URL is about, of what is served."""

    resource: Resource
    namespace: str | None
    name: str | None
    subresource: str | None
    watch: bool = False

    @property
    def home(self) -> str:
        """The namespace of an object there; empty for what has none."""
        return self.namespace or ""


@lru_cache(maxsize=1024)
def named(raw_path: str) -> Named | None:
    """What a path names; None for documents, and for what no API has."""
    if not raw_path.startswith(("/api/", "/apis/")):
        return None
    root, *parts = [unquote(part) for part in raw_path.strip("/").split("/")]
    group = ""
    if root == "apis" and parts:
        group, *parts = parts
    if len(parts) < 2 or not all(parts):
        return None
    version, watch = parts.pop(0), parts[0] == "watch" and len(parts) > 1
    return _named(group, version, parts[1:] if watch else parts, watch=watch)


def _named(group: str, version: str, rest: list[str], *, watch: bool) -> Named:
    namespace = None
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else None
    subresource = rest[2] if len(rest) > 2 else None
    return Named(group, version, rest[0], namespace, name, subresource, watch, len(rest) > 3)


def target(found: Named) -> Target:
    """The target that is named.

    Raises a plain 404 for no API's group, a Status 404 for a resource that is not served.
    """
    if found.group not in groups():
        raise status.page_not_found()
    resource = of_path(found.group, found.version, found.plural)
    if resource is None or found.is_too_long:
        raise status.no_such_resource()
    if found.namespace is not None and not resource.namespaced:
        raise status.no_such_resource()
    if found.name is not None and resource.namespaced and found.namespace is None:
        raise status.no_such_resource()
    part = found.subresource
    if part is not None and resource.subresource(part) is None:
        is_known = part in _NOT_SERVED.get(resource.plural, ())
        raise status.no_such_resource(f"{resource.plural}/{part}" if is_known else "")
    return Target(resource, found.namespace, found.name, found.subresource, found.watch)
