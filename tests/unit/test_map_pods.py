"""What a pod's look means for its item, and what marks the pods of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from jobman import __version__
from jobman.jobs import pods as pod_views
from jobman.jobs.pods import PodView
from jobman.kube.objects import Pod
from jobman.map import pods
from jobman.map.opening import attempt_of
from jobman.map.pods import Stage
from jobman.values.enums import State


@pytest.mark.parametrize(
    ("state", "reason", "leaving", "expected"),
    [
        (State.PENDING, "Unschedulable", False, Stage.PENDING),
        (State.STARTING, "ContainerCreating", False, Stage.PENDING),
        (State.RUNNING, "", False, Stage.RUNNING),
        (State.RUNNING, "NodeLost", False, Stage.RUNNING),
        (State.STUCK, "InvalidImageName", False, Stage.STUCK),
        (State.SUCCEEDED, "Completed", False, Stage.SUCCEEDED),
        (State.SUCCEEDED, "Completed", True, Stage.SUCCEEDED),
        (State.FAILED, "Error(exit 1)", False, Stage.FAILED),
        (State.FAILED, "OOMKilled", False, Stage.FAILED),
        (State.FAILED, "DeadlineExceeded", False, Stage.FAILED),
        (State.FAILED, "Evicted", False, Stage.DISRUPTED),
        (State.FAILED, "PreemptionByScheduler", False, Stage.DISRUPTED),
        (State.FAILED, "OutOfcpu", False, Stage.DISRUPTED),
        (State.FAILED, "Error(exit 143)", True, Stage.LEAVING),
        (State.RUNNING, "", True, Stage.LEAVING),
        (State.PENDING, "", True, Stage.LEAVING),
    ],
)
def test_stages(state: State, reason: str, leaving: bool, expected: Stage) -> None:
    assert pods.stage(PodView(name="p", state=state, reason=reason, leaving=leaving)) is expected


def pod(annotations: dict[str, str] | None = None, **status: Any) -> Pod:
    metadata = {"name": "p", "uid": "u", "annotations": annotations or {}}
    spec = {"nodeName": "n", "restartPolicy": "Never"}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": status}, Pod)


def test_an_eviction_as_a_node_reports_it() -> None:
    """Phase and reason of the pod, and no word of its containers."""
    view = pod_views.view(pod(phase="Failed", reason="Evicted"), now=datetime.now(UTC))
    assert pods.stage(view) is Stage.DISRUPTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("4", 4), ("5", None), ("-1", None), ("", None), ("x", None), ("9" * 20, None)],
)
def test_indexes(text: str, expected: int | None) -> None:
    assert pods.index_of(pod({pods.ITEM: text}), 5) == expected


def test_marks_of_a_run() -> None:
    manifest = {"kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {}}
    made = pods.marked(manifest, run="abc", index=3, attempt=2, user="al@x")
    assert made["metadata"]["labels"] == {
        "a": "b",
        "app.kubernetes.io/managed-by": "jobman",
        "jobman/user": "al_40x",
        "jobman/run": "abc",
    }
    annotations = made["metadata"]["annotations"]
    assert annotations == {
        "jobman/user": "al@x",
        "jobman/version": __version__,
        "jobman/item": "3",
        "jobman/submission": "abc-3-2",
    }
    assert manifest["metadata"] == {"name": "p", "labels": {"a": "b"}}
    assert attempt_of(pod(annotations)) == 2
    assert pods.index_of(pod(annotations), 4) == 3


@pytest.mark.parametrize("mark", ["", "abc", "abc-3-x", "abc-3-" + "9" * 20])
def test_marks_of_nobody(mark: str) -> None:
    assert attempt_of(pod({"jobman/submission": mark})) == 0
