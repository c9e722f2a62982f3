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
        raise refused(user, act)


def refused(user: User, act: Act, why: str = "") -> status.ApiError:
    """The 403 of an act; `why`: what is against it beside a lack of rights."""
    where = f'in the namespace "{act.namespace}"' if act.namespace else "at the cluster scope"
    error = status.forbidden(
        act.resource,
        act.group,
        act.name,
        f'User "{user.name}" cannot {act.verb} resource "{act.full_resource}"'
        f' in API group "{act.group}" {where}{f": {why}" if why else ""}',
    )
    error.headers |= _NOSNIFF
    return error


def refused_path(user: User, verb: str, path: str) -> status.ApiError:
    """The 403 of a path that is no resource's."""
    text = f'forbidden: User "{user.name}" cannot {verb} path "{path}"'
    return status.ApiError(403, "Forbidden", text, details={}, headers=_NOSNIFF)


def check_path(registry: Registry, user: User, verb: str, path: str) -> None:
    """Raise the 403 of a path that is no resource's."""
    if not may_path(registry, user, verb, path):
        raise refused_path(user, verb, path)


def may_path(registry: Registry, user: User, verb: str, path: str) -> bool:
    """Whether somebody may do something with a path that is no resource's."""
    return user.may_all or any(
        has(rule.get("verbs"), verb) and has_path(rule["nonResourceURLs"], path)
        for rule in non_resource_rules(registry, user)
    )


def grants(registry: Registry, user: User, namespace: str) -> Iterator[Grant]:
    """All rules that apply to a user in a namespace (empty: cluster-wide alone)."""
    for binding in registry.list(f"clusterrolebindings.{RBAC}"):
        yield from _of_binding(registry, user, binding, "ClusterRoleBinding")
    if namespace:
        for binding in registry.list(f"rolebindings.{RBAC}", namespace):
            yield from _of_binding(registry, user, binding, "RoleBinding")


def rules(registry: Registry, user: User, namespace: str) -> list[Object]:
    """What somebody may do in a namespace, as SelfSubjectRulesReview tells it."""
    granted = (grant.rule for grant in grants(registry, user, namespace))
    return [rule for rule in granted if rule.get("resources")]


def non_resource_rules(registry: Registry, user: User) -> list[Object]:
    """The paths that somebody may read."""
    granted = (grant.rule for grant in grants(registry, user, ""))
    return [rule for rule in granted if rule.get("nonResourceURLs")]


def role_of(registry: Registry, reference: Object, namespace: str) -> Object | None:
    """The role that a binding in `namespace` refers to."""
    kind = reference.get("kind", "")
    plural = f"{ROLE_PLURALS[kind]}.{RBAC}"
    where = namespace if kind == "Role" else ""
    return registry.find(plural, where, reference.get("name", ""))


def _of_binding(registry: Registry, user: User, binding: Object, kind: str) -> Iterator[Grant]:
    about = binding["metadata"]
    subject = next((s for s in binding.get("subjects", []) if _is(s, user, about)), None)
    if subject is None:
        return
    reference = binding.get("roleRef", {})
    role = role_of(registry, reference, about.get("namespace", ""))
    where = f"/{about['namespace']}" if about.get("namespace") else ""
    reason = (
        f'RBAC: allowed by {kind} "{about["name"]}{where}" of {reference.get("kind")}'
        f' "{reference.get("name")}" to {subject["kind"]} "{subject["name"]}"'
    )
    for rule in (role or {}).get("rules") or []:
        yield Grant(rule, reason)


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
