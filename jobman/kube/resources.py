"""The kinds of objects that jobman asks for, and their addresses."""

from __future__ import annotations

from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from jobman.errors import UsageError
from jobman.kube.bounds import ResourceQuota
from jobman.kube.objects import (
    ConfigMap,
    Event,
    Job,
    KubeObject,
    Lease,
    Namespace,
    Node,
    Pod,
    PodBrief,
    Secret,
)

T = TypeVar("T", bound=KubeObject)


class Resource(msgspec.Struct, Generic[T], frozen=True):
    """A resource of the API and the Struct that its objects are decoded to."""

    group_version: str
    plural: str
    kind: str
    model: type[T]
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        return self.group_version.rpartition("/")[0]

    @property
    def qualified(self) -> str:
        """The resource as kubectl names it (`jobs.batch`, `pods`)."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(
        self, namespace: str | None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL's path of the collection, of one object, or of a part of it.

        `namespace` None is all of them, and the way to what has none.
        """
        root = f"/apis/{self.group_version}" if self.group else f"/api/{self.group_version}"
        parts = [root]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", _segment(namespace, "namespace")]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name, self.kind.lower()))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)

    def check_name(self, name: str) -> None:
        """Raise UsageError for what nothing of this kind can be called in a path."""
        _segment(name, self.kind.lower())


def _segment(name: str, what: str) -> str:
    """`name` as one segment of a path.

    An empty name would address the whole collection, a dotted one another object.
    """
    if name in ("", ".", "..") or "/" in name or "%" in name:
        raise UsageError(f"{name!r} is not the name of a {what}")
    return quote(name, safe="", errors="surrogatepass")


JOBS = Resource("batch/v1", "jobs", "Job", Job)
PODS = Resource("v1", "pods", "Pod", Pod)
POD_BRIEFS = Resource("v1", "pods", "Pod", PodBrief)
EVENTS = Resource("v1", "events", "Event", Event)
NODES = Resource("v1", "nodes", "Node", Node, namespaced=False)
CONFIGMAPS = Resource("v1", "configmaps", "ConfigMap", ConfigMap)
SECRETS = Resource("v1", "secrets", "Secret", Secret)
NAMESPACES = Resource("v1", "namespaces", "Namespace", Namespace, namespaced=False)
RESOURCEQUOTAS = Resource("v1", "resourcequotas", "ResourceQuota", ResourceQuota)
LEASES = Resource("coordination.k8s.io/v1", "leases", "Lease", Lease)
