"""Evidence -> why the job is where it is. Pure.

The first that applies: it is over or runs; it is held, by a person or by Kueue; its pods are
refused; a pod waits for a node; a pod on its node cannot start. Of one that runs in part, why the
rest does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jobman.jobs.pods import LONG_AGO, PodView, last_seen, mount_trouble
from jobman.jobs.quota import can_never_be_created
from jobman.kube import labels
from jobman.kube.objects import Event, Job, Pod
from jobman.queue.rules import Wanted
from jobman.values.duration import format_rfc3339
from jobman.values.enums import State
from jobman.why import failed, said, scheduling, words
from jobman.why.diagnosis import Diagnosis
from jobman.why.evidence import Evidence
from jobman.why.kueue import Queued

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError")


def diagnose(found: Evidence) -> Diagnosis:
    """Why the job is where it is."""
    judge = _BY_STATE.get(found.view.state, _waiting)
    diagnosis = judge(found)
    return replace(diagnosis, unseen=(*diagnosis.unseen, *found.unseen))


def _over(found: Evidence) -> Diagnosis:
    view = found.view
    at = f" at {format_rfc3339(view.finished_at)}" if view.finished_at else ""
    if view.state is State.CANCELLED:
        return Diagnosis("cancelled", f"it was cancelled {view.message or at.strip()}".strip())
    if view.state is State.DELETING:
        return Diagnosis("deleting", "it is being deleted; its pods end first")
    return Diagnosis("succeeded", f"it succeeded{at}")


def _running(found: Evidence) -> Diagnosis:
    view = found.view
    since = f" since {format_rfc3339(view.started_at)}" if view.started_at else ""
    rest = [*_rest(found)]
    if not rest:
        on = f" on {view.node}" if view.node else ""
        return Diagnosis("running", f"it runs{on}{since}")
    running = sum(pod.state is State.RUNNING for pod in view.pods)
    runs = f"{words.count(running, 'pod')} of it {'runs' if running == 1 else 'run'}{since}"
    whys = [why for _, why in rest]
    return Diagnosis(
        "running",
        "; ".join((runs, *(f"{told}: {why.sentence}" for told, why in rest))),
        tuple(line for why in whys for line in why.evidence),
        tuple(dict.fromkeys(line for why in whys for line in why.suggestions)),
    )


def rest_of_running(found: Evidence) -> bool:
    """Whether the job runs, and pods of it wait, are stuck or are refused."""
    return found.view.state is State.RUNNING and any(_rest(found))


def _rest(found: Evidence) -> Iterator[tuple[str, Diagnosis]]:
    """What is the matter with the pods that do not run, and why: the first of each kind tells."""
    for kind, one, many in (
        (State.PENDING, "waits", "wait"),
        (State.STUCK, "is stuck", "are stuck"),
    ):
        those = [pod for pod in found.view.pods if pod.state is kind]
        if those:
            yield f"{len(those)} {one if len(those) == 1 else many}", _of_pod(found, those[0])
    lacking, refused = _lacking(found), _standing_refusal(found)
    if lacking > 0 and refused is not None:
        yield f"{lacking} {'is' if lacking == 1 else 'are'} refused", refused


def _lacking(found: Evidence) -> int:
    """How many pods the Job should have now and has not."""
    spec, view = found.job.spec, found.view
    if spec.suspend:
        return 0
    at_once = spec.at_once
    if spec.completions is not None:
        failed_for_good = view.failed if spec.backoff_limit_per_index is not None else 0
        at_once = min(at_once, spec.completions - view.succeeded - failed_for_good)
    elif view.succeeded:
        return 0
    return at_once - view.active


def _standing_refusal(found: Evidence) -> Diagnosis | None:
    """Why pods are refused, if none was made since."""
    made = max((pod.created_at or LONG_AGO for pod in found.view.pods), default=LONG_AGO)
    return refusal(event for event in found.events if last_seen(event) >= made)


def _failed(found: Evidence) -> Diagnosis:
    return failed.diagnose(
        found.view,
        found.job,
        found.pods,
        found.events,
        flavors=found.flavors,
        log_tail=found.log,
    )


def _held(found: Evidence) -> Diagnosis:
    queued, name = found.queued, found.job.metadata.name
    if queued is None or not queued.waits:
        release = f"jobman release {name}"
        later = _if_released(found)
        return Diagnosis("held", "it is held (suspended)", later, (f"{release} lets it start",))
    return _in_kueue(queued, name)


def _in_kueue(queued: Queued, name: str) -> Diagnosis:
    if not queued.installed:
        sentence = f"it is suspended for Kueue's LocalQueue {queued.queue}, and there is no Kueue"
        ways = (f"jobman delete {name}, and submit it without --local-queue",)
        return Diagnosis("kueue", sentence, (), ways)
    place = f", as number {queued.position}" if queued.position else ""
    told = ": ".join(part for part in (queued.reason, queued.message) if part)
    evidence = [f"Kueue: {told}"] if told else []
    if queued.ahead is not None and queued.position:
        evidence.append(f"ahead of it: {queued.ahead} GPUs")
    sentence = f"it waits in Kueue's LocalQueue {queued.queue}{place}"
    return Diagnosis("kueue", sentence, tuple(evidence), unseen=queued.unseen)


def _if_released(found: Evidence) -> tuple[str, ...]:
    if not found.nodes:
        return ()
    template = found.job.spec.template.spec
    wanted = Wanted.of(template, tolerations_final=found.tolerations_final)
    judged = scheduling.diagnose(
        wanted, found.nodes, flavors=found.flavors, flavor=_flavor_of(found.job)
    )
    if judged.kind == scheduling.FITS:
        return ("released now it would fit",)
    return (f"released now: {judged.sentence}",)


def _waiting(found: Evidence) -> Diagnosis:
    view = next((pod for pod in found.view.pods if _waits(pod)), None)
    return _without_pods(found) if view is None else _of_pod(found, view)


def _of_pod(found: Evidence, view: PodView) -> Diagnosis:
    """Why a pod has not started."""
    pod = next(pod for pod in found.pods if pod.metadata.name == view.name)
    if pod.spec.node_name:
        return _on_its_node(found, pod, view)
    return without_node(found, pod)


def _waits(pod: PodView) -> bool:
    return not pod.finished and not pod.has_started


def _without_pods(found: Evidence) -> Diagnosis:
    refused = refusal(found.events)
    if refused is not None:
        return refused
    if found.view.pods:
        return Diagnosis("retrying", found.view.message or "its next pod is still to come")
    return Diagnosis("no-pods-yet", "its pods are not made yet")


def refusal(events: Iterable[Event]) -> Diagnosis | None:
    """Why the Job's pods are refused, by the newest FailedCreate; None where there is none."""
    refusals = [event for event in events if event.reason == "FailedCreate"]
    if not refusals:
        return None
    message = max(refusals, key=last_seen).message
    quota = said.quota(message)
    times = sum(event.times for event in refusals)
    evidence = (f"refused {words.count(times, 'time')}: {message}",)
    stuck = can_never_be_created(message)
    if quota is None:
        lacking = said.missing(message)
        what = f"{lacking} is not there" if lacking else "the cluster refuses its pods"
        hint = "make it, or change the job: it will not start by itself" if stuck else ""
        return Diagnosis("refused", f"{what}: {message}", (), (hint,) if hint else ())
    which = f"quota {quota.name} of its namespace"
    told = f"it asks for more than {which} ever allows" if stuck else f"{which} is used up"
    sentence = f"{told}: {quota.text()}"
    ways = ("wait for other jobs of the namespace to end, or ask for less",) if not stuck else ()
    return Diagnosis("quota", sentence, evidence, ways)


