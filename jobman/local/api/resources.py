"""The resources that this server has: names, verbs, subresources."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

CRUD = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_NO_COLLECTION = tuple(verb for verb in CRUD if verb != "deletecollection")
_STATUS = ("get", "patch", "update")
_CREATE = ("create",)


@dataclass(frozen=True)
class Subresource:
    """A part of an object with verbs of its own, or something done to it."""

    name: str
    kind: str
    verbs: tuple[str, ...] = _STATUS


@dataclass(frozen=True)
class Resource:
    """A kind of objects. `verbs` of a review is `create` alone: nothing is stored."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = CRUD
    subresources: tuple[Subresource, ...] = ()

    @property
    def name(self) -> str:
        """`jobs.batch`, `pods`: how the store and RBAC-like rules call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def group_version(self) -> str:
        """`batch/v1`, `v1`: an object's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """`job`."""
        return self.kind.lower()

    @property
    def stored(self) -> bool:
        """Whether objects of this kind are kept."""
        return "list" in self.verbs

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name."""
        return next((s for s in self.subresources if s.name == name), None)


def _with_status(kind: str, *more: Subresource) -> tuple[Subresource, ...]:
    return tuple(sorted((*more, Subresource("status", kind)), key=lambda s: s.name))


def _rbac(plural: str, kind: str, *, namespaced: bool) -> Resource:
    return Resource("rbac.authorization.k8s.io", "v1", plural, kind, namespaced)


def _review(group: str, plural: str, kind: str) -> Resource:
    return Resource(group, "v1", plural, kind, namespaced=False, verbs=_CREATE)


_POD = _with_status(
    "Pod",
    Subresource("binding", "Binding", _CREATE),
    Subresource("eviction", "Eviction", _CREATE),
    Subresource("exec", "PodExecOptions", ("create", "get")),
    Subresource("log", "Pod", ("get",)),
)
_CORE = (
    Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",)),
    Resource("", "v1", "events", "Event", short_names=("ev",)),
    Resource("", "v1", "limitranges", "LimitRange", short_names=("limits",)),
    Resource(
        "",
        "v1",
        "namespaces",
        "Namespace",
        namespaced=False,
        short_names=("ns",),
        verbs=_NO_COLLECTION,
        subresources=_with_status("Namespace", Subresource("finalize", "Namespace", ("update",))),
    ),
    Resource(
        "",
        "v1",
        "nodes",
        "Node",
        namespaced=False,
        short_names=("no",),
        subresources=_with_status("Node"),
    ),
    Resource(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short_names=("pvc",),
        subresources=_with_status("PersistentVolumeClaim"),
    ),
    Resource("", "v1", "pods", "Pod", short_names=("po",), categories=("all",), subresources=_POD),
    Resource(
        "",
        "v1",
        "resourcequotas",
        "ResourceQuota",
        short_names=("quota",),
        subresources=_with_status("ResourceQuota"),
    ),
    Resource("", "v1", "secrets", "Secret"),
    Resource("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",)),
)
_GROUPS = (
    _review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    _review("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    _review("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    Resource("batch", "v1", "jobs", "Job", categories=("all",), subresources=_with_status("Job")),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    _rbac("clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _rbac("clusterroles", "ClusterRole", namespaced=False),
    _rbac("rolebindings", "RoleBinding", namespaced=True),
    _rbac("roles", "Role", namespaced=True),
    Resource(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        namespaced=False,
        short_names=("pc",),
    ),
)
RESOURCES = (*_CORE, *_GROUPS)


@cache
def by_name() -> dict[str, Resource]:
    """`jobs.batch` -> its Resource."""
    return {resource.name: resource for resource in RESOURCES}


def resource_of(name: str) -> Resource:
    """The Resource called `jobs.batch`. Raises KeyError."""
    return by_name()[name]


@cache
def groups() -> dict[str, str]:
    """Each group that is served, and its version; the core group is the empty one."""
    return {resource.group: resource.version for resource in RESOURCES}


@cache
def of_path(group: str, version: str, plural: str) -> Resource | None:
    """The resource that a URL names."""
    return next(
        (r for r in RESOURCES if (r.group, r.version, r.plural) == (group, version, plural)), None
    )
