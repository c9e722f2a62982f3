"""DeleteOptions as clients send them: in the body, or else in the query."""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web

from jobman.local.api import answers, bodies, schema, status
from jobman.local.api.call import Call, dry_run_problems
from jobman.local.api.cause import Cause, not_supported, wrong
from jobman.local.api.deletion import DeleteOptions, Propagation
from jobman.local.api.query import flag, integer

Object = dict[str, Any]

_PROPAGATIONS = ("Foreground", "Background", "Orphan")
_BOTH = "orphanDependents and deletionPropagation cannot be both set"
_ORPHANS = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background"
    " to remove them or set propagationPolicy=Orphan to suppress this warning"
)


async def of_call(call: Call) -> DeleteOptions:
    """The options of a DELETE; a body makes Kubernetes ignore the query. Raises 400 and 422."""
    body = await bodies.options(call.request)
    found = of_body(body) if body is not None else _checked(_of_query(call.request))
    if found.propagation is None and call.target.resource.kind == "Job":
        answers.warn(call.request, _ORPHANS)
    return found


def of_body(body: Object) -> DeleteOptions:
    """DeleteOptions as a client wrote them. Raises 400 and 422."""
    return _checked(_shaped(body))


def _checked(given: Object) -> DeleteOptions:
    policy, orphan = given.get("propagationPolicy"), given.get("orphanDependents")
    causes = _problems(policy, orphan, given.get("dryRun", []))
    if causes:
        raise status.invalid("DeleteOptions", "meta.k8s.io", "", causes)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    conditions = given.get("preconditions", {})
    return DeleteOptions(
        grace_s=given.get("gracePeriodSeconds"),
        propagation=cast(Propagation, policy) if policy else None,
        uid=conditions.get("uid"),
        resource_version=conditions.get("resourceVersion"),
        dry_run=bool(given.get("dryRun")),
    )


def _problems(policy: str | None, orphan: bool | None, dry_run: list[str]) -> list[Cause]:
    if policy and orphan is not None:
        return [wrong("propagationPolicy", policy, _BOTH)]
    if policy and policy not in _PROPAGATIONS:
        return [not_supported("propagationPolicy", policy, (*_PROPAGATIONS, "nil"))]
    return dry_run_problems(dry_run)


def _shaped(body: Object) -> Object:
    kind = body.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        raise status.bad_request(
            f"the object provided is unrecognized (must be of type DeleteOptions): kind {kind}"
        )
    try:
        return schema.decode_as("DeleteOptions", body, "Ignore")[0]
    except ValueError as error:
        raise status.bad_request(str(error)) from None


def _of_query(request: web.BaseRequest) -> Object:
    query = request.query
    given: Object = {"dryRun": query.getall("dryRun", [])}
    if policy := query.get("propagationPolicy"):
        given["propagationPolicy"] = policy
    if "orphanDependents" in query:
        given["orphanDependents"] = flag(query, "orphanDependents")
    grace_s = integer(query, "gracePeriodSeconds")
    if grace_s is not None:
        given["gracePeriodSeconds"] = grace_s
    return given