def without_node(found: Evidence, pod: Pod) -> Diagnosis:
    """Why one of the job's pods is on no node: from the nodes, else as the scheduler says."""
    spec = pod.spec
    condition = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    if condition is not None and condition.reason == "SchedulingGated":
        gates = ", ".join(gate.name for gate in spec.scheduling_gates)
        return Diagnosis("gated", f"it is held back before the scheduler by: {gates}")
    message = condition.message if condition else ""
    lacking = said.missing(message)
    if lacking:
        return _missing(lacking, message)
    if condition is None and spec.scheduler_name not in ("", "default-scheduler"):
        return Diagnosis(
            "no-scheduler",
            f"no scheduler has looked at it: it asks for one named {spec.scheduler_name}",
        )
    place = pod.status.nominated_node_name
    kept = (f"what is freed on {place} is kept for it",) if place else ()
    if found.nodes is not None:
        judged = scheduling.diagnose(
            Wanted.of(spec, tolerations_final=True),
            found.nodes,
            others=found.others,
            since=pod.metadata.creation_timestamp,
            flavors=found.flavors,
            flavor=_flavor_of(found.job),
            said=said.scheduler(message),
        )
        said_so = (f"the scheduler: {message}",) if message else ()
        return replace(judged, evidence=(*judged.evidence, *kept, *said_so))
    judged = _by_message(pod, message)
    return replace(judged, evidence=(*kept, *judged.evidence))


