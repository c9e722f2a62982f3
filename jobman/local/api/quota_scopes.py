"""Which objects a ResourceQuota counts: with scopes, only those that meet all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobman.local.api import defaults

Object = Mapping[str, Any]
Takes = Callable[[str, Object], bool]
"""Whether an object of a resource is counted."""

_OF_CLAIMS = "VolumeAttributesClass"


def takes(quota: Object) -> Takes:
    """What the quota counts."""
    wanted = list(expressions(quota))
    if not wanted:
        return lambda _resource, _obj: True

    def counts(resource: str, obj: Object) -> bool:
        return all(_meets(resource, obj, each) for each in wanted)

    return counts


def expressions(quota: Object) -> Iterator[Object]:
    """The quota's scopes, all as expressions."""
    spec = quota.get("spec", {})
    for scope in spec.get("scopes", []):
        yield {"scopeName": scope, "operator": "Exists"}
    yield from spec.get("scopeSelector", {}).get("matchExpressions", [])


def _meets(resource: str, obj: Object, wanted: Object) -> bool:
    scope, spec = wanted["scopeName"], obj.get("spec", {})
    if resource != ("persistentvolumeclaims" if scope == _OF_CLAIMS else "pods"):
        return False
    match scope:
        case "Terminating":
            return "activeDeadlineSeconds" in spec
        case "NotTerminating":
            return "activeDeadlineSeconds" not in spec
        case "BestEffort":
            return defaults.qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return defaults.qos_class(spec) != "BestEffort"
        case "CrossNamespacePodAffinity":
            return any(map(_looks_elsewhere, _affinity_terms(spec)))
        case "PriorityClass":
            return _is_selected(spec.get("priorityClassName", ""), wanted)
        case _:
            return _is_selected(spec.get("volumeAttributesClassName", ""), wanted)


def _is_selected(name: str, wanted: Object) -> bool:
    match wanted["operator"]:
        case "In":
            return name in wanted["values"]
        case "NotIn":
            return name not in wanted["values"]
        case "Exists":
            return bool(name)
        case _:
            return not name


def _affinity_terms(spec: Object) -> Iterator[Object]:
    affinity = spec.get("affinity", {})
    for kind in ("podAffinity", "podAntiAffinity"):
        given = affinity.get(kind, {})
        yield from given.get("requiredDuringSchedulingIgnoredDuringExecution", [])
        for wish in given.get("preferredDuringSchedulingIgnoredDuringExecution", []):
            yield wish.get("podAffinityTerm", {})


def _looks_elsewhere(term: Object) -> bool:
    return bool(term.get("namespaces")) or "namespaceSelector" in term
