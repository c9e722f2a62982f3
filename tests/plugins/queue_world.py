"""A small GPU cluster behind the scripted server, as the queue reads it."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.job_world import CORE, MANAGED, NAMESPACE, JobWorld, ago
from plugins.scripted_server import Reply

GPU = "nvidia.com/gpu"
PODS, JOBS, NODES = "/api/v1/pods", "/apis/batch/v1/jobs", "/api/v1/nodes"
QUOTAS = f"{CORE}/resourcequotas"
FORBIDDEN = Reply(
    403,
    {
        "kind": "Status",
        "status": "Failure",
        "reason": "Forbidden",
        "code": 403,
        "message": "it is forbidden",
    },
)
Object = dict[str, Any]


def listed(*items: Object) -> Reply:
    return Reply(200, {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": [*items]})


def pod(
    name: str, flavor: str | None, *, node: str = "", user: str = "alice", **asks: str
) -> Object:
    labels = MANAGED | {"jobman/user": user, "jobman/flavor": flavor} if flavor else {}
    requests = {key.replace("gpu", GPU): text for key, text in asks.items()}
    meta = {"name": name, "namespace": NAMESPACE, "uid": name, "labels": labels}
    return {
        "metadata": meta | {"creationTimestamp": ago(120 if node else 60)},
        "spec": {"nodeName": node, "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": "Running" if node else "Pending"},
    }


def machine(name: str, *, ready: bool = True, **spec: Any) -> Object:
    has = {"cpu": "16", "memory": "64Gi", "pods": "110", GPU: "4"}
    labels = {"nvidia.com/gpu.product": "A100"}
    return {
        "metadata": {"name": name, "uid": name, "labels": labels},
        "spec": spec,
        "status": {
            "allocatable": has,
            "capacity": has,
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


HELD = {
    "metadata": {"name": "held", "namespace": NAMESPACE, "uid": "held", "labels": MANAGED},
    "spec": {"suspend": True, "template": {"spec": {"containers": []}}},
}
WORK = [
    pod("a", "small-gpu", node="n1", cpu="2", gpu="1"),
    pod("b", "small-gpu", user="bob", cpu="2", gpu="1"),
    pod("c", None, node="n2", cpu="1", gpu="3"),
]


@pytest.fixture
def cluster(world: JobWorld) -> JobWorld:
    """Two machines and three pods, of which I may read all."""
    script = world.server.script
    script("GET", PODS, listed(*WORK))
    script("GET", JOBS, listed())
    script("GET", NODES, listed(machine("n1"), machine("n2"), machine("n3", unschedulable=True)))
    script("GET", QUOTAS, listed())
    return world
