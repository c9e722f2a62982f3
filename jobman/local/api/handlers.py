"""The verbs of the API on stored objects."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from msgspec.structs import replace

from jobman.local.api import (
    answers,
    bodies,
    delete_options,
    lists,
    metadata,
    reviews,
    schema,
    status,
    watching,
)
from jobman.local.api.answers import accept_of, answer, warn
from jobman.local.api.call import Call
from jobman.local.api.cause import Cause
from jobman.local.api.forms import in_form, list_in_form
from jobman.local.api.lists import Selection
from jobman.local.api.query import flag
from jobman.local.api.registry import APPLY, Written

Object = dict[str, Any]


async def get(call: Call) -> web.StreamResponse:
    """One object."""
    accept = accept_of(call.request)
    obj = call.registry.get(call.target.resource.name, call.target.home, call.name)
    return await answer(call.request, in_form(call, accept, obj), kind=accept.type)


async def collection(call: Call) -> web.StreamResponse:
    """A page of a list, or a watch."""
    if call.verb == "watch":
        return await watching.serve(call)
    accept = accept_of(call.request)
    resource, query = call.target.resource, call.request.query
    selection = Selection.of_query(resource, call.target.namespace, query)
    page = lists.page(call.registry.store, selection, query)
    if answers.is_as_kept(call.request, accept):
        body = answers.list_body(resource, page.records, page.metadata)
        return await answers.answer_bytes(call.request, body, answers.JSON)
    objects = [record.object() for record in page.records]
    value = list_in_form(call, accept, objects, page.metadata)
    return await answer(call.request, value, kind=accept.type)


async def create(call: Call) -> web.StreamResponse:
    """A new object, or the answer to a review."""
    resource = call.target.resource
    accept_of(call.request)
    write = call.write("CreateOptions")
    body = await bodies.decoded(call.request, resource)
    if not resource.stored:
        made, warnings = reviews.review(call.registry, resource, body, call.user, write.mode)
        warn(call.request, *warnings)
        return await answer(call.request, made, code=201)
    written = await call.registry.create_soon(resource, call.target.home, body, write)
    return await _answered(call, written)


async def update(call: Call) -> web.StreamResponse:
    """An object replaced, or its status."""
    target = call.target
    accept_of(call.request)
    write = call.write("UpdateOptions")
    body = await bodies.decoded(call.request, target.resource)
    if target.subresource == "finalize":
        return await _answered(call, Written(_finalized(call, body)))
    written = call.registry.update_as(
        target.resource, target.home, call.name, body, write, target.subresource
    )
    return await _answered(call, written)


async def patch(call: Call) -> web.StreamResponse:
    """An object changed in part."""
    target = call.target
    accept_of(call.request)
    write = call.write("PatchOptions")
    kind, body = await bodies.patch(call.request)
    if kind == APPLY:
        query = call.request.query
        write = replace(write, manager=query.get("fieldManager", ""), force=flag(query, "force"))
    if kind == APPLY and not write.manager:
        text = "Required value: is required for apply patch"
        cause = Cause("FieldValueRequired", "fieldManager", text)
        raise status.invalid("PatchOptions", "meta.k8s.io", "", [cause])
    written = call.registry.patch_as(
        target.resource, target.home, call.name, kind, body, write, target.subresource
    )
    return await _answered(call, written)


async def delete(call: Call) -> web.StreamResponse:
    """One object deleted, or all that are selected."""
    target, accept = call.target, accept_of(call.request)
    options = await delete_options.of_call(call)
    if target.name is not None:
        gone = call.registry.delete(target.resource.name, target.home, target.name, options)
        value = gone if gone["kind"] == "Status" else in_form(call, accept, gone)
        return await answer(call.request, value, kind=accept.type)
    selection = Selection.of_query(target.resource, target.namespace, call.request.query)
    page = lists.page(call.registry.store, selection, {})
    await call.registry.delete_collection(page.records, options)
    objects = [record.object() for record in page.records]
    value = list_in_form(call, accept, objects, page.metadata)
    return await answer(call.request, value, kind=accept.type)


def _finalized(call: Call, body: Any) -> Object:
    """A namespace whose spec.finalizers are set: what its controller does when it is empty."""
    given, _ = schema.check(call.target.resource, body, "Ignore")
    metadata.check_name(given, call.name)
    finalizers = given.get("spec", {}).get("finalizers", [])

    def change(obj: Object) -> None:
        obj.setdefault("spec", {})["finalizers"] = finalizers

    return call.registry.modify("namespaces", "", call.name, change)


async def _answered(call: Call, written: Written) -> web.Response:
    warn(call.request, *written.warnings)
    accept, code = accept_of(call.request), 201 if written.created else 200
    if written.body and answers.is_as_kept(call.request, accept):
        body = written.body + b"\n"
        return await answers.answer_bytes(call.request, body, answers.JSON, code=code)
    obj = in_form(call, accept, written.object)
    return await answer(call.request, obj, code=code, kind=accept.type)
