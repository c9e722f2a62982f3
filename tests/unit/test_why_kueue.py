"""Where a job stands in Kueue, as its Workload API and its visibility API answer."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.job_world import NAMESPACE
from plugins.scripted_server import Reply, ScriptedServer

from jobman.kube.client import Client
from jobman.kube.objects import Job, JobSpec, ObjectMeta
from jobman.why import kueue
from jobman.why.kueue import PLACES, WORKLOADS, Queued

DENIED = Reply(403, {"kind": "Status", "reason": "Forbidden", "message": "not you", "code": 403})
AWAY = Reply(404, {"kind": "Status", "reason": "NotFound", "message": "no such", "code": 404})
MANY = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu"

Plain = dict[str, Any]


def workloads(version: str) -> str:
    return f"/apis/kueue.x-k8s.io/{version}/namespaces/{NAMESPACE}/workloads"


def places(version: str) -> str:
    return (
        f"/apis/visibility.kueue.x-k8s.io/{version}/namespaces/{NAMESPACE}"
        "/localqueues/gpus/pendingworkloads"
    )


def a_job(*, queue: str | None = "gpus", suspend: bool = True) -> Job:
    labels = {"kueue.x-k8s.io/queue-name": queue} if queue else {}
    meta = ObjectMeta(name="train", namespace=NAMESPACE, uid="uid-train", labels=labels)
    return Job(metadata=meta, spec=JobSpec(suspend=suspend))


def meta(job: str) -> Plain:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": f"uid-{job}"}
    return {"name": f"job-{job}-1a2b3", "namespace": NAMESPACE, "ownerReferences": [owner]}


def a_workload(job: str, *conditions: Plain, gpus: int = 1, count: int = 1) -> Plain:
    asked = {"requests": {"cpu": "4", "nvidia.com/gpu": str(gpus)}}
    template = {"spec": {"containers": [{"name": "main", "resources": asked}]}}
    pod_sets = [{"name": "main", "count": count, "template": template}]
    spec = {"queueName": "gpus", "active": True, "podSets": pod_sets}
    return {"metadata": meta(job), "spec": spec, "status": {"conditions": list(conditions)}}


def a_place(job: str, number: int) -> Plain:
    where = {"positionInClusterQueue": number + 7, "positionInLocalQueue": number}
    return {"metadata": meta(job), "priority": 0, "localQueueName": "gpus", **where}


def condition(kind: str, status: str, reason: str, message: str) -> Plain:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def items(kind: str, *found: Plain) -> Reply:
    return Reply(200, {"kind": kind, "metadata": {}, "items": [*found]})


PENDING = condition("QuotaReserved", "False", "Pending", MANY)
QUEUE = [
    a_workload("other", PENDING, gpus=2, count=3),
    a_workload("train", PENDING, gpus=8),
    a_workload("third", PENDING, gpus=4),
]
ORDER = items(
    "PendingWorkloadsSummary", a_place("third", 2), a_place("other", 0), a_place("train", 1)
)


@pytest.mark.parametrize("version", ["v1beta2", "v1beta1"])
def test_its_place_its_reason_and_what_is_ahead(
    client: Client, scripted_server: ScriptedServer, version: str
) -> None:
    scripted_server.script("GET", workloads(version), items("WorkloadList", *QUEUE))
    scripted_server.script("GET", places(version), ORDER)
    found = kueue.read(client, a_job())
    assert found == Queued("gpus", True, "Pending", MANY, position=2, ahead=6)


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        pytest.param([], "", id="not looked at yet"),
        pytest.param([PENDING], "Pending", id="no quota"),
        pytest.param(
            [
                condition("Evicted", "True", "PodsReadyTimeout", "too slow"),
                condition("QuotaReserved", "False", "Pending", "waits again"),
            ],
            "Pending",
            id="evicted, and waits again",
        ),
        pytest.param(
            [
                condition("QuotaReserved", "True", "QuotaReserved", "has quota"),
                condition("Admitted", "False", "NoChecks", "a check is pending"),
            ],
            "NoChecks",
            id="a check is pending",
        ),
        pytest.param(
            [condition("Evicted", "True", "Deactivated", "by its owner")],
            "Deactivated",
            id="deactivated",
        ),
    ],
)
def test_the_condition_that_holds_it_back(
    client: Client, scripted_server: ScriptedServer, conditions: list[Plain], reason: str
) -> None:
    own = items("WorkloadList", a_workload("train", *conditions))
    scripted_server.script("GET", workloads("v1beta2"), own)
    found = kueue.read(client, a_job())
    assert found is not None
    assert (found.reason, found.position, found.unseen) == (reason, None, ())


def test_no_kueue(client: Client, scripted_server: ScriptedServer) -> None:
    for version in ("v1beta2", "v1beta1"):
        scripted_server.script("GET", workloads(version), AWAY)
    assert kueue.read(client, a_job()) == Queued("gpus", True, installed=False)
    assert not scripted_server.asked("GET", places("v1beta2"))


def test_workloads_that_may_not_be_listed(client: Client, scripted_server: ScriptedServer) -> None:
    """The place is still known: what waits names the Job that it is for."""
    scripted_server.script("GET", workloads("v1beta2"), DENIED)
    scripted_server.script("GET", places("v1beta2"), ORDER)
    found = kueue.read(client, a_job())
    assert found == Queued("gpus", True, position=2, ahead=None, unseen=(WORKLOADS,))


def test_places_that_may_not_be_seen(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", workloads("v1beta2"), items("WorkloadList", *QUEUE))
    scripted_server.script("GET", places("v1beta2"), DENIED)
    found = kueue.read(client, a_job())
    assert found == Queued("gpus", True, "Pending", MANY, unseen=(PLACES,))


def test_the_first_has_nothing_ahead(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", workloads("v1beta2"), items("WorkloadList", *QUEUE))
    first = items("PendingWorkloadsSummary", a_place("train", 0), a_place("other", 1))
    scripted_server.script("GET", places("v1beta2"), first)
    found = kueue.read(client, a_job())
    assert found is not None
    assert (found.position, found.ahead) == (1, 0)


def test_one_ahead_whose_workload_is_not_seen_is_not_counted_as_nothing(
    client: Client, scripted_server: ScriptedServer
) -> None:
    scripted_server.script("GET", workloads("v1beta2"), items("WorkloadList", QUEUE[1]))
    scripted_server.script("GET", places("v1beta2"), ORDER)
    found = kueue.read(client, a_job())
    assert found is not None
    assert (found.position, found.ahead) == (2, None)


def test_a_job_without_a_workload(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", workloads("v1beta2"), items("WorkloadList", QUEUE[0]))
    found = kueue.read(client, a_job(suspend=False))
    assert found == Queued("gpus", False, message="it has no Workload")


def test_a_job_that_names_no_queue_costs_no_request(
    client: Client, scripted_server: ScriptedServer
) -> None:
    assert kueue.read(client, a_job(queue=None)) is None
    assert scripted_server.requests == []


def test_what_is_not_as_it_should_be_counts_for_nothing(
    client: Client, scripted_server: ScriptedServer
) -> None:
    odd: list[Any] = [None, {"metadata": []}, {"metadata": {"ownerReferences": {}}, "spec": 1}]
    own = a_workload("train") | {"status": {"conditions": "many"}}
    scripted_server.script("GET", workloads("v1beta2"), items("WorkloadList", *odd, own))
    last = a_place("train", 0) | {"positionInLocalQueue": "first"}
    scripted_server.script("GET", places("v1beta2"), items("Summary", last, *odd[1:]))
    found = kueue.read(client, a_job())
    assert found == Queued("gpus", True, position=1, ahead=0)
