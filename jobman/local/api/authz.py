"""Who may do what: RBAC as Kubernetes reads it. The owner may all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobman.local.api import status
from jobman.local.api.users import AUTHENTICATED, User

if TYPE_CHECKING:
    from jobman.local.api.registry import Registry

Object = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"
# The paths that Kubernetes' own bindings allow to everybody, and to everybody who is known.
_PUBLIC = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", *_PUBLIC[:2], "/openapi", "/openapi/*")
_KNOWN = (
    (*_DISCOVERY, *_PUBLIC[2:]),
    ("/.well-known", "/.well-known/*"),
)
_NOSNIFF = {"X-Content-Type-Options": "nosniff"}
# What Kubernetes' own bindings allow to everybody who is known.
_SELF_REVIEWS: tuple[Object, ...] = (
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {
        "verbs": ["create"],
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["selfsubjectreviews"],
    },
)


@dataclass(frozen=True)
class Act:
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


def refused(user: User, act: Act) -> status.ApiError:
    """The 403 of an act."""
    where = f'in the namespace "{act.namespace}"' if act.namespace else "at the cluster scope"
    error = status.forbidden(
        act.resource,
        act.group,
        act.name,
        f'User "{user.name}" cannot {act.verb} resource "{act.full_resource}"'
        f' in API group "{act.group}" {where}',
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
    return any(
        _has(rule.get("verbs"), verb) and _has_path(rule["nonResourceURLs"], path)
        for rule in non_resource_rules(registry, user)
    )


def _has_path(allowed: list[str], path: str) -> bool:
    return any(
        path == each or (each.endswith("*") and path.startswith(each[:-1])) for each in allowed
    )


def grants(registry: Registry, user: User, namespace: str) -> Iterator[Grant]:
    """All rules that apply to a user in a namespace (empty: cluster-wide alone)."""
    if AUTHENTICATED in user.groups:
        for rule in _SELF_REVIEWS:
            yield Grant(
                rule,
                'RBAC: allowed by ClusterRoleBinding "system:basic-user" of ClusterRole'
                f' "system:basic-user" to Group "{AUTHENTICATED}"',
            )
    for binding in registry.list(f"clusterrolebindings.{_RBAC}"):
        yield from _of_binding(registry, user, binding, "ClusterRoleBinding")
    if namespace:
        for binding in registry.list(f"rolebindings.{_RBAC}", namespace):
            yield from _of_binding(registry, user, binding, "RoleBinding")


def rules(registry: Registry, user: User, namespace: str) -> list[Object]:
    """What somebody may do in a namespace, as SelfSubjectRulesReview tells it."""
    every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    found = [grant.rule for grant in grants(registry, user, namespace)]
    own = [rule for rule in found if rule.get("resources")]
    return [*own, every] if user.may_all else own


def non_resource_rules(registry: Registry, user: User) -> list[Object]:
    """The paths that somebody may read."""
    groups = [_PUBLIC, *(_KNOWN if AUTHENTICATED in user.groups else ())]
    found: list[Object] = [{"verbs": ["get"], "nonResourceURLs": list(group)} for group in groups]
    if user.may_all:
        found.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
    granted = (grant.rule for grant in grants(registry, user, ""))
    return found + [rule for rule in granted if rule.get("nonResourceURLs")]


def _of_binding(registry: Registry, user: User, binding: Object, kind: str) -> Iterator[Grant]:
    about = binding["metadata"]
    subject = next((s for s in binding.get("subjects", []) if _is(s, user, about)), None)
    if subject is None:
        return
    reference = binding.get("roleRef", {})
    namespace = about.get("namespace", "") if reference.get("kind") == "Role" else ""
    plural = "roles" if reference.get("kind") == "Role" else "clusterroles"
    role = registry.find(f"{plural}.{_RBAC}", namespace, reference.get("name", ""))
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
        _has(rule.get("verbs"), act.verb)
        and _has(rule.get("apiGroups"), act.group)
        and _has_resource(rule.get("resources"), act)
        and (not names or act.name in names)
    )


def _has(allowed: list[str] | None, wanted: str) -> bool:
    return "*" in (allowed or []) or wanted in (allowed or [])


def _has_resource(allowed: list[str] | None, act: Act) -> bool:
    every_of = f"*/{act.subresource}" if act.subresource else ""
    return _has(allowed, act.full_resource) or bool(every_of and every_of in (allowed or []))
