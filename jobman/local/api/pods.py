"""What is done to a pod through its subresources."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobman.local.api import bodies, delete_options, pod_exec, pod_log, schema, status
from jobman.local.api.agent import NodeAgent
from jobman.local.api.answers import answer
from jobman.local.api.call import Call
from jobman.local.moments import now

Object = dict[str, Any]
log = pod_log.serve
exec_ = pod_exec.serve


async def binding(call: Call, agent: NodeAgent) -> web.StreamResponse:  # noqa: ARG001
    """Put a pod on a node: what a scheduler does."""
    node = (await _body(call, "Binding")).get("target", {}).get("name", "")
    dry_run = call.write("CreateOptions").dry_run
    if not node:
        raise status.bad_request("target.name: Required value")
    pod = call.registry.get("pods", call.target.home, call.name)
    if pod["spec"].get("nodeName"):
        name = pod["metadata"]["name"]
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise status.conflict("pods", "", name, why)
    if not dry_run:
        bind(call, node)
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return await answer(call.request, {**success, "code": 201}, code=201)


def bind(call: Call, node: str) -> None:
    """Write the node on the pod."""

    def change(pod: Object) -> None:
        pod["spec"]["nodeName"] = node

    call.registry.modify("pods", call.target.home, call.name, change)


async def eviction(call: Call, agent: NodeAgent) -> web.StreamResponse:  # noqa: ARG001
    """Delete a pod, leaving word that it was an eviction."""
    options = delete_options.of_body((await _body(call, "Eviction")).get("deleteOptions") or {})
    asked = call.write("CreateOptions")
    call.registry.get("pods", call.target.home, call.name)
    if not (asked.dry_run or options.dry_run):
        call.registry.modify("pods", call.target.home, call.name, _disrupted)
        call.registry.delete("pods", call.target.home, call.name, options)
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return await answer(call.request, {**success, "code": 201}, code=201)


def _disrupted(pod: Object) -> None:
    conditions = pod.setdefault("status", {}).setdefault("conditions", [])
    conditions.append(
        {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now(),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
    )


async def _body(call: Call, kind: str) -> Object:
    """The body as a `kind`. Raises a 400."""
    body = await bodies.decoded(call.request, call.target.resource)
    try:
        found = schema.decode_as(kind, body, "Ignore")[0]
    except ValueError as error:
        raise status.bad_request(str(error)) from None
    if found.get("metadata", {}).get("name") != call.name:
        raise status.bad_request(f"name in URL does not match name in {kind} object")
    return found
