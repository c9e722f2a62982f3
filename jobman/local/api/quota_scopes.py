"""Which objects a ResourceQuota counts: with scopes, only those that meet all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jobman.local.api import defaults

Object = Mapping[str, Any]
Takes = Callable[["Traits"], bool]
"""Whether an object is counted."""

_OF_CLAIMS = "VolumeAttributesClass"


class Traits(NamedTuple):
    """What scopes see of an object; `class_name` is a pod's priority, a claim's attributes."""

    resource: str
    class_name: str = ""
    terminating: bool = False
    best_effort: bool = False
    elsewhere: bool = False


def traits(resource: str, obj: Object) -> Traits:
    """What scopes see of the object."""
    spec = obj.get("spec", {})
    if resource == "persistentvolumeclaims":
        return Traits(resource, spec.get("volumeAttributesClassName", ""))
    if resource != "pods":
        return Traits(resource)
    return Traits(
        resource,
        spec.get("priorityClassName", ""),
        "activeDeadlineSeconds" in spec,
        defaults.qos_class(spec) == "BestEffort",
        any(map(_looks_elsewhere, _affinity_terms(spec))),
    )


def takes(quota: Object) -> Takes:
    """What the quota counts."""
    wanted = list(expressions(quota))
    return lambda seen: all(_meets(seen, each) for each in wanted)


def expressions(quota: Object) -> Iterator[Object]:
    """The quota's scopes, all as expressions."""
    spec = quota.get("spec", {})
    for scope in spec.get("scopes", []):
        yield {"scopeName": scope, "operator": "Exists"}
    yield from spec.get("scopeSelector", {}).get("matchExpressions", [])


def _meets(seen: Traits, wanted: Object) -> bool:
    scope = wanted["scopeName"]
    if seen.resource != ("persistentvolumeclaims" if scope == _OF_CLAIMS else "pods"):
        return False
    match scope:
        case "Terminating":
            return seen.terminating
        case "NotTerminating":
            return not seen.terminating
        case "BestEffort":
            return seen.best_effort
        case "NotBestEffort":
            return not seen.best_effort
        case "CrossNamespacePodAffinity":
            return seen.elsewhere
        case _:
            return _is_selected(seen.class_name, wanted)


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
