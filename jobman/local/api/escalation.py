"""Nobody gives what he has not: the rules behind writing roles and bindings.

As in Kubernetes, whoever may `escalate` a role, or `bind` it, is asked nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobman.local.api import authz, rule_cover, status
from jobman.local.api.authz import RBAC, Act
from jobman.local.api.resources import Resource
from jobman.local.api.rule_cover import Rules
from jobman.local.api.users import User

if TYPE_CHECKING:
    from jobman.local.api.registry import Registry

Object = dict[str, Any]
_ALL_RIGHTS: Rules = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)
_HOUSEKEEPING = frozenset({"ownerReferences", "finalizers", "managedFields", "resourceVersion"})


def check(
    registry: Registry, resource: Resource, new: Object, user: User, old: Object | None = None
) -> None:
    """Raise the 403 of a role or a binding that gives more than its writer has."""
    if resource.group != RBAC or user.may_all:
        return
    if old is not None and _told(old) == _told(new):
        return
    about = new["metadata"]
    namespace = about.get("namespace", "")
    if resource.kind.endswith("Binding"):
        given = _bound(registry, user, new.get("roleRef") or {}, namespace)
        gathers = False
    else:
        named = about["name"] if old is not None else ""
        if _may(registry, user, Act("escalate", RBAC, resource.plural, "", namespace, named)):
            return
        given = new.get("rules") or []
        gathers = _gathers(new) or _gathers(old or {})
    held = [grant.rule for grant in authz.grants(registry, user, namespace)]
    why = ""
    if lacking := rule_cover.missing(held, given):
        lost = authz.lost_roles(registry, user, namespace, plural=True)
        why = _why(user, lacking) + (f"; resolution errors: [{lost}]" if lost else "")
    elif gathers and rule_cover.missing(held, _ALL_RIGHTS):
        why = "must have cluster-admin privileges to use the aggregationRule"
    if why:
        raise status.forbidden(resource.plural, resource.group, about["name"], why)


def _gathers(role: Object) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _bound(registry: Registry, user: User, reference: Object, namespace: str) -> Rules:
    """The rules that a binding gives, as far as its writer is to have them."""
    if reference.get("kind") not in authz.ROLE_PLURALS:
        return []  # validation has its own word for that
    plural, name = authz.ROLE_PLURALS[reference["kind"]], reference.get("name", "")
    if _may(registry, user, Act("bind", RBAC, plural, namespace=namespace, name=name)):
        return []
    role = authz.role_of(registry, reference, namespace)
    if role is None:
        raise status.not_found(plural, RBAC, name)
    return role.get("rules") or []


def _may(registry: Registry, user: User, act: Act) -> bool:
    return authz.decide(registry, user, act) is not None


def _told(obj: Object) -> Object:
    """The object without what only the garbage collection minds."""
    kept = {k: v for k, v in obj["metadata"].items() if k not in _HOUSEKEEPING}
    return {**obj, "metadata": kept}


def _why(user: User, lacking: Rules) -> str:
    rules = "\n".join(rule_cover.texts(lacking))
    groups = rule_cover.quoted(user.groups)
    return (
        f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not'
        f" currently held:\n{rules}"
    )
