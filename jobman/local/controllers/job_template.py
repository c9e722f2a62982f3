"""How a Job's next pod looks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from jobman.local.controllers.job_pods import FAILURES, IGNORED_FAILURES, INDEX, TRACKING

Object = dict[str, Any]

_INDEX_FIELD = {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}
# What a server leaves of a generateName before its five random characters.
_BASE_MAX = 58


@dataclass(frozen=True)
class NewPod:
    """A pod to create: its index, and how often that failed before."""

    index: int | None = None
    failures: int = 0
    ignored: int = 0


def new_pod(job: Object, new: NewPod) -> Object:
    """The pod's manifest."""
    # Its own copy of the template, by the quicker way.
    template = msgspec.json.decode(msgspec.json.encode(job["spec"]["template"]))
    metadata, spec = template.get("metadata", {}), template["spec"]
    metadata["generateName"] = _generate_name(job["metadata"]["name"], new.index)
    finalizers = metadata.get("finalizers", [])
    metadata["finalizers"] = [*(f for f in finalizers if f != TRACKING), TRACKING]
    metadata["ownerReferences"] = [owner_reference(job)]
    if new.index is not None:
        _tell_index(job, new, metadata, spec)
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec}


def owner_reference(job: Object) -> Object:
    """The ownerReference of what a Job made."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _generate_name(job: str, index: int | None) -> str:
    """Of a long name the server cuts the end off, which is not to be an index."""
    if index is None:
        return f"{job}-"
    end = f"-{index}-"
    return job[: _BASE_MAX - len(end)] + end


def _tell_index(job: Object, new: NewPod, metadata: Object, spec: Object) -> None:
    """By label, annotation, host name and variable."""
    annotations = metadata.setdefault("annotations", {})
    annotations[INDEX] = metadata.setdefault("labels", {})[INDEX] = str(new.index)
    if "backoffLimitPerIndex" in job["spec"]:
        annotations[FAILURES] = str(new.failures)
        if new.ignored:
            annotations[IGNORED_FAILURES] = str(new.ignored)
    spec["hostname"] = f"{job['metadata']['name']}-{new.index}"
    for container in [*spec.get("initContainers", []), *spec.get("containers", [])]:
        env = container.setdefault("env", [])
        if not any(variable.get("name") == "JOB_COMPLETION_INDEX" for variable in env):
            value = {"fieldRef": dict(_INDEX_FIELD)}
            env.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": value})
