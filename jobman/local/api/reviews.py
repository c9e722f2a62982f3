"""Questions about oneself: who am I, what may I do. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jobman.local.api import authz, schema, status
from jobman.local.api.authz import Act
from jobman.local.api.cause import Cause
from jobman.local.api.resources import Resource
from jobman.local.api.schema import Mode
from jobman.local.api.users import User
from jobman.local.moments import now

if TYPE_CHECKING:
    from jobman.local.api.registry import Registry

Object = dict[str, Any]


def review(
    registry: Registry, resource: Resource, obj: Any, user: User, mode: Mode
) -> tuple[Object, list[str]]:
    """The review with its answer, and warnings."""
    asked, warnings = schema.check(resource, obj, mode)
    about = {k: v for k, v in asked.get("metadata", {}).items() if k != "managedFields"}
    head = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": about}
    return {**head, **_REVIEWS[resource.kind](registry, asked, user, head)}, warnings


def _who(registry: Registry, asked: Object, user: User, head: Object) -> Object:  # noqa: ARG001
    head["metadata"]["creationTimestamp"] = now()
    told: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    told["extra"] = {key: list(user.extra[key]) for key in sorted(user.extra)}
    return {"status": {"userInfo": {key: value for key, value in told.items() if value}}}


def _may(registry: Registry, asked: Object, user: User, head: Object) -> Object:  # noqa: ARG001
    spec = asked.get("spec", {})
    of_resource, of_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (of_resource is None) == (of_path is None):
        raise _not_one_of_both(spec)
    if of_path is not None:
        namespace, verb, path = "", of_path.get("verb", ""), of_path.get("path", "")
        allowed = authz.decide_path(registry, user, verb, path)
    else:
        namespace = of_resource.get("namespace", "")
        allowed = authz.decide(registry, user, _act(of_resource))
    answer: Object = {"allowed": allowed is not None}
    if reason := authz.why_not(registry, user, namespace) if allowed is None else allowed:
        answer["reason"] = reason
    return {"spec": spec, "status": answer}


def _not_one_of_both(spec: Object) -> status.ApiError:
    text = (
        "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        if not spec
        else "cannot be specified in combination with resourceAttributes"
    )
    field = "spec.resourceAttributes" if not spec else "spec.nonResourceAttributes"
    cause = Cause("FieldValueInvalid", field, f"Invalid value: null: {text}")
    return status.invalid("", "authorization.k8s.io", "", [cause])


def _act(attributes: Object) -> Act:
    return Act(
        verb=attributes.get("verb", ""),
        group=attributes.get("group", ""),
        resource=attributes.get("resource", ""),
        subresource=attributes.get("subresource", ""),
        namespace=attributes.get("namespace", ""),
        name=attributes.get("name", ""),
    )


def _rules(registry: Registry, asked: Object, user: User, head: Object) -> Object:  # noqa: ARG001
    namespace = asked.get("spec", {}).get("namespace", "")
    if not namespace:
        raise status.bad_request("no namespace on request")
    held = [grant.rule for grant in authz.grants(registry, user, namespace)]
    told: Object = {
        "resourceRules": [rule for rule in held if rule.get("resources")],
        "nonResourceRules": [rule for rule in held if rule.get("nonResourceURLs")],
        "incomplete": False,
    }
    if lost := authz.lost_roles(registry, user, namespace):
        told["evaluationError"] = lost
    return {"spec": {}, "status": told}


_REVIEWS: dict[str, Callable[[Registry, Object, User, Object], Object]] = {
    "SelfSubjectReview": _who,
    "SelfSubjectAccessReview": _may,
    "SelfSubjectRulesReview": _rules,
}
