"""What a ResourceQuota may say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jobman.local.api import resource_rules
from jobman.local.api.cause import Cause, required, wrong

Spec = Mapping[str, Any]

_PODS = frozenset({"pods"})
_COMPUTE = _PODS | {
    f"{side}{name}" for side in ("", "requests.", "limits.") for name in ("cpu", "memory")
}
_CLAIMS = frozenset({"persistentvolumeclaims", "requests.storage"})
_COUNTS = {
    "Terminating": _COMPUTE,
    "NotTerminating": _COMPUTE,
    "BestEffort": _PODS,
    "NotBestEffort": _COMPUTE,
    "PriorityClass": _COMPUTE,
    "CrossNamespacePodAffinity": _COMPUTE,
    "VolumeAttributesClass": _CLAIMS,
}
_CONTRARY = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_WITH_VALUES = ("PriorityClass", "VolumeAttributesClass")
_ONLY_EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating,"
    " ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort,"
    " ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
_NO_VALUE = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
_A_VALUE = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"


def new(quota: Mapping[str, Any]) -> Iterator[Cause]:
    """What is wrong with a ResourceQuota."""
    spec = quota.get("spec", {})
    hard = spec.get("hard", {})
    for name in sorted(hard):
        path = f"spec.hard[{name}]"
        yield from resource_rules.quota_name(name, path)
        yield from resource_rules.value(name, hard[name], path)
    yield from _scopes(spec)
    if "scopeSelector" in spec:
        yield from _selector(spec)


def change(old: Mapping[str, Any], quota: Mapping[str, Any]) -> Iterator[Cause]:
    """What of a ResourceQuota may not be as it is, since it was `old`."""
    before, after = (side.get("spec", {}).get("scopes", []) for side in (old, quota))
    if set(before) != set(after):
        yield wrong("spec.scopes", after, "field is immutable")


def _scopes(spec: Spec) -> Iterator[Cause]:
    path, scopes = "spec.scopes", spec.get("scopes", [])
    for scope in scopes:
        if scope not in _COUNTS:
            yield wrong(path, scopes, "unsupported scope")
        yield from _counted(scope, spec, path, scopes)
    yield from _contrary(scopes, path, scopes)


def _selector(spec: Spec) -> Iterator[Cause]:
    path, selector = "spec.scopeSelector.matchExpressions", spec["scopeSelector"]
    wanted = selector.get("matchExpressions", [])
    for expression in wanted:
        scope = expression.get("scopeName", "")
        if scope not in _COUNTS:
            yield wrong(f"{path}.scopeName", scope, "unsupported scope")
        yield from _counted(scope, spec, path, selector)
        yield from _operator(expression, path)
    names = [expression.get("scopeName", "") for expression in wanted]
    yield from _contrary(names, path, spec.get("scopes", []))


def _operator(expression: Mapping[str, Any], path: str) -> Iterator[Cause]:
    scope, operator = expression.get("scopeName", ""), expression.get("operator", "")
    values = expression.get("values", [])
    if scope in _COUNTS and scope not in _WITH_VALUES and operator != "Exists":
        yield wrong(f"{path}.operator", operator, _ONLY_EXISTS)
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{path}.values", _NO_VALUE)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield wrong(f"{path}.values", values, _A_VALUE)
    else:
        yield wrong(f"{path}.operator", operator, "not a valid selector operator")


def _counted(scope: str, spec: Spec, path: str, told: Any) -> Iterator[Cause]:
    """Each standard resource that a quota of this scope cannot count."""
    for name in sorted(spec.get("hard", {})):
        if resource_rules.is_counted(name) and name not in _COUNTS.get(scope, {name}):
            yield wrong(path, told, "unsupported scope applied to resource")


def _contrary(scopes: Iterable[str], path: str, told: Any) -> Iterator[Cause]:
    for pair in _CONTRARY:
        if pair <= set(scopes):
            yield wrong(path, told, "conflicting scopes")
