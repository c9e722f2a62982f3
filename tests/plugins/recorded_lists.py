"""A cluster of many pods and nodes, each shaped as a real API server sent one."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from plugins.replay_recordings import recordings

Object = dict[str, Any]

FLAVORS = (
    ("small", {"cpu": "1", "memory": "2Gi"}),
    ("medium", {"cpu": "2", "memory": "8Gi"}),
    ("gpu", {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}),
)
WAITING_OF = 20
"""One pod in so many has no node."""


def recorded(name: str) -> Object:
    """The body of a recorded answer."""
    found: Object = copy.deepcopy(recordings()[name].body)
    return found


def pods(count: int, nodes: int, *, bare: bool) -> list[Object]:
    """Pods of jobman's, most of them running, each a copy of a recorded one.

    `bare`: without what the kubelet and the admission of a service account add, 2.3 kB instead
    of 5.2: the size of the 10,065 pods that the recorded server's lists were timed with.
    """
    pod = recorded("jobs/complete/final-get-pod-untrimmed")
    running = recorded("writes/delete-default/pods-3s-later")["items"][0]["status"]
    del pod["kind"], pod["apiVersion"]
    pod["status"] = running
    if bare:
        pod["metadata"]["managedFields"].pop()
        pod["status"] = {"phase": "Running", "qosClass": "Burstable"}
        del pod["spec"]["volumes"], pod["spec"]["containers"][0]["volumeMounts"]
    text = json.dumps(pod)
    return [_pod(text, number, nodes) for number in range(count)]


def _pod(text: str, number: int, nodes: int) -> Object:
    flavor, requests = FLAVORS[number % len(FLAVORS)]
    name, user = f"train-{number // 100:03d}-{number % 100:02d}", f"user{number % 40}"
    pod: Object = json.loads(text)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata |= {
        "name": name,
        "namespace": user,
        "uid": _uid(number),
        "resourceVersion": str(number),
    }
    metadata["labels"] |= {
        "app.kubernetes.io/managed-by": "jobman",
        "jobman/user": user,
        "jobman/flavor": flavor,
    }
    metadata["annotations"] = {"jobman/user": user}
    limits = {key: amount for key, amount in requests.items() if "/" in key}
    spec["containers"][0]["resources"] = {"requests": requests, "limits": limits}
    spec["nodeName"] = f"node{number % nodes}"
    if number % WAITING_OF == 0:
        del spec["nodeName"]
        pod["status"] = {"phase": "Pending", "qosClass": "Burstable"}
    return pod


def _uid(number: int) -> str:
    return f"907d808e-6ab7-45d8-bbab-{number:012d}"


def nodes(count: int) -> list[Object]:
    """Nodes with GPUs, each a copy of a recorded one."""
    whole = recorded("nodes/get-node1-untrimmed")
    del whole["kind"], whole["apiVersion"]
    amounts = {"cpu": "64", "memory": "512Gi", "nvidia.com/gpu": "8"}
    for kind in ("capacity", "allocatable"):
        whole["status"][kind] |= amounts
    text = json.dumps(whole)
    return [_node(text, number) for number in range(count)]


def _node(text: str, number: int) -> Object:
    node: Object = json.loads(text)
    name = f"node{number}"
    node["metadata"] |= {"name": name, "uid": _uid(number)}
    node["metadata"]["labels"] |= {
        "kubernetes.io/hostname": name,
        "nvidia.com/gpu.product": "A100",
    }
    return node


def table(items: Sequence[Object]) -> Object:
    """The pods as rows to print, with their metadata, as kubectl asks for them."""
    found = recorded("lists/pods-as-Table")
    return found | {"rows": [_row(pod) for pod in items]}


def _row(pod: Object) -> Object:
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    status, node = pod["status"], pod["spec"].get("nodeName", "<none>")
    cells = [pod["metadata"]["name"], "1/1", status["phase"], "0", "7s"]
    cells += [status.get("podIP", "<none>"), node, "<none>", "<none>"]
    return {"cells": cells, "object": partial | {"metadata": pod["metadata"]}}
