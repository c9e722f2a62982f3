"""URLs of the API: which resource, namespace, object and subresource they name."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from jobman.local.api import status
from jobman.local.api.resources import Resource, groups, of_path

_OF_NAMESPACES = ("status", "finalize")


@dataclass(frozen=True)
class Target:
    """What a URL is about. `namespace` None: of all; `name` None: the collection."""

    resource: Resource
    namespace: str | None
    name: str | None
    subresource: str | None
    watch: bool = False

    @property
    def home(self) -> str:
        """The namespace of an object there; empty for what has none."""
        return self.namespace or ""


def target(raw_path: str) -> Target | None:
    """The target of a path below /api and /apis; None for their discovery documents.

    Raises a plain 404 for no API's path, a Status 404 for a resource that is not served.
    """
    parts = [unquote(part) for part in raw_path.strip("/").split("/")]
    if parts[0] == "api":
        group, rest = "", parts[1:]
    else:
        group, rest = (parts[1] if len(parts) > 1 else ""), parts[2:]
    if not rest or len(rest) == 1:
        return None
    if group not in groups() or not all(rest):
        raise status.page_not_found()
    version, rest = rest[0], rest[1:]
    watch = rest[0] == "watch"
    return _target(group, version, rest[1:] if watch else rest, watch=watch)


def _target(group: str, version: str, rest: list[str], *, watch: bool) -> Target:
    namespace = None
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    if not 1 <= len(rest) <= 3:
        raise status.no_such_resource()
    resource = of_path(group, version, rest[0])
    name = rest[1] if len(rest) > 1 else None
    subresource = rest[2] if len(rest) > 2 else None
    if resource is None or (namespace is not None and not resource.namespaced):
        raise status.no_such_resource()
    if name is not None and resource.namespaced and namespace is None:
        raise status.no_such_resource()
    if subresource is not None and resource.subresource(subresource) is None:
        raise status.no_such_resource()
    return Target(resource, namespace, name, subresource, watch)
