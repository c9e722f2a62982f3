"""A Job's pods: what each one tells about the Job, and how the next one looks. Pure."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobman.values.duration import parse_rfc3339

Object = dict[str, Any]

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
_INDEX_FIELD = f"metadata.labels['{INDEX}']"


@dataclass(frozen=True)
class PodFacts:
    """What a Job's controller asks of a pod; `failures` is how often its index failed before."""

    name: str
    uid: str
    phase: str
    ready: bool
    terminating: bool
    tracked: bool
    index: int | None
    failures: int
    restarts: int
    finished_at: datetime | None
    pod: Object

    @property
    def finished(self) -> bool:
        """Whether its containers are over."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def active(self) -> bool:
        """Whether it still works at its part of the Job."""
        return not self.finished and not self.terminating


def facts(pod: Object) -> PodFacts:
    """The facts of one pod."""
    about, state = pod["metadata"], pod.get("status", {})
    conditions = {c.get("type"): c.get("status") for c in state.get("conditions", [])}
    containers = [*state.get("initContainerStatuses", []), *state.get("containerStatuses", [])]
    annotations = about.get("annotations", {})
    return PodFacts(
        name=about["name"],
        uid=about["uid"],
        phase=state.get("phase", "Pending"),
        ready=conditions.get("Ready") == "True",
        terminating="deletionTimestamp" in about,
        tracked=TRACKING in about.get("finalizers", []),
        index=_number(annotations.get(INDEX)),
        failures=_number(annotations.get(FAILURES)) or 0,
        restarts=sum(container.get("restartCount", 0) for container in containers),
        finished_at=_finished_at(pod, containers),
        pod=pod,
    )


def _finished_at(pod: Object, containers: list[Object]) -> datetime | None:
    """When its last container ended; for a pod without any, when it was deleted or made."""
    ends = [
        container["state"]["terminated"]["finishedAt"]
        for container in containers
        if container.get("state", {}).get("terminated", {}).get("finishedAt")
    ]
    about = pod["metadata"]
    text = max(ends) if ends else about.get("deletionTimestamp") or about["creationTimestamp"]
    return parse_rfc3339(text)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def new_pod(job: Object, index: int | None, failures: int) -> Object:
    """The next pod of a Job, for one index of an Indexed one."""
    about, template = job["metadata"], job["spec"]["template"]
    metadata = copy.deepcopy(template.get("metadata", {}))
    spec = copy.deepcopy(template["spec"])
    base = about["name"] if index is None else f"{about['name']}-{index}"
    metadata["generateName"] = f"{base}-"
    metadata["finalizers"] = [*metadata.get("finalizers", []), TRACKING]
    metadata["ownerReferences"] = [owner(job)]
    if index is not None:
        metadata.setdefault("labels", {})[INDEX] = str(index)
        metadata.setdefault("annotations", {})[INDEX] = str(index)
        if "backoffLimitPerIndex" in job["spec"]:
            metadata["annotations"][FAILURES] = str(failures)
        spec.setdefault("hostname", base)
        for container in [*spec.get("initContainers", []), *spec.get("containers", [])]:
            _tell_index(container)
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec}


def owner(job: Object) -> Object:
    """The ownerReference of what a Job made."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _tell_index(container: Object) -> None:
    env = container.setdefault("env", [])
    if not any(variable.get("name") == "JOB_COMPLETION_INDEX" for variable in env):
        field = {"apiVersion": "v1", "fieldPath": _INDEX_FIELD}
        env.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": field}})
