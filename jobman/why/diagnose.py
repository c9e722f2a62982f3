"""Evidence -> why the job is where it is. Pure.

The first that applies: it is over or runs; it is held, by a person or by Kueue; its pods are
refused; a pod waits for a node; a pod on its node cannot start. Of one that runs in part, why the
rest does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from jobman.jobs.pods import LONG_AGO, PodView, last_seen
from jobman.jobs.quota import can_never_be_created
from jobman.kube import labels
from jobman.kube.objects import Event
from jobman.queue.rules import Wanted
from jobman.values.duration import format_rfc3339
from jobman.values.enums import State
from jobman.why import failed, said, scheduling, waiting_pod, words
from jobman.why.diagnosis import Diagnosis
from jobman.why.evidence import Evidence
from jobman.why.kueue import Queued
from jobman.why.waiting_pod import Around


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
        wanted, found.nodes, flavors=found.flavors, flavor=around_of(found).flavor
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
    return waiting_pod.diagnose(
        pod, view, found.events, around_of(found), job=found.job.metadata.name
    )


def around_of(found: Evidence) -> Around:
    """What decides where a pod of the job may go."""
    own = labels.flavor_spec(found.job.metadata.annotations)
    return Around(found.nodes, found.others, found.flavors, own)


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
    times = sum(event.times for event in refusals)
    return refused(message, (f"refused {words.count(times, 'time')}: {message}",))


def refused(message: str, evidence: tuple[str, ...] = ()) -> Diagnosis:
    """What it means that a pod was refused with this message."""
    quota = said.quota(message)
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


_BY_STATE: dict[State, Callable[[Evidence], Diagnosis]] = {
    State.SUCCEEDED: _over,
    State.CANCELLED: _over,
    State.DELETING: _over,
    State.RUNNING: _running,
    State.FAILED: _failed,
    State.SUSPENDED: _held,
}
