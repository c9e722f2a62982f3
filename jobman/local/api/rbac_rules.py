"""What roles and their bindings may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobman.local.api import rules, selector_rules
from jobman.local.api.cause import Cause, not_supported, required, wrong

Object = Mapping[str, Any]

_GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


def role(obj: Object) -> Iterator[Cause]:
    """What is wrong with a Role."""
    yield from _policy_rules(obj, namespaced=True)


def cluster_role(obj: Object) -> Iterator[Cause]:
    """What is wrong with a ClusterRole."""
    yield from _policy_rules(obj, namespaced=False)
    if "aggregationRule" not in obj:
        return
    path, given = "aggregationRule.clusterRoleSelectors", obj["aggregationRule"]
    if not given.get("clusterRoleSelectors"):
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield required(path, text)
    for index, selector in enumerate(given.get("clusterRoleSelectors") or []):
        problems = list(selector_rules.label_selector(selector, f"{path}[{index}]"))
        yield from problems
        if problems:
            yield wrong(f"{path}[{index}]", None, "invalid label selector.")


def role_binding(obj: Object) -> Iterator[Cause]:
    """What is wrong with a RoleBinding."""
    yield from _binding(obj, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding(obj: Object) -> Iterator[Cause]:
    """What is wrong with a ClusterRoleBinding."""
    yield from _binding(obj, ("ClusterRole",), namespaced=False)


def binding_change(old: Object, new: Object) -> Iterator[Cause]:
    """A binding stays that of its role."""
    if old.get("roleRef") != new.get("roleRef"):
        given = new.get("roleRef") or {}
        names = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}
        told = {shown: given.get(name, "") for shown, name in names.items()}
        yield wrong("roleRef", told, "cannot change roleRef")


def _policy_rules(obj: Object, *, namespaced: bool) -> Iterator[Cause]:
    for index, rule in enumerate(obj.get("rules") or []):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{path}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            yield from _url_rule(rule, f"{path}.nonResourceURLs", namespaced=namespaced)
            continue
        if not rule.get("apiGroups"):
            yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{path}.resources", "resource rules must supply at least one resource")


def _url_rule(rule: Object, path: str, *, namespaced: bool) -> Iterator[Cause]:
    urls = rule["nonResourceURLs"]
    if namespaced:
        yield wrong(path, urls, "namespaced rules cannot apply to non-resource URLs")
    if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
        text = "rules cannot apply to both regular resources and non-resource URLs"
        yield wrong(path, urls, text)


def _binding(obj: Object, kinds: Sequence[str], *, namespaced: bool) -> Iterator[Cause]:
    given = obj.get("roleRef", {})
    group, kind, name = (given.get(key, "") for key in ("apiGroup", "kind", "name"))
    if group not in ("", _GROUP):
        yield not_supported("roleRef.apiGroup", group, (_GROUP,))
    if kind not in kinds:
        yield not_supported("roleRef.kind", kind, kinds)
    if not name:
        yield required("roleRef.name")
    yield from (wrong("roleRef.name", name, text) for text in rules.path_segment(name))
    for index, subject in enumerate(obj.get("subjects", [])):
        yield from _subject(subject, f"subjects[{index}]", namespaced=namespaced)


def _subject(subject: Object, path: str, *, namespaced: bool) -> Iterator[Cause]:
    group, kind, name = (subject.get(key, "") for key in ("apiGroup", "kind", "name"))
    if not name:
        yield required(f"{path}.name")
    if kind not in _SUBJECTS:
        yield not_supported(f"{path}.kind", kind, _SUBJECTS)
    elif kind != "ServiceAccount":
        if group not in ("", _GROUP):
            yield not_supported(f"{path}.apiGroup", group, (_GROUP,))
    else:
        problems = rules.dns_subdomain(name) if name else []
        yield from (wrong(f"{path}.name", name, text) for text in problems)
        if group:
            yield not_supported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{path}.namespace")
