"""What is done to a pod through its subresources."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobman.local.api import bodies, pod_exec, pod_log, status
from jobman.local.api.agent import NodeAgent
from jobman.local.api.answers import answer
from jobman.local.api.deletion import DeleteOptions
from jobman.local.api.handlers import Call, dry_run
from jobman.local.api.metadata import now

Object = dict[str, Any]
log = pod_log.serve
exec_ = pod_exec.serve


async def binding(call: Call, agent: NodeAgent) -> web.StreamResponse:  # noqa: ARG001
    """Put a pod on a node: what a scheduler does."""
    body = await _body(call)
    node = body.get("target", {}).get("name", "") if isinstance(body.get("target"), dict) else ""
    if not node:
        raise status.bad_request("target.name: Required value")
    assert call.target.name is not None
    pod = call.registry.get("pods", call.target.home, call.target.name)
    if pod["spec"].get("nodeName"):
        name = pod["metadata"]["name"]
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise status.conflict("pods", "", name, why)
    bind(call, node)
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return await answer(call.request, {**success, "code": 201}, code=201)


def bind(call: Call, node: str) -> None:
    """Write the node on the pod."""

    def change(pod: Object) -> None:
        pod["spec"]["nodeName"] = node

    assert call.target.name is not None
    call.registry.modify("pods", call.target.home, call.target.name, change)


async def eviction(call: Call, agent: NodeAgent) -> web.StreamResponse:  # noqa: ARG001
    """Delete a pod, leaving word that it was an eviction."""
    body = await _body(call)
    assert call.target.name is not None
    pod = call.registry.get("pods", call.target.home, call.target.name)
    name, options = pod["metadata"]["name"], body.get("deleteOptions") or {}
    if not dry_run([*call.request.query.getall("dryRun", []), *(options.get("dryRun") or [])]):
        call.registry.modify("pods", call.target.home, name, _disrupted, subresource="status")
        grace = options.get("gracePeriodSeconds")
        call.registry.delete("pods", call.target.home, name, DeleteOptions(grace_s=grace))
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


async def _body(call: Call) -> Object:
    body = await bodies.decoded(call.request, call.target.resource)
    if not isinstance(body, dict):
        raise status.bad_request("the body is no object")
    return body
