"""The pods of a run: what marks them, and what becomes of an item when its pod looks like this.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from jobman import __version__
from jobman.jobs.pods import PodView
from jobman.kube import labels
from jobman.kube.identity import user_label
from jobman.kube.objects import Pod
from jobman.values.enums import State

ITEM = "jobman/item"
"""Annotation: the index of the pod's item."""

_DISRUPTIONS = frozenset(
    {
        "ContainerStatusUnknown",
        "DeletionByPodGC",
        "DeletionByTaintManager",
        "EvictionByEvictionAPI",
        "Evicted",
        "NodeAffinity",
        "NodeLost",
        "NodeShutdown",
        "Preempting",
        "PreemptionByScheduler",
        "Shutdown",
        "Terminated",
        "TerminationByKubelet",
        "UnexpectedAdmissionError",
    }
)
_NO_ROOM_THERE = re.compile(r"OutOf\w+")


class Stage(Enum):
    """What a pod means for its item."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STUCK = "stuck"
    DISRUPTED = "disrupted"
    """It ended for a reason that lies with the cluster: the item may be run again."""
    LEAVING = "leaving"
    """Somebody deletes it: the item may be run again once it is gone."""

    @property
    def over(self) -> bool:
        """Whether nothing of it will run any more."""
        return self in (Stage.SUCCEEDED, Stage.FAILED, Stage.STUCK, Stage.DISRUPTED)


_STAGES = {
    State.RUNNING: Stage.RUNNING,
    State.SUCCEEDED: Stage.SUCCEEDED,
    State.STUCK: Stage.STUCK,
}


def stage(view: PodView) -> Stage:
    """The stage that a pod's view stands for."""
    if view.leaving and view.state is not State.SUCCEEDED:
        return Stage.LEAVING
    if view.state is State.FAILED:
        return Stage.DISRUPTED if disrupted(view.reason) else Stage.FAILED
    return _STAGES.get(view.state, Stage.PENDING)


def disrupted(reason: str) -> bool:
    """Whether a pod that ended for this reason did so through no fault of its own."""
    return reason in _DISRUPTIONS or _NO_ROOM_THERE.fullmatch(reason) is not None


def index_of(pod: Pod, count: int) -> int | None:
    """The index of the pod's item; None where the annotation is missing or names none."""
    text = pod.metadata.annotations.get(ITEM, "")
    index = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else -1
    return index if 0 <= index < count else None


def attempt_of(pod: Pod) -> int:
    """Which attempt at its item the pod is; 0 where it does not say."""
    _, _, attempt = pod.metadata.annotations.get(labels.SUBMISSION, "").rpartition("-")
    return int(attempt) if attempt.isascii() and attempt.isdecimal() and len(attempt) < 9 else 0


def marked(
    manifest: Mapping[str, Any], *, run: str, index: int, attempt: int, user: str
) -> dict[str, Any]:
    """`manifest` as a pod of the run.

    The mark of the creation is the same for the same attempt, so that a runner that died in
    the middle of it is continued, not repeated.
    """
    metadata = dict(manifest.get("metadata") or {})
    metadata["labels"] = (metadata.get("labels") or {}) | {
        labels.MANAGED_BY: labels.MANAGED_BY_JOBMAN,
        labels.USER: user_label(user),
        labels.RUN: run,
    }
    metadata["annotations"] = (metadata.get("annotations") or {}) | {
        labels.USER: user,
        labels.VERSION: __version__,
        ITEM: str(index),
        labels.SUBMISSION: submission(run, index, attempt),
    }
    return {**manifest, "metadata": metadata}


def submission(run: str, index: int, attempt: int) -> str:
    """The mark of one attempt's creation."""
    return f"{run}-{index}-{attempt}"


def selector(run: str) -> str:
    """The label selector of a run's pods."""
    return f"{labels.RUN}={run}"


def foreign_selector(run: str) -> str:
    """The label selector of all pods that are not the run's."""
    return f"{labels.RUN}!={run}"
