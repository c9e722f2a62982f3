"""What a pod may ask about where it runs: affinities, spreads, tolerations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobman.local.api import rules
from jobman.local.api.cause import Cause, duplicate, not_supported, required, wrong
from jobman.local.api.selector_rules import label_key, label_selector, node_term

Rule = Callable[[Mapping[str, Any], str], Iterator[Cause]]

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NO_KEY = "can not be empty"


def affinity(given: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with a pod's affinities: to nodes, to pods, against pods."""
    yield from _node_affinity(given.get("nodeAffinity", {}), f"{path}.nodeAffinity")
    for kind in ("podAffinity", "podAntiAffinity"):
        yield from _pod_affinity(given.get(kind, {}), f"{path}.{kind}")


def _node_affinity(given: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if _REQUIRED in given:
        where = f"{path}.{_REQUIRED}.nodeSelectorTerms"
        terms = given[_REQUIRED].get("nodeSelectorTerms", [])
        if not terms:
            yield required(where, "must have at least one node selector term")
        for index, term in enumerate(terms):
            yield from node_term(term, f"{where}[{index}]")
    yield from _preferred(given, path, "preference", node_term)


def _pod_affinity(given: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for index, term in enumerate(given.get(_REQUIRED, [])):
        yield from _pod_term(term, f"{path}.{_REQUIRED}[{index}]")
    yield from _preferred(given, path, "podAffinityTerm", _pod_term)


def _preferred(given: Mapping[str, Any], path: str, field: str, rule: Rule) -> Iterator[Cause]:
    """Wishes of some weight each, whose terms are in `field`."""
    for index, each in enumerate(given.get(_PREFERRED, [])):
        where, weight = f"{path}.{_PREFERRED}[{index}]", each.get("weight", 0)
        if not 1 <= weight <= 100:
            yield wrong(f"{where}.weight", weight, "must be in the range 1-100")
        yield from rule(each.get(field, {}), f"{where}.{field}")


def _pod_term(term: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for field in ("labelSelector", "namespaceSelector"):
        yield from label_selector(term.get(field, {}), f"{path}.{field}")
    for name in term.get("namespaces", []):
        yield from (wrong(f"{path}.namespace", name, text) for text in rules.dns_label(name))
    if not term.get("topologyKey"):
        yield required(f"{path}.topologyKey", _NO_KEY)
    yield from label_key(term, path, "topologyKey")


def spread(constraints: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    """What is wrong with a pod's topology spread constraints."""
    kinds = [(each.get("topologyKey", ""), each.get("whenUnsatisfiable")) for each in constraints]
    last = {kind: index for index, kind in enumerate(kinds)}
    for index, each in enumerate(constraints):
        where, (topology, action) = f"{path}[{index}]", kinds[index]
        if each.get("maxSkew", 0) <= 0:
            yield wrong(f"{where}.maxSkew", each.get("maxSkew", 0), "must be greater than zero")
        if not topology:
            yield required(f"{where}.topologyKey", _NO_KEY)
        if action not in _UNSATISFIABLE:
            yield not_supported(f"{where}.whenUnsatisfiable", action or "", _UNSATISFIABLE)
        if last[kinds[index]] > index:
            pair = f"{{{topology}, {action or ''}}}"
            yield duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", pair)
        yield from label_selector(each.get("labelSelector", {}), f"{where}.labelSelector")


def tolerations(given: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    """What is wrong with a pod's tolerations."""
    for index, each in enumerate(given):
        where, key = f"{path}[{index}]", each.get("key", "")
        operator, effect = each.get("operator", "Equal"), each.get("effect", "")
        if key:
            yield from (wrong(f"{where}.key", key, text) for text in rules.qualified_name(key))
        elif operator != "Exists":
            text = (
                "operator must be Exists when `key` is empty, which means"
                ' "match all values and all keys"'
            )
            yield wrong(f"{where}.operator", each.get("operator", ""), text)
        if each.get("tolerationSeconds") is not None and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            yield wrong(f"{where}.effect", effect, text)
        if operator == "Exists" and each.get("value"):
            text = "value must be empty when `operator` is 'Exists'"
            yield wrong(f"{where}.operator", {"value": each["value"]}, text)
        elif operator == "Equal":
            value = each.get("value", "")
            problems = rules.label_value(value)
            yield from (wrong(f"{where}.operator", value, text) for text in problems)
        elif operator not in ("Exists", "Equal"):
            yield not_supported(f"{where}.operator", operator, ("Equal", "Exists"))
        if effect and effect not in _EFFECTS:
            yield not_supported(f"{where}.effect", effect, _EFFECTS)
