"""What some rules of RBAC give, measured by others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

Rule = dict[str, Any]
Rules = Sequence[Rule]
_KEYS = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "nonResourceURLs": "NonResourceURLs",
    "resourceNames": "ResourceNames",
    "verbs": "Verbs",
}


def missing(held: Rules, asked: Rules) -> list[Rule]:
    """What of the asked rules none of the held ones gives, in few rules."""
    parts = (part for rule in asked for part in _parts(rule))
    return _compact(part for part in parts if not any(_gives(rule, part) for rule in held))


def text(rule: Rule) -> str:
    """A rule as Kubernetes' refusals write it: `{APIGroups:[""], Resources:["pods"], …}`."""
    told = (f"{shown}:[{quoted(rule[key])}]" for key, shown in _KEYS.items() if rule.get(key))
    return "{" + ", ".join(told) + "}"


def quoted(words: Iterable[str]) -> str:
    """Words as Go prints a list of them."""
    return " ".join(json.dumps(word, ensure_ascii=False) for word in words)


def _parts(rule: Rule) -> Iterator[Rule]:
    """The rule as many of one verb, and one resource or path, each."""
    groups, resources = rule.get("apiGroups") or [], rule.get("resources") or []
    named: list[Rule] = [{"resourceNames": [name]} for name in rule.get("resourceNames") or []]
    verbs = rule.get("verbs") or []
    for group, resource, name, verb in product(groups, resources, named or [{}], verbs):
        yield {"verbs": [verb], "apiGroups": [group], "resources": [resource], **name}
    for url, verb in product(rule.get("nonResourceURLs") or [], verbs):
        yield {"verbs": [verb], "nonResourceURLs": [url]}


def _gives(held: Rule, part: Rule) -> bool:
    if not has(held.get("verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        return has_path(held.get("nonResourceURLs") or [], part["nonResourceURLs"][0])
    names = held.get("resourceNames")
    return (
        has(held.get("apiGroups"), part["apiGroups"][0])
        and has_resource(held.get("resources") or [], part["resources"][0])
        and (not names or part.get("resourceNames", [""])[0] in names)
    )


def has(allowed: list[str] | None, wanted: str) -> bool:
    """Whether a verb or a group is among those of a rule: itself or `*`."""
    return "*" in (allowed or []) or wanted in (allowed or [])


def has_resource(allowed: list[str], wanted: str) -> bool:
    """Whether `pods/log` is among the resources of a rule: itself, `*` or `*/log`."""
    _, _, subresource = wanted.partition("/")
    return has(allowed, wanted) or bool(subresource and f"*/{subresource}" in allowed)


def has_path(allowed: list[str], path: str) -> bool:
    """Whether a path is among those of a rule, which may end with a `*`."""
    return any(
        path == each or (each.endswith("*") and path.startswith(each[:-1])) for each in allowed
    )


def _compact(parts: Iterable[Rule]) -> list[Rule]:
    """One rule for all verbs of the same."""
    found: dict[str, Rule] = {}
    for part in parts:
        about = str({key: value for key, value in part.items() if key != "verbs"})
        found.setdefault(about, {**part, "verbs": []})["verbs"] += part["verbs"]
    return list(found.values())
