"""What bounds the pods of a namespace: its quotas."""

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
