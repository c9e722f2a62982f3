"""A job done over: the manifest of a new one from a Job that is there. Pure.

What the server and jobman had written on the old one is left out, the user's own stays.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jobman.config.flavors import Flavor
from jobman.jobs import documents, indexes, manifest
from jobman.jobs.stamp import OWN_ANNOTATIONS, Stamp
from jobman.jobs.state import JobView
from jobman.kube import labels
from jobman.kube.objects import Job
from jobman.values.enums import State
from jobman.values.names import JOB_NAME_MAX

Object = dict[str, Any]

INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""Where a pod of an array finds its index."""
_NTH = re.compile(r"(.+)-r(\d{1,4})")
_OF_ARRAYS = (
    "completions",
    "parallelism",
    "completionMode",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "successPolicy",
)


def failed_indexes(job: Job, view: JobView) -> Sequence[int]:
    """The indexes of an array that failed, or were cancelled, and did not succeed since."""
    told = indexes.told(job.status.failed_indexes)
    good = indexes.told(job.status.completed_indexes)
    bad = {pod.index for pod in view.pods if pod.state.ended_badly and pod.index is not None}
    well = {pod.index for pod in view.pods if pod.state is State.SUCCEEDED}
    under_way = {pod.index for pod in view.pods if not pod.finished}
    return sorted((told | bad) - good - well - under_way)


def is_array(job: Job) -> bool:
    """Whether its pods have indexes."""
    return job.spec.completion_mode == "Indexed"


def next_name(name: str, number: int = 0) -> str:
    """`train` -> `train-r2` -> `train-r3`; `number` skips names that are taken."""
    match = _NTH.fullmatch(name)
    base, nth = (match[1], int(match[2])) if match else (name, 1)
    tail = f"-r{nth + 1 + number}"
    return base[: JOB_NAME_MAX - len(tail)].rstrip("-.") + tail


def index_name(name: str, index: int) -> str:
    """The name of the job that does one index over."""
    tail = f"-{index}"
    return name[: JOB_NAME_MAX - len(tail)].rstrip("-.") + tail


def job(
    old: Mapping[str, Any],
    name: str,
    stamp: Stamp,
    *,
    index: int | None = None,
    flavor: Flavor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """The new Job: all of the old one, or one index of it; with another flavor where one is given.

    `annotations` are those that the settings give with that flavor.
    """
    document = documents.of_job(old["metadata"]["name"], _own(old))
    made = documents.job(document, name, stamp, labels={}, annotations=annotations or {})
    made["metadata"]["annotations"][labels.RETRY_OF] = old["metadata"]["name"]
    made["metadata"].pop("namespace", None)
    if index is not None:
        _only_index(made["spec"], index)
    if flavor is not None:
        _with_flavor(made, flavor, _old_flavor(old))
    return made


def _own(old: Mapping[str, Any]) -> Object:
    """The old Job without jobman's annotations, and as if nobody had stopped or held it."""
    mine = copy.deepcopy(dict(old))
    notes = mine["metadata"].get("annotations") or {}
    spec = mine["spec"]
    if labels.CANCELLED_AT in notes:
        spec.pop("activeDeadlineSeconds", None)
    if array := labels.array(notes):
        spec["completions"], spec["parallelism"] = array
    queued = (mine["metadata"].get("labels") or {}).get(manifest.QUEUE_LABEL)
    spec.pop("suspend", None)
    if queued:
        spec["suspend"] = True
    kept = OWN_ANNOTATIONS - {labels.FLAVOR_SPEC}
    for metadata in (mine["metadata"], spec["template"].get("metadata") or {}):
        found = metadata.get("annotations")
        if found:
            metadata["annotations"] = {k: v for k, v in found.items() if k not in kept}
    mine["metadata"].pop("ownerReferences", None)
    mine["metadata"].pop("finalizers", None)
    return mine


def _only_index(spec: Object, index: int) -> None:
    """One pod that finds that index where it found it in the array."""
    retries = spec.get("backoffLimitPerIndex")
    for key in _OF_ARRAYS:
        spec.pop(key, None)
    if retries is not None:
        spec["backoffLimit"] = retries
    pod = spec["template"]["spec"]
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        kept = [entry for entry in container.get("env") or [] if entry["name"] != INDEX_VARIABLE]
        container["env"] = [*kept, {"name": INDEX_VARIABLE, "value": str(index)}]


def _old_flavor(old: Mapping[str, Any]) -> Object:
    return labels.flavor_spec(old["metadata"].get("annotations") or {}) or {}


def _with_flavor(made: Object, flavor: Flavor, before: Mapping[str, Any]) -> None:
    """Put the flavor in the place of the one before, whose own rules for nodes go."""
    template = made["spec"]["template"]
    for metadata in (made["metadata"], template["metadata"]):
        metadata["labels"][labels.FLAVOR] = flavor.name
        metadata["annotations"][labels.FLAVOR_SPEC] = manifest.flavor_text(flavor)
    pod = template["spec"]
    _main(pod["containers"])["resources"] = {
        key: dict(amounts)
        for key, amounts in (("requests", flavor.requests), ("limits", flavor.limits))
        if amounts
    }
    went = before.get("nodeSelector")
    selector = pod.get("nodeSelector") or {}
    kept = {k: v for k, v in selector.items() if not (isinstance(went, dict) and went.get(k) == v)}
    _put(pod, "nodeSelector", {**kept, **flavor.node_selector})
    gone = before.get("tolerations") or []
    own = [each for each in pod.get("tolerations") or [] if each not in gone]
    _put(pod, "tolerations", [*own, *flavor.tolerations])
    for key, value in (
        ("priorityClassName", flavor.priority_class_name),
        ("runtimeClassName", flavor.runtime_class_name),
    ):
        if value:
            pod[key] = value


def _main(containers: list[Object]) -> Object:
    named = [each for each in containers if each.get("name") == manifest.CONTAINER]
    return (named or containers)[0]


def _put(pod: Object, key: str, value: Any) -> None:
    if value:
        pod[key] = value
    else:
        pod.pop(key, None)
