"""`jobman why` of runs of `jobman map`."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from plugins.command_line import Run
from plugins.job_world import MANAGED, JobWorld, a_job, a_pod, ago, running, stuck
from plugins.scripted_server import Reply

from jobman.map.ledger import Ledger, RunFile, Source
from jobman.map.outcome import Outcome
from jobman.map.record import Record

RUN = "bcdfghjk"
NAME = f"map-{RUN}"
REST = "does what is left and what failed"
QUOTA = 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
FULL = "quota q of its namespace is used up: pods: 2 of 2 used, 1 asked for"
UNSCHEDULED = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/2 nodes are available: 2 node(s) were unschedulable.",
        }
    ],
}
GOES_ON = {"holderIdentity": "elsewhere/boot/1/2.3", "renewTime": ago(1.5)}


def lease(notes: dict[str, str] | None = None, living: bool = False, **record: Any) -> Any:
    known = Record(**{"items": 9, "logs": "elsewhere:/logs"} | record).annotation
    meta = {
        "name": f"jobman-map-{RUN}",
        "creationTimestamp": ago(600),
        "labels": MANAGED | {"jobman/run": RUN, "jobman/user": "alice"},
        "annotations": {"jobman/user": "alice"} | known | (notes or {}),
    }
    return {"metadata": meta, "spec": GOES_ON if living else {"holderIdentity": ""}}


def pod(index: int, status: dict[str, Any], *, node: str = "", **meta: Any) -> dict[str, Any]:
    labels = MANAGED | {"jobman/run": RUN, "jobman/user": "alice"}
    meta |= {"name": f"item-{index}", "creationTimestamp": ago(500 - index), "labels": labels}
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "busybox"}]}
    return {"metadata": meta, "spec": spec, "status": status}


@pytest.fixture
def nobody_sees_nodes(world: JobWorld) -> None:
    refused = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}
    for path in ("/api/v1/nodes", "/api/v1/pods"):
        world.server.script("GET", path, Reply(403, refused | {"message": "no"}))


def asked(run: Run, name: str = NAME) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("why", name, "-o", "json").out)
    return found


@pytest.mark.parametrize(
    ("there", "state", "kind", "sentence"),
    [
        (lease(succeeded=9), "Succeeded", "succeeded", "all its items succeeded"),
        (lease(failed=9), "Failed", "failed", "9 of 9 items failed"),
        (
            lease(succeeded=4, failed=1),
            "Suspended",
            "no-runner",
            "nobody carries it out any more: 4 of 9 items are not done",
        ),
        (
            lease({"jobman/cancelled-by": "bob"}, succeeded=4),
            "Cancelled",
            "cancelled",
            "it was cancelled by bob",
        ),
        (
            lease(living=True),
            "Running",
            "running",
            "it is carried out; no pod of it is there at this moment",
        ),
        (lease(living=True, refusal=QUOTA), "Running", "quota", f"its next pod is refused: {FULL}"),
    ],
)
def test_one_without_pods(
    run: Run, world: JobWorld, there: dict[str, Any], state: str, kind: str, sentence: str
) -> None:
    world.leases.put(there)
    found = asked(run)
    assert (found["job"], found["state"], found["kind"]) == (NAME, state, kind)
    assert found["sentence"] == sentence
    assert any(line.startswith("items: 9: ") for line in found["evidence"])


def test_pods_that_wait_for_a_node(run: Run, world: JobWorld, nobody_sees_nodes: None) -> None:
    world.leases.put(lease(living=True, succeeded=3))
    world.pods.put(pod(5, UNSCHEDULED))
    world.pods.put(pod(4, UNSCHEDULED))
    world.pods.put(pod(3, running(), node="n1"))
    why = "1 pod of it runs; 2 pods of it wait: no node may take it: 2 are cordoned"
    lines = [f"{NAME} is Running: {why}", "  - the first of them: item-4"]
    assert run("why", NAME).lines[:2] == lines


def test_a_pod_that_cannot_start_on_its_node(run: Run, world: JobWorld) -> None:
    world.leases.put(lease())
    world.pods.put(pod(4, stuck("CreateContainerConfigError", 'secret "s" not found'), node="n1"))
    found = asked(run)
    assert (found["state"], found["kind"]) == ("Stuck", "missing")
    assert found["sentence"] == "1 pod of it waits: Secret s is not there"
    assert "nobody carries it out any more" in "\n".join(found["evidence"])
    assert f"jobman retry {NAME}, on elsewhere, does" in found["suggestions"][-1]


def test_a_volume_that_does_not_come_is_told_by_an_event(run: Run, world: JobWorld) -> None:
    world.leases.put(lease())
    world.pods.put(pod(4, stuck("ContainerCreating"), node="n1"))
    about = {"kind": "Pod", "name": "item-4", "uid": "uid-pod-item-4"}
    event = {"reason": "FailedMount", "message": 'configmap "c" not found', "involvedObject": about}
    world.events.put({"metadata": {"name": "e", "creationTimestamp": ago(9)}, **event})
    assert asked(run)["sentence"] == "1 pod of it waits: ConfigMap c is not there"


@pytest.mark.parametrize(
    ("retry", "way"),
    [
        (["jobman", "map"], f"jobman retry {NAME} {REST}"),
        ([], f"the same command with the same items on stdin and --retry-failed {REST}"),
    ],
    ids=["a file", "stdin"],
)
def test_of_what_its_items_failed(
    run: Run, world: JobWorld, tmp_path: Path, retry: list[str], way: str
) -> None:
    source = Source(count=9, items="", template="", namespace="team")
    file = RunFile(run=RUN, source=source, retry=retry)
    ledger = Ledger.open(tmp_path / "logs", file)
    for index, reason in enumerate(("OOMKilled", "Error(exit 1)", "Error(exit 1)")):
        (ledger.directory / f"x-{index}.err").touch()
        failed = Outcome(index=index, name=f"x-{index}", succeeded=False, reason=reason)
        ledger.note_failure(failed)
    place = f"{socket.gethostname()}:{ledger.directory}"
    world.leases.put(lease(succeeded=6, failed=3, logs=place))
    found = asked(run)
    assert found["sentence"] == "3 of 9 items failed: 2 of them Error(exit 1)"
    assert found["evidence"] == [
        "items: 9: 6 succeeded, 3 failed",
        "failed: 2 x Error(exit 1)",
        "failed: 1 x OOMKilled",
        f"the logs of all that failed, and failed.csv: {place}",
    ]
    assert found["suggestions"] == [way]


def test_a_log_directory_that_is_gone(run: Run, world: JobWorld, tmp_path: Path) -> None:
    world.leases.put(lease(succeeded=6, failed=3, logs=f"{socket.gethostname()}:{tmp_path}/gone"))
    found = asked(run)
    assert (found["sentence"], found["suggestions"]) == ("3 of 9 items failed", [])


def test_one_that_a_job_carries_out(run: Run, world: JobWorld, nobody_sees_nodes: None) -> None:
    owned = {"ownerReferences": [{"kind": "Job", "name": NAME, "uid": f"uid-{NAME}"}]}
    made = a_job(NAME, meta={"name": NAME, "labels": MANAGED | {"jobman/map": RUN}})
    world.jobs.put(made)
    world.pods.put(a_pod(NAME, **running()))
    world.pods.put(pod(4, UNSCHEDULED, **owned))
    found = lease(living=True)
    world.leases.put(found | {"metadata": found["metadata"] | owned})
    told = asked(run)
    assert (told["state"], told["kind"]) == ("Running", "node-rules")
    assert told["sentence"] == "1 pod of it waits: no node may take it: 2 are cordoned"


def test_several(run: Run, world: JobWorld) -> None:
    world.leases.put(lease(succeeded=9))
    assert [each["job"] for each in json.loads(run("why", "map-*", "-o", "json").out)] == [NAME]
