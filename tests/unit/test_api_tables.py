"""What `kubectl get` prints: whole rows, word for word."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobman.local.api import tables
from jobman.local.api.resources import RESOURCES

KINDS = {resource.kind: resource for resource in RESOURCES}
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
META = {"name": "x", "creationTimestamp": "2026-01-01T11:00:00Z"}
NARROW = {"Pod": 5, "Job": 5, "Node": 5}


def row(kind: str, obj: dict[str, Any]) -> list[Any]:
    whole = {"metadata": META, **obj}
    (found,) = tables.render(KINDS[kind], [whole], NOW, "None")["rows"]
    assert len(found["cells"]) == len(tables.columns(kind))
    cells: list[Any] = found["cells"]
    return cells[: NARROW.get(kind, len(cells))]


def status(*containers: dict[str, Any], phase: str = "Running", **more: Any) -> dict[str, Any]:
    return {
        "spec": {"containers": [{"name": str(index)} for index, _ in enumerate(containers)]},
        "status": {"phase": phase, "containerStatuses": list(containers), **more},
    }


def ended(reason: str = "", code: int = 0, **more: Any) -> dict[str, Any]:
    return {"state": {"terminated": {"reason": reason, "exitCode": code, **more}}}


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason}}, **more}


RUNNING = {"state": {"running": {}}, "ready": True, "started": True}
READY = [{"type": "Ready", "status": "True"}]
LAST = {"lastState": {"terminated": {"finishedAt": "2026-01-01T11:56:00Z"}}, "restartCount": 8}


@pytest.mark.parametrize(
    ("pod", "ready", "word", "restarts"),
    [
        ({"spec": {"containers": [{}]}, "status": {"phase": "Pending"}}, "0/1", "Pending", "0"),
        (status(RUNNING), "1/1", "Running", "0"),
        (status(waiting("ContainerCreating"), phase="Pending"), "0/1", "ContainerCreating", "0"),
        (status(waiting("ImagePullBackOff")), "0/1", "ImagePullBackOff", "0"),
        (status(ended("Completed"), phase="Succeeded"), "0/1", "Completed", "0"),
        (status(ended("Error", 3), phase="Failed"), "0/1", "Error", "0"),
        (status(ended("", 3), phase="Failed"), "0/1", "ExitCode:3", "0"),
        (status(ended("", 137, signal=9), phase="Failed"), "0/1", "Signal:9", "0"),
        (status(ended("Completed"), RUNNING), "1/2", "NotReady", "0"),
        (status(ended("Completed"), RUNNING, conditions=READY), "1/2", "Running", "0"),
        (status(waiting("CrashLoopBackOff", **LAST)), "0/1", "CrashLoopBackOff", "8 (4m ago)"),
        (status(phase="Failed", reason="Evicted"), "0/0", "Evicted", "0"),
        (
            status(
                phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]
            ),
            "0/0",
            "SchedulingGated",
            "0",
        ),
        (
            {**status(RUNNING), "metadata": {**META, "deletionTimestamp": "2026-01-01T11:59:59Z"}},
            "1/1",
            "Terminating",
            "0",
        ),
        (
            {
                **status(ended("Completed"), phase="Succeeded"),
                "metadata": {**META, "deletionTimestamp": "2026-01-01T11:59:59Z"},
            },
            "0/1",
            "Completed",
            "0",
        ),
    ],
)
def test_pods(pod: dict[str, Any], ready: str, word: str, restarts: str) -> None:
    assert row("Pod", pod) == ["x", ready, word, restarts, "60m"]


def initial(*statuses: dict[str, Any], sidecar: bool = False) -> dict[str, Any]:
    first = [
        {"name": f"i{index}", **({"restartPolicy": "Always"} if sidecar else {})}
        for index, _ in enumerate(statuses)
    ]
    named = [{"name": f"i{index}", **each} for index, each in enumerate(statuses)]
    pod = status(waiting("PodInitializing"), phase="Pending", initContainerStatuses=named)
    pod["spec"]["initContainers"] = first
    return pod


@pytest.mark.parametrize(
    ("pod", "ready", "word"),
    [
        (initial({"state": {"running": {}}}, waiting("PodInitializing")), "0/1", "Init:0/2"),
        (initial(ended("Completed"), waiting("PodInitializing")), "0/1", "Init:1/2"),
        (initial(waiting("ImagePullBackOff")), "0/1", "Init:ImagePullBackOff"),
        (initial(ended("Error", 1)), "0/1", "Init:Error"),
        (initial(ended("", 1)), "0/1", "Init:ExitCode:1"),
        (initial(ended("Completed")), "0/1", "PodInitializing"),
        (initial(RUNNING, sidecar=True), "1/2", "PodInitializing"),
    ],
)
def test_pods_that_begin(pod: dict[str, Any], ready: str, word: str) -> None:
    assert row("Pod", pod)[1:3] == [ready, word]


def true(*kinds: str) -> list[dict[str, str]]:
    return [{"type": kind, "status": "True"} for kind in kinds]


def job(conditions: list[dict[str, str]], spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"spec": spec, "status": {"conditions": conditions, **status}}


START, END = "2026-01-01T11:50:00Z", "2026-01-01T11:50:03Z"


@pytest.mark.parametrize(
    ("obj", "cells"),
    [
        (job([], {"completions": 1}), ["Running", "0/1", ""]),
        (job(true("Suspended"), {"completions": 3}), ["Suspended", "0/3", ""]),
        (
            job(true("SuccessCriteriaMet", "Complete"), {"completions": 2}, succeeded=2,
                startTime=START, completionTime=END),
            ["Complete", "2/2", "3s"],
        ),
        (
            job(true("FailureTarget", "Failed"), {"completions": 1}, startTime=START),
            ["Failed", "0/1", "10m"],
        ),
        (job(true("FailureTarget"), {"completions": 1}), ["FailureTarget", "0/1", ""]),
        (job(true("SuccessCriteriaMet"), {"completions": 1}), ["SuccessCriteriaMet", "0/1", ""]),
        (job([], {"parallelism": 2}, succeeded=2), ["Running", "2/1 of 2", ""]),
        (job([], {"parallelism": 1}), ["Running", "0/1", ""]),
        (
            {**job([], {"completions": 1}), "metadata": {**META, "deletionTimestamp": START}},
            ["Terminating", "0/1", ""],
        ),
    ],
)  # fmt: skip
def test_jobs(obj: dict[str, Any], cells: list[str]) -> None:
    assert row("Job", obj) == ["x", *cells, "60m"]


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, "<none>"),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}]},
            "a in (x,y)",
        ),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}, "a notin (x)"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
    ],
)
def test_a_jobs_selector(selector: dict[str, Any], text: str) -> None:
    obj = {"metadata": META, "spec": {"selector": selector}}
    (found,) = tables.render(KINDS["Job"], [obj], NOW)["rows"]
    assert found["cells"][-1] == text


BIND = {
    "roleRef": {"kind": "Role", "name": "r"},
    "subjects": [
        {"kind": "User", "name": "u"},
        {"kind": "Group", "name": "g"},
        {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
    ],
}


@pytest.mark.parametrize(
    ("kind", "obj", "cells"),
    [
        ("Namespace", {"status": {"phase": "Active"}}, ["x", "Active", "60m"]),
        ("ConfigMap", {"data": {"a": ""}, "binaryData": {"b": ""}}, ["x", 2, "60m"]),
        ("Secret", {"type": "Opaque", "data": {"a": ""}}, ["x", "Opaque", 1, "60m"]),
        ("ServiceAccount", {}, ["x", 0, "60m"]),
        ("Lease", {"spec": {"holderIdentity": "me"}}, ["x", "me", "60m"]),
        ("LimitRange", {}, ["x", "2026-01-01T11:00:00Z"]),
        ("Role", {}, ["x", "2026-01-01T11:00:00Z"]),
        ("RoleBinding", BIND, ["x", "Role/r", "60m", "u", "g", "n/s"]),
        (
            "PriorityClass",
            {"value": 5, "preemptionPolicy": "Never"},
            ["x", 5, False, "60m", "Never"],
        ),
        (
            "ResourceQuota",
            {
                "spec": {"hard": {"pods": "4", "limits.cpu": "2"}},
                "status": {"hard": {"pods": "4", "limits.cpu": "2"}, "used": {"pods": "1"}},
            },
            ["x", "pods: 1/4", "limits.cpu: 0/2", "60m"],
        ),
        (
            "PersistentVolumeClaim",
            {
                "spec": {"volumeName": "v", "storageClassName": "s", "volumeMode": "Filesystem"},
                "status": {
                    "phase": "Bound",
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                },
            },
            ["x", "Bound", "v", "1Gi", "RWO", "s", "<unset>", "60m", "Filesystem"],
        ),
        (
            "Node",
            {
                "spec": {"unschedulable": True},
                "status": {"conditions": READY, "nodeInfo": {"kubeletVersion": "v1"}},
            },
            ["x", "Ready,SchedulingDisabled", "<none>", "60m", "v1"],
        ),
        ("Node", {"status": {}}, ["x", "Unknown", "<none>", "60m", ""]),
        (
            "Event",
            {
                "involvedObject": {"kind": "Pod", "name": "p"},
                "reason": "Scheduled",
                "type": "Normal",
                "message": "done\n",
                "eventTime": "2026-01-01T11:59:50.000001Z",
                "reportingComponent": "default-scheduler",
                "firstTimestamp": None,
                "lastTimestamp": None,
            },
            ["9s", "Normal", "Scheduled", "pod/p", "", "default-scheduler", "done", "9s", 1, "x"],
        ),
    ],
)
def test_other_kinds(kind: str, obj: dict[str, Any], cells: list[Any]) -> None:
    assert row(kind, obj) == cells


def test_what_goes_with_a_row() -> None:
    pod = {"metadata": META, "spec": {}, "status": {"phase": "Failed"}}
    rows = {
        include: tables.render(KINDS["Pod"], [pod], NOW, include)["rows"][0]
        for include in ("None", "Metadata", "Object")
    }
    assert rows["None"]["object"] is None
    assert rows["Metadata"]["object"] == tables.partial(pod)
    assert rows["Object"]["object"] == {"kind": "Pod", "apiVersion": "v1", **pod}
    assert rows["None"]["conditions"][0]["reason"] == "Failed"


def test_only_the_first_table_of_a_watch_has_columns() -> None:
    assert tables.render(KINDS["Pod"], [], NOW, headed=False)["columnDefinitions"] is None
    assert tables.render(KINDS["Pod"], [], NOW)["columnDefinitions"] == tables.columns("Pod")


@pytest.mark.parametrize("kind", sorted(kind for kind in KINDS if KINDS[kind].stored))
def test_every_kind_has_a_table_even_of_an_empty_object(kind: str) -> None:
    obj: dict[str, Any] = {"metadata": {}, "spec": {}}
    (found,) = tables.render(KINDS[kind], [obj], NOW)["rows"]
    assert len(found["cells"]) == len(tables.columns(kind))
    assert all(column["description"] for column in tables.columns(kind))
