"""What bounds the pods of a namespace: quotas, limit ranges, classes of priority."""

# ruff: noqa: RUF012 - msgspec gives every Struct its own copy of an empty default

from __future__ import annotations

from jobman.kube.meta import KubeObject, KubeStruct


class ScopeRequirement(KubeStruct, frozen=True):
    """Which pods a quota is for: In and NotIn have `values`, of classes of priority."""

    scope_name: str = ""
    operator: str = ""
    values: list[str] = []


class ScopeSelector(KubeStruct, frozen=True):
    """All of these must hold."""

    match_expressions: list[ScopeRequirement] = []


class ResourceQuotaSpec(KubeStruct, frozen=True):
    """What a namespace may use."""

    hard: dict[str, str] = {}
    scopes: list[str] = []
    scope_selector: ScopeSelector = ScopeSelector()


class ResourceQuotaStatus(KubeStruct, frozen=True):
    """What a namespace may use and does use."""

    hard: dict[str, str] = {}
    used: dict[str, str] = {}


class ResourceQuota(KubeObject, frozen=True):
    """A quota."""

    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()


class LimitRangeItem(KubeStruct, frozen=True):
    """Bounds and defaults for one kind of thing ("Container", "Pod", …)."""

    type: str = ""
    max: dict[str, str] = {}
    min: dict[str, str] = {}
    default: dict[str, str] = {}
    default_request: dict[str, str] = {}


class LimitRangeSpec(KubeStruct, frozen=True):
    """The bounds of a namespace."""

    limits: list[LimitRangeItem] = []


class LimitRange(KubeObject, frozen=True):
    """Bounds on what a container may ask for."""

    spec: LimitRangeSpec = LimitRangeSpec()


class PriorityClass(KubeObject, frozen=True):
    """A priority by name."""

    value: int = 0
    global_default: bool = False
    preemption_policy: str = ""
    description: str = ""
