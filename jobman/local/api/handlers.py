"""The verbs of the API on stored objects."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from aiohttp import web

from jobman.local.api import answers, bodies, lists, reviews, status, tables
from jobman.local.api.answers import Accept, answer
from jobman.local.api.authz import Act, check
from jobman.local.api.cause import Cause
from jobman.local.api.deletion import DeleteOptions, Propagation
from jobman.local.api.lists import Selection
from jobman.local.api.paths import Target
from jobman.local.api.registry import Registry, Write, Written
from jobman.local.api.schema import Mode
from jobman.local.api.users import User
from jobman.local.api.watch import TooSlowError, Watch

Object = dict[str, Any]

_MODES = ("Ignore", "Warn", "Strict")
_PROPAGATIONS = ("Background", "Foreground", "Orphan")
_ORPHANS_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background"
    " to remove them or set propagationPolicy=Orphan to suppress this warning"
)


@dataclass(frozen=True)
class Call:
    """One request to the API: what it is about, who asks."""

    registry: Registry
    request: web.Request
    target: Target
    user: User

    @property
    def watches(self) -> bool:
        """Whether a GET of a collection is a watch."""
        return self.target.watch or self.request.query.get("watch", "") in ("true", "1")

    @property
    def verb(self) -> str:
        """The verb that roles speak of."""
        method, named = self.request.method, self.target.name is not None
        if method == "GET" and not named:
            return "watch" if self.watches else "list"
        if method == "DELETE" and not named:
            return "deletecollection"
        return {"POST": "create", "PUT": "update"}.get(method, method.lower())

    def authorize(self) -> None:
        """Raise a 403, or a 405 for a verb that the resource has not."""
        target = self.target
        act = Act(
            self.verb,
            target.resource.group,
            target.resource.plural,
            target.subresource or "",
            target.home,
            target.name or "",
        )
        check(self.registry, self.user, act)
        verbs = target.resource.verbs
        if target.subresource is not None:
            found = target.resource.subresource(target.subresource)
            verbs = found.verbs if found else ()
        if self.verb not in verbs:
            raise status.method_not_allowed()

    def write(self) -> Write:
        """How the write is asked for. Raises a 422."""
        query = self.request.query
        mode = query.get("fieldValidation") or "Warn"
        if mode not in _MODES:
            raise _option("fieldValidation", mode, _MODES)
        return Write(self.user, dry_run(query.getall("dryRun", [])), cast(Mode, mode))


def dry_run(asked: list[str]) -> bool:
    """Whether a write is for show. Raises a 422 for anything but All."""
    if any(word != "All" for word in asked):
        raise _option("dryRun", asked[0], ("All",))
    return bool(asked)


def _option(field: str, value: str, supported: tuple[str, ...]) -> status.ApiError:
    listed = ", ".join(f'"{word}"' for word in supported)
    cause = Cause(
        "FieldValueNotSupported",
        field,
        f'Unsupported value: "{value}": supported values: {listed}',
    )
    return status.invalid("CreateOptions", "meta.k8s.io", "", [cause])


async def get(call: Call) -> web.StreamResponse:
    """One object."""
    target = call.target
    assert target.name is not None
    obj = call.registry.get(target.resource.name, target.home, target.name)
    return await _shown(call, obj)


async def collection(call: Call) -> web.StreamResponse:
    """A page of a list, or a watch."""
    if call.watches:
        return await watch(call)
    accept = Accept(call.request.headers.get("Accept", ""))
    resource, query = call.target.resource, call.request.query
    selection = Selection.of_query(resource, call.target.namespace, query)
    page = lists.page(call.registry.store, selection, query)
    if not accept.form and accept.type == answers.JSON and not answers.is_pretty(call.request):
        body = answers.list_body(resource, page.records, page.metadata)
        return await answers.answer_bytes(call.request, body, answers.JSON)
    objects = [record.object() for record in page.records]
    value = _list_in_form(call, accept, objects, page.metadata)
    return await answer(call.request, value, kind=accept.type)


async def watch(call: Call) -> web.StreamResponse:
    """Changes, a line each, as they come."""
    query = call.request.query
    accept = Accept(call.request.headers.get("Accept", ""))
    resource = call.target.resource
    selection = Selection.of_query(resource, call.target.namespace, query)
    if call.target.name is not None:
        selection = Selection(resource, call.target.namespace, name=call.target.name)
    version = _watch_version(query.get("resourceVersion", ""))
    initial = query.get("sendInitialEvents") == "true"
    if initial and query.get("resourceVersionMatch") != "NotOlderThan":
        raise _needs_match()
    watcher = Watch(call.registry.store, selection, _encoder(call, accept))
    response = web.StreamResponse(
        headers={**answers.common_headers(), "Content-Type": "application/json"}
    )
    await response.prepare(call.request)
    lines = watcher.lines(
        None if initial else version,
        bookmarks=query.get("allowWatchBookmarks") in ("true", "1"),
        initial_end=initial,
        timeout_s=_timeout(query.get("timeoutSeconds", "")),
    )
    with contextlib.suppress(ConnectionError, TooSlowError):
        async with contextlib.aclosing(lines):
            async for batch in lines:
                await response.write(batch)
        await response.write_eof()
    return response


async def create(call: Call) -> web.StreamResponse:
    """A new object, or the answer to a review."""
    resource = call.target.resource
    write = call.write()
    body = await bodies.decoded(call.request, resource)
    if not resource.stored:
        made, warnings = reviews.review(call.registry, resource, body, call.user, write.mode)
        return await answer(call.request, made, code=201, warnings=warnings)
    if resource.namespaced and call.target.namespace is None:
        raise status.method_not_allowed()
    written = call.registry.create_as(resource, call.target.home, body, write)
    return await _answered(call, written)


async def update(call: Call) -> web.StreamResponse:
    """An object replaced, or its status."""
    target, write = call.target, call.write()
    body = await bodies.decoded(call.request, target.resource)
    assert target.name is not None
    if target.subresource == "finalize":
        return await answer(call.request, _finalized(call, body))
    written = call.registry.update_as(
        target.resource, target.home, target.name, body, write, target.subresource
    )
    return await _answered(call, written)


async def patch(call: Call) -> web.StreamResponse:
    """An object changed in part."""
    target, write = call.target, call.write()
    kind, body = await bodies.patch(call.request)
    if kind.startswith("application/apply-patch") and not call.request.query.get("fieldManager"):
        cause = Cause(
            "FieldValueRequired",
            "fieldManager",
            "Required value: is required for apply patch",
        )
        raise status.invalid("PatchOptions", "meta.k8s.io", "", [cause])
    assert target.name is not None
    written = call.registry.patch_as(
        target.resource, target.home, target.name, kind, body, write, target.subresource
    )
    return await _answered(call, written)


async def delete(call: Call) -> web.StreamResponse:
    """One object deleted, or all that are selected."""
    target = call.target
    options, warnings = await _delete_options(call)
    if target.name is not None:
        gone = call.registry.delete(target.resource.name, target.home, target.name, options)
        return await answer(call.request, gone, warnings=warnings)
    selection = Selection.of_query(target.resource, target.namespace, call.request.query)
    page = lists.page(call.registry.store, selection, {})
    objects = call.registry.delete_collection(target.resource, page.records, options)
    value = _list_in_form(call, Accept(""), objects, page.metadata)
    return await answer(call.request, value, warnings=warnings)


def _finalized(call: Call, body: Any) -> Object:
    """A namespace whose spec.finalizers are set: what its controller does when it is empty."""
    finalizers = body.get("spec", {}).get("finalizers", []) if isinstance(body, dict) else []

    def change(obj: Object) -> None:
        obj.setdefault("spec", {})["finalizers"] = finalizers

    assert call.target.name is not None
    return call.registry.modify("namespaces", "", call.target.name, change)


async def _delete_options(call: Call) -> tuple[DeleteOptions, list[str]]:
    """From the body when there is one, else from the query; and the warnings about them."""
    body = await bodies.options(call.request)
    query = call.request.query
    source: Any = body or query
    grace = source.get("gracePeriodSeconds")
    policy = source.get("propagationPolicy") or None
    if policy is None and source.get("orphanDependents") in (True, "true"):
        policy = "Orphan"
    if policy is not None and policy not in _PROPAGATIONS:
        raise _delete_option("propagationPolicy", policy)
    if grace is not None and not str(grace).lstrip("-").isdigit():
        raise _delete_option("gracePeriodSeconds", grace)
    warnings = []
    if policy is None and call.target.resource.kind == "Job":
        policy = "Orphan"
        warnings.append(_ORPHANS_WARNING)
    conditions = body.get("preconditions") or {}
    options = DeleteOptions(
        grace_s=None if grace is None else int(grace),
        propagation=cast(Propagation, policy or "Background"),
        uid=conditions.get("uid"),
        resource_version=conditions.get("resourceVersion"),
        dry_run=dry_run([*query.getall("dryRun", []), *(body.get("dryRun") or [])]),
    )
    return options, warnings


def _delete_option(field: str, value: Any) -> status.ApiError:
    cause = Cause(
        "FieldValueNotSupported",
        field,
        f'Unsupported value: "{value}": supported values: "Foreground", "Background", "Orphan", ""',
    )
    return status.invalid("DeleteOptions", "meta.k8s.io", "", [cause])


async def _answered(call: Call, written: Written) -> web.Response:
    accept = Accept(call.request.headers.get("Accept", ""))
    return await answer(
        call.request,
        written.object,
        code=201 if written.created else 200,
        warnings=written.warnings,
        kind=accept.type,
    )


async def _shown(call: Call, obj: Object) -> web.Response:
    accept = Accept(call.request.headers.get("Accept", ""))
    encode = _encoder(call, accept)
    return await answer(call.request, encode(obj) if encode else obj, kind=accept.type)


def _encoder(call: Call, accept: Accept) -> Callable[[Object], Object] | None:
    """How one object is put into the form that is asked for; None: as it is."""
    if accept.table:
        include, resource = _include(call), call.target.resource
        return lambda obj: tables.render(resource, [obj], datetime.now(UTC), include)
    return tables.partial if accept.partial else None


def _include(call: Call) -> tables.Include:
    """How much of an object goes with its row of a table."""
    asked = call.request.query.get("includeObject", "Metadata")
    return cast(tables.Include, asked if asked in ("None", "Object") else "Metadata")


def _list_in_form(call: Call, accept: Accept, objects: list[Object], metadata: Object) -> Object:
    resource = call.target.resource
    if accept.table:
        table = tables.render(resource, objects, datetime.now(UTC), _include(call))
        return {**table, "metadata": metadata}
    if accept.partial:
        return {**tables.partial_list(objects), "metadata": metadata}
    for obj in objects:
        obj.pop("kind", None)
        obj.pop("apiVersion", None)
    head = {"kind": f"{resource.kind}List", "apiVersion": resource.group_version}
    return {**head, "metadata": metadata, "items": objects}


def _watch_version(text: str) -> int | None:
    """None: begin with everything there is."""
    if text in ("", "0"):
        return None
    if not (text.isascii() and text.isdigit()):
        raise status.ApiError(500, "", f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _needs_match() -> status.ApiError:
    cause = Cause(
        "FieldValueForbidden",
        "resourceVersionMatch",
        "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    )
    return status.invalid("ListOptions", "meta.k8s.io", "", [cause])


def _timeout(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None
