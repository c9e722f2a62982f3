"""Where a job stands in a queue of Kueue.

Source: Kueue's Workload API (kueue.x-k8s.io) and its visibility API, as served by Kueue 0.9 and
later. Anything that is not there or may not be read is left out, and named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobman.config.flavors import is_gpu
from jobman.errors import ApiError, ApiNotFoundError
from jobman.jobs.manifest import QUEUE_LABEL
from jobman.kube.client import Client
from jobman.kube.objects import Job
from jobman.queue import amounts
from jobman.queue.amounts import UNIT

VERSIONS = ("v1beta2", "v1beta1")
"""Newest first: of two that are served both tell the same here."""
WORKLOADS = "what Kueue says of it: its Workloads may not be read"
PLACES = "its place in the queue: Kueue's visibility API may not be read"
Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Queued:
    """A job that Kueue admits.

    `waits`: it is not admitted. `position` counts from 1 within the LocalQueue; `ahead` are the
    GPUs that those before it ask for, None where that is not known. `installed`: the cluster has
    Kueue, as far as can be seen. `unseen` is what may not be read.
    """

    queue: str
    waits: bool
    reason: str = ""
    message: str = ""
    position: int | None = None
    ahead: int | None = None
    installed: bool = True
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Answer:
    """Objects of an API: `there` where it is served, `seen` where it was read."""

    items: Sequence[Plain] = ()
    there: bool = True
    seen: bool = True


def read(client: Client, job: Job) -> Queued | None:
    """Where the job stands; None of a job that names no LocalQueue."""
    queue = job.metadata.labels.get(QUEUE_LABEL)
    if not queue:
        return None
    namespace, uid = job.metadata.namespace, job.metadata.uid
    workloads = _ask(client, "kueue.x-k8s.io", f"namespaces/{namespace}/workloads")
    if not workloads.there:
        return Queued(queue, job.spec.suspend, installed=False)
    pending = _ask(
        client,
        "visibility.kueue.x-k8s.io",
        f"namespaces/{namespace}/localqueues/{queue}/pendingworkloads",
    )
    own = next((each for each in workloads.items if _is_of(each, uid)), None)
    order = sorted(pending.items, key=_position)
    place = next((number for number, each in enumerate(order, 1) if _is_of(each, uid)), None)
    condition = _condition(own) if own else {}
    lost = "it has no Workload" if workloads.seen and own is None else ""
    return Queued(
        queue,
        waits=job.spec.suspend,
        reason=str(condition.get("reason") or ""),
        message=str(condition.get("message") or "") or lost,
        position=place,
        ahead=_gpus(workloads.items, order[: place - 1]) if place else None,
        unseen=(*(() if workloads.seen else (WORKLOADS,)), *(() if pending.seen else (PLACES,))),
    )


def _ask(client: Client, group: str, path: str) -> _Answer:
    """All objects of a collection, in the newest version that is served."""
    for version in VERSIONS:
        try:
            found = client.request("GET", f"/apis/{group}/{version}/{path}").get("items")
        except ApiNotFoundError:
            continue
        except ApiError:
            return _Answer(seen=False)
        return _Answer(_objects(found))
    return _Answer(there=False)


def _position(pending: Plain) -> float:
    """Its place in the LocalQueue; what tells none comes last."""
    number = pending.get("positionInLocalQueue")
    return number if isinstance(number, int) else float("inf")


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


def _gpus(workloads: Sequence[Plain], pending: Sequence[Plain]) -> int | None:
    """GPUs of the Workloads that are pending; None when not all of them may be seen."""
    known = {_metadata(each).get("name"): each for each in workloads}
    names = [_metadata(each).get("name") for each in pending]
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