def _flavor_of(job: Job) -> Mapping[str, Any] | None:
    return labels.flavor_spec(job.metadata.annotations)


def unscheduled(pod: Pod) -> Diagnosis | None:
    """What the scheduler says of a pod; None as long as it says nothing."""
    condition = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    if condition is None or not condition.message:
        return None
    lacking = said.missing(condition.message)
    return _missing(lacking, condition.message) if lacking else _by_message(pod, condition.message)


def _by_message(pod: Pod, message: str) -> Diagnosis:
    """What the scheduler says, as the nodes may not be read."""
    found = said.scheduler(message)
    evidence = (f"the scheduler: {message}",) if message else ()
    if found is None:
        return Diagnosis("unscheduled", message or "the scheduler has not got to it yet")
    wanted = Wanted.of(pod.spec)
    short = ", ".join(
        f"less than {words.amount(name, wanted.amounts.get(name, 0))} on"
        f" {words.count(count, 'node')}"
        for name, count in found.insufficient.items()
    )
    if found.full:
        sentence = f"it would fit on {words.count(found.full, 'node')}, but they are busy"
        told = f"{sentence} (left: {short})" if short else sentence
        return Diagnosis(scheduling.BUSY, told, evidence)
    if found.insufficient:
        sentence = f"no node that may take it has enough left: {short}"
        return Diagnosis("insufficient", sentence, evidence)
    kinds = (
        (found.selector, "do not match its node labels or affinity"),
        (found.taints, "have taints that it does not tolerate"),
        (found.cordoned, "are cordoned"),
    )
    told = ", ".join(f"{count} {what}" for count, what in kinds if count)
    return Diagnosis(scheduling.RULES, f"no node may take it: {told or message}", evidence)


def _on_its_node(found: Evidence, pod: Pod, view: PodView) -> Diagnosis:
    node, about = pod.spec.node_name, pod.metadata.name
    events = [event for event in found.events if event.involved_object.name == about]
    image = next((c.image for c in pod.spec.containers), "")
    if view.reason in _IMAGE:
        why = view.message or view.reason
        ways = (f"jobman images lists what is there; then jobman delete {found.job.metadata.name}",)
        return Diagnosis("image", f"image {image} cannot be pulled: {why}", (), ways)
    lacking = said.missing(view.message)
    if lacking:
        return _missing(lacking, view.message)
    trouble = mount_trouble(pod, events)
    if trouble is not None:
        return _not_prepared(trouble, node, found.job.metadata.name)
    if view.reason in _CONFIG:
        ways = (f"change what it asks for: jobman delete {found.job.metadata.name}, submit anew",)
        why = f"its container cannot be made on {node}: {view.message}"
        return Diagnosis("config", why, (), ways if view.state is State.STUCK else ())
    last = max(events, key=last_seen, default=None)
    evidence = (f"{last.reason}: {last.message}",) if last else ()
    why = f" ({view.reason})" if view.reason else ""
    return Diagnosis("starting", f"it is starting on {node}{why}", evidence)


def _not_prepared(last: Event, node: str, job: str) -> Diagnosis:
    """The node could not make ready what the containers need; it goes on trying."""
    lacking = said.missing(last.message)
    if lacking:
        return _missing(lacking, last.message)
    if last.reason == "FailedCreatePodSandBox":
        sentence = f"{node} cannot make the pod's sandbox: {last.message}"
        ways = (f"tell who runs the cluster: node {node} is at fault",)
        return Diagnosis("config", sentence, (), ways)
    ways = (f"the node tries again by itself; if it lasts: jobman details {job}",)
    return Diagnosis("volume", f"a volume cannot be mounted on {node}: {last.message}", (), ways)


def _missing(what: str, message: str) -> Diagnosis:
    return Diagnosis(
        "missing",
        f"{what} is not there",
        (message,),
        (f"make {what}: it starts then by itself",),
    )


_BY_STATE: dict[State, Callable[[Evidence], Diagnosis]] = {
    State.SUCCEEDED: _over,
    State.CANCELLED: _over,
    State.DELETING: _over,
    State.RUNNING: _running,
    State.FAILED: _failed,
    State.SUSPENDED: _held,
}
