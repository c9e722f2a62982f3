"""Does a job that was just submitted start now, or what does it wait for? Pure."""

from __future__ import annotations

from collections.abc import Iterator

from jobman.jobs.manifest import QUEUE_LABEL
from jobman.kube.objects import Job
from jobman.values.enums import State
from jobman.why.diagnose import around_of, diagnose, refusal
from jobman.why.evidence import Evidence
from jobman.why.waiting_pod import unscheduled, without_node


def is_known(found: Evidence) -> bool:
    """Whether the cluster has said of each pod that is to run at once if it has a node."""
    if found.view.state is State.SUSPENDED:
        return QUEUE_LABEL not in found.job.metadata.labels
    if any(unscheduled(pod) is None for pod in found.pods if not pod.spec.node_name):
        return False
    return len(found.pods) >= _at_once(found.job) or refusal(found.events) is not None


def line(found: Evidence) -> str:
    """What is known, in one line that begins with the job's name."""
    name, view = found.job.metadata.name, found.view
    if view.state is State.SUSPENDED:
        return f"{name} waits: {diagnose(found).sentence}"
    nodes = [pod.spec.node_name for pod in found.pods if pod.spec.node_name]
    if view.many:
        return f"{name}: {', '.join(_parts(found, len(nodes)))}"
    if nodes:
        return f"{name} starts now on {nodes[-1]}"
    waits = "cannot start" if view.state is State.STUCK else "waits"
    return f"{name} {waits}: {diagnose(found).sentence}"


def _at_once(job: Job) -> int:
    """How many pods the Job makes at first."""
    spec = job.spec
    return spec.at_once if spec.completions is None else min(spec.at_once, spec.completions)


def _parts(found: Evidence, placed: int) -> Iterator[str]:
    """Of a job of several pods: how many start, and what the others wait for."""
    total, at_once = found.view.completions, _at_once(found.job)
    waiting = [pod for pod in found.pods if not pod.spec.node_name and unscheduled(pod)]
    silent = len(found.pods) - placed - len(waiting)
    missing = max(at_once - len(found.pods), 0)
    refused = refusal(found.events)
    yield f"{'all' if placed == total else f'{placed} of'} {total} pods start now"
    if at_once < total:
        yield f"no more than {at_once} at a time"
    if silent:
        yield f"{silent} not seen by the scheduler yet"
    if missing and refused is None:
        yield f"{missing} not made yet"
    if missing and refused is not None:
        yield f"{missing} refused: {refused.sentence}"
    if waiting:
        yield f"{len(waiting)} wait: {without_node(waiting[0], around_of(found)).sentence}"
