"""Where a job stands in a queue of Kueue.

Source: Kueue's Workload API (kueue.x-k8s.io) and its visibility API, as served by Kueue 0.9 and
later. Anything that is not there or may not be read is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobman.config.flavors import is_gpu
from jobman.errors import ApiError
from jobman.jobs.manifest import QUEUE_LABEL
from jobman.kube.client import Client
from jobman.kube.objects import Job
from jobman.queue import amounts
from jobman.queue.amounts import UNIT

VERSIONS = ("v1beta1", "v1beta2")
Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Queued:
    """A job that Kueue admits.

    `waits`: it is not admitted. `position` counts from 1 within the LocalQueue; `ahead` are the
    GPUs that those before it ask for, None where that is not known.
    """

    queue: str
    waits: bool
    reason: str = ""
    message: str = ""
    position: int | None = None
    ahead: int | None = None


def read(client: Client, job: Job) -> Queued | None:
    """Where the job stands; None of a job that names no LocalQueue."""
    queue = job.metadata.labels.get(QUEUE_LABEL)
    if not queue:
        return None
    namespace = job.metadata.namespace
    mine = _workloads(client, namespace)
    own = next((each for each in mine if _is_of(each, job.metadata.uid)), None)
    if own is None:
        return Queued(queue, job.spec.suspend, message="Kueue has no Workload for it")
    condition = _condition(own)
    pending = _pending(client, namespace, queue)
    name = _metadata(own).get("name")
    place = next((number for number, each in enumerate(pending, 1) if each == name), None)
    return Queued(
        queue,
        waits=job.spec.suspend,
        reason=str(condition.get("reason") or ""),
        message=str(condition.get("message") or ""),
        position=place,
        ahead=_gpus(mine, pending[: place - 1]) if place else None,
    )


def _workloads(client: Client, namespace: str) -> list[Plain]:
    return _items(client, "kueue.x-k8s.io", f"namespaces/{namespace}/workloads")


def _pending(client: Client, namespace: str, queue: str) -> list[str]:
    """The names of the Workloads that wait in the LocalQueue, the first one first."""
    path = f"namespaces/{namespace}/localqueues/{queue}/pendingworkloads"
    found = _items(client, "visibility.kueue.x-k8s.io", path)

    def position(each: Plain) -> int:
        number = each.get("positionInLocalQueue")
        return number if isinstance(number, int) else len(found)

    return [str(_metadata(each).get("name")) for each in sorted(found, key=position)]


def _items(client: Client, group: str, path: str) -> list[Plain]:
    for version in VERSIONS:
        try:
            found = client.request("GET", f"/apis/{group}/{version}/{path}").get("items")
        except ApiError:
            continue
        return _objects(found)
    return []


def _is_of(workload: Plain, uid: str) -> bool:
    owners = _objects(_metadata(workload).get("ownerReferences"))
    return any(owner.get("uid") == uid for owner in owners)


def _condition(workload: Plain) -> Plain:
    """What keeps it from being admitted, in Kueue's own words."""
    status = workload.get("status")
    found = _objects(status.get("conditions")) if isinstance(status, dict) else []
    for kind in ("QuotaReserved", "Admitted", "Evicted"):
        for condition in found:
            held = condition.get("status") == ("True" if kind == "Evicted" else "False")
            if condition.get("type") == kind and held:
                return condition
    return {}


def _gpus(workloads: Sequence[Plain], names: Sequence[str]) -> int | None:
    """GPUs of the Workloads of these names; None when not all of them may be seen."""
    known = {_metadata(each).get("name"): each for each in workloads}
    if any(name not in known for name in names):
        return None
    return sum(sum(_gpus_of(known[name])) for name in names)


def _gpus_of(workload: Plain) -> Iterator[int]:
    spec = workload.get("spec")
    for pod_set in _objects(spec.get("podSets") if isinstance(spec, dict) else None):
        count = pod_set.get("count")
        template = pod_set.get("template")
        pod = template.get("spec") if isinstance(template, dict) else None
        for container in _objects(pod.get("containers") if isinstance(pod, dict) else None):
            resources = container.get("resources")
            requests = resources.get("requests") if isinstance(resources, dict) else None
            for name, text in (requests or {}).items() if isinstance(requests, dict) else ():
                if is_gpu(name):
                    number = count if isinstance(count, int) else 1
                    yield amounts.milli(str(text)) * number // UNIT


def _metadata(obj: Plain) -> Plain:
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def _objects(value: Any) -> list[Plain]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
