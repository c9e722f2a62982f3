"""Who may do what: RBAC as Kubernetes reads it. The owner may all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from jobman.local.api import status
from jobman.local.api.rule_cover import has, has_path, has_resource
from jobman.local.api.users import User

if TYPE_CHECKING:
    from jobman.local.api.registry import Registry

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
ROLE_PLURALS = {"Role": "roles", "ClusterRole": "clusterroles"}
_NOSNIFF = {"X-Content-Type-Options": "nosniff"}


class Act(msgspec.Struct, frozen=True):
    """What somebody wants to do to a resource; `namespace` empty: in none or in all."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def full_resource(self) -> str:
        """`pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class Grant:
    """A rule and where it comes from."""

    rule: Object
    reason: str


def decide(registry: Registry, user: User, act: Act) -> str | None:
    """Why the act is allowed (maybe the empty string), or None."""
    if user.may_all:
        return ""
    for grant in grants(registry, user, act.namespace):
        if _covers(grant.rule, act):
            return grant.reason
    return None


def check(registry: Registry, user: User, act: Act) -> None:
    """Raise the 403 of an act that is not allowed."""
    if decide(registry, user, act) is None:
        raise refused(registry, user, act)


def refused(registry: Registry, user: User, act: Act, why: str = "") -> status.ApiError:
    """The 403 of an act; `why`: what is against it beside a lack of rights."""
    where = f'in the namespace "{act.namespace}"' if act.namespace else "at the cluster scope"
    why = why or why_not(registry, user, act.namespace)
    error = status.forbidden(
        act.resource,
        act.group,
        act.name,
        f'User "{user.name}" cannot {act.verb} resource "{act.full_resource}"'
        f' in API group "{act.group}" {where}{f": {why}" if why else ""}',
    )
    error.headers |= _NOSNIFF
    return error


def refused_path(registry: Registry, user: User, verb: str, path: str) -> status.ApiError:
    """The 403 of a path that is no resource's."""
    why = why_not(registry, user)
    text = f'forbidden: User "{user.name}" cannot {verb} path "{path}"{f": {why}" if why else ""}'
    return status.ApiError(403, "Forbidden", text, details={}, headers=_NOSNIFF)


def why_not(registry: Registry, user: User, namespace: str = "") -> str:
    """Why somebody may have fewer rights than was meant, if that is to be seen."""
    found = lost_roles(registry, user, namespace)
    return f"RBAC: {found}" if found else ""


def check_path(registry: Registry, user: User, verb: str, path: str) -> None:
    """Raise the 403 of a path that is no resource's."""
    if decide_path(registry, user, verb, path) is None:
        raise refused_path(registry, user, verb, path)


def decide_path(registry: Registry, user: User, verb: str, path: str) -> str | None:
    """Why a path that is no resource's is allowed (maybe the empty string), or None."""
    if user.may_all:
        return ""
    for grant in grants(registry, user, ""):
        rule = grant.rule
        if has(rule.get("verbs"), verb) and has_path(rule.get("nonResourceURLs") or [], path):
            return grant.reason
    return None


def grants(registry: Registry, user: User, namespace: str) -> Iterator[Grant]:
    """All rules that apply to a user in a namespace (empty: cluster-wide alone)."""
    for kind, binding, subject in _bindings(registry, user, namespace):
        about, reference = binding["metadata"], binding["roleRef"]
        role = role_of(registry, reference, about.get("namespace", ""))
        reason = (
            f'RBAC: allowed by {kind} "{_placed(about["name"], about)}" of {reference["kind"]}'
            f' "{reference["name"]}" to {subject["kind"]} "{_described(subject, about)}"'
        )
        for rule in (role or {}).get("rules") or []:
            yield Grant(rule, reason)


def lost_roles(registry: Registry, user: User, namespace: str, *, plural: bool = False) -> str:
    """Which roles are not there that bindings give to a user, as Kubernetes tells it."""
    found: dict[str, None] = {}
    for _, binding, _ in _bindings(registry, user, namespace):
        reference = binding["roleRef"]
        if role_of(registry, reference, binding["metadata"].get("namespace", "")) is None:
            kind = ROLE_PLURALS[reference["kind"]] if plural else reference["kind"].lower()
            found[f'{kind}.{RBAC} "{reference["name"]}" not found'] = None
    return next(iter(found)) if len(found) == 1 else f"[{', '.join(found)}]" if found else ""


def role_of(registry: Registry, reference: Object, namespace: str) -> Object | None:
    """The role that a binding in `namespace` refers to."""
    kind = reference.get("kind", "")
    plural = f"{ROLE_PLURALS[kind]}.{RBAC}"
    where = namespace if kind == "Role" else ""
    return registry.find(plural, where, reference.get("name", ""))


def _bindings(
    registry: Registry, user: User, namespace: str
) -> Iterator[tuple[str, Object, Object]]:
    """The bindings that apply to a user: the kind, the binding, and the subject that he is."""
    for kind, where in (("ClusterRoleBinding", None), ("RoleBinding", namespace)):
        bindings = registry.list(f"{kind.lower()}s.{RBAC}", where) if where != "" else []
        for binding in bindings:
            subjects = binding.get("subjects", [])
            subject = next((s for s in subjects if _is(s, user, binding["metadata"])), None)
            if subject is not None:
                yield kind, binding, subject


def _described(subject: Object, about: Object) -> str:
    name = str(subject["name"])
    if subject["kind"] != "ServiceAccount":
        return name
    return _placed(name, subject if subject.get("namespace") else about)


def _placed(name: str, about: Object) -> str:
    namespace = about.get("namespace")
    return f"{name}/{namespace}" if namespace else name


def _is(subject: Object, user: User, about: Object) -> bool:
    name = subject.get("name", "")
    if subject.get("kind") == "Group":
        return name in user.groups
    if subject.get("kind") == "ServiceAccount":
        namespace = subject.get("namespace") or about.get("namespace", "")
        return user.name == f"system:serviceaccount:{namespace}:{name}"
    return bool(name == user.name)


def _covers(rule: Object, act: Act) -> bool:
    names = rule.get("resourceNames")
    return (
        has(rule.get("verbs"), act.verb)
        and has(rule.get("apiGroups"), act.group)
        and has_resource(rule.get("resources") or [], act.full_resource)
        and (not names or act.name in names)
    )
