"""Why a job failed: the causes of its pods, the commonest first, and what to run next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from shlex import quote

from jobman.config.bigger import next_bigger
from jobman.config.flavors import Flavor
from jobman.jobs import indexes, retry
from jobman.jobs.pods import LONG_AGO, last_seen, main_container
from jobman.jobs.state import JobView
from jobman.kube.objects import Condition, Container, Event, Job, Pod
from jobman.values import quantity
from jobman.values.enums import State
from jobman.why import cause
from jobman.why.cause import Cause
from jobman.why.diagnosis import Diagnosis
from jobman.why.words import count

CAUSES_SHOWN = 4
_GONE = Cause("pod-gone", "its pod is gone, and with it what it said")


@dataclass
class _Group:
    """Pods that failed of one cause; of an array their indexes."""

    cause: Cause
    pods: list[Pod] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return max(len(self.pods), len(self.indexes))


def diagnose(
    view: JobView,
    job: Job,
    pods: Sequence[Pod],
    events: Sequence[Event],
    *,
    flavors: Sequence[Flavor],
    log_tail: Sequence[str],
) -> Diagnosis:
    """The cause in a sentence, what it rests on, and the commands to go on with.

    `flavors` are those to choose a bigger one from; `log_tail` is the end of a failed pod's log.
    """
    groups = _groups(view, job, pods)
    condition = next((c for c in job.status.conditions if c.type == "Failed" and c.true), None)
    first = groups[0].cause if groups else None
    kind, sentence = _sentence(view, job, events, groups, condition)
    return Diagnosis(
        kind,
        sentence,
        tuple(_evidence(groups, condition, log_tail)),
        tuple(dict.fromkeys(_suggestions(kind, first, view, job, groups, flavors, log_tail))),
        () if pods or kind == "refused" else ("its pods are gone, and with them their logs",),
    )


def _sentence(
    view: JobView,
    job: Job,
    events: Sequence[Event],
    groups: list[_Group],
    condition: Condition | None,
) -> tuple[str, str]:
    """The kind of the failure and the sentence for it."""
    refused = _refusal(job, events)
    if condition and condition.reason == "DeadlineExceeded":
        limit = job.spec.active_deadline_seconds
        of = f" of {cause.period(limit)}" if limit is not None else ""
        blamed = f"; its pods could not be made: {refused}" if refused and not groups else ""
        return "job-deadline", f"the whole job took longer than its deadline{of}{blamed}"
    if groups and view.many:
        return groups[0].cause.kind, _of_many(view, job, groups, condition)
    if groups:
        return groups[0].cause.kind, _of_one(view, groups)
    if refused:
        return "refused", f"its pods could not be made: {refused}"
    reason = condition.reason if condition else view.reason
    message = condition.message if condition else view.message
    if view.failed and reason in ("", "BackoffLimitExceeded"):
        return "pod-gone", f"its pod failed {count(view.failed, 'time')} and is gone"
    said = f"{cause.short(reason)}: {cause.short(message)}".strip(": ")
    return "failed", said or "the cluster does not say why"


def _of_one(view: JobView, groups: list[_Group]) -> str:
    """A job of one completion: each pod was a try."""
    tries = max(view.failed, sum(group.size for group in groups))
    if tries <= 1:
        return groups[0].cause.text
    if len(groups) == 1:
        seen = groups[0].size
        each = "in each" if seen == tries else f"in the {seen} that are still there"
        return f"{groups[0].cause.text}, {each} of {tries} tries"
    parts = [f"{count(group.size, 'time')} {group.cause.text}" for group in groups]
    return f"it failed in {tries} tries: " + _joined(parts)


def _of_many(view: JobView, job: Job, groups: list[_Group], condition: Condition | None) -> str:
    parts = [f"{_whose(group)}: {group.cause.text}" for group in groups]
    if retry.is_array(job):
        failed = sum(len(group.indexes) for group in groups)
        head = f"{failed} of {view.completions} indexes failed"
    else:
        failed = max(view.failed, sum(group.size for group in groups))
        head = f"{count(failed, 'pod')} failed, {view.succeeded} of {view.completions} succeeded"
    most = job.spec.max_failed_indexes
    if condition and condition.reason == "MaxFailedIndexesExceeded" and most is not None:
        head += f", more than the {most} allowed"
    return f"{head}: {_joined(parts)}"


def _whose(group: _Group) -> str:
    return indexes.text(group.indexes) if group.indexes else count(group.size, "pod")


def _joined(parts: list[str]) -> str:
    more = len(parts) - CAUSES_SHOWN
    shown = parts[:CAUSES_SHOWN] + ([f"and {count(more, 'other cause')}"] if more > 0 else [])
    return "; ".join(shown)


def _groups(view: JobView, job: Job, pods: Sequence[Pod]) -> list[_Group]:
    """The failed pods by their cause, the commonest first; of an index its last pod counts."""
    views = {each.name: each for each in view.pods}
    failed = [
        pod
        for pod in sorted(pods, key=lambda pod: pod.metadata.creation_timestamp or LONG_AGO)
        if (seen := views.get(pod.metadata.name)) and seen.state is State.FAILED
    ]
    found: dict[Cause, _Group] = {}
    if not retry.is_array(job) or not view.many:
        for pod in failed:
            why = cause.of(pod, views[pod.metadata.name])
            found.setdefault(why, _Group(why)).pods.append(pod)
        return sorted(found.values(), key=lambda group: -group.size)
    last = {views[pod.metadata.name].index: pod for pod in failed}
    for index in retry.failed_indexes(job, view):
        its = last.get(index)
        why = cause.of(its, views[its.metadata.name]) if its else _GONE
        group = found.setdefault(why, _Group(why))
        group.indexes.append(index)
        group.pods.extend([its] if its else [])
    return sorted(found.values(), key=lambda group: (group.cause is _GONE, -group.size))


def _refusal(job: Job, events: Sequence[Event]) -> str:
    """Why no pod could be made, by the last event that says so."""
    about = [
        event
        for event in events
        if event.reason == "FailedCreate"
        and event.involved_object.kind in ("", "Job")
        and event.involved_object.name in ("", job.metadata.name)
    ]
    return cause.short(max(about, key=last_seen).message) if about else ""


def _evidence(
    groups: list[_Group], condition: Condition | None, log_tail: Sequence[str]
) -> Iterator[str]:
    if condition is not None and (condition.reason or condition.message):
        yield f"the Job: {condition.reason}: {cause.short(condition.message)}".rstrip(": ")
    for group in groups[:CAUSES_SHOWN]:
        said = cause.short(group.cause.said)
        if said and said not in group.cause.text and group.pods:
            yield f"pod {group.pods[-1].metadata.name}: {said}"
    yield from (f"log: {line}" for line in log_tail)


def _suggestions(
    kind: str,
    first: Cause | None,
    view: JobView,
    job: Job,
    groups: list[_Group],
    flavors: Sequence[Flavor],
    log_tail: Sequence[str],
) -> Iterator[str]:
    """Exact commands: what cures the commonest cause, the log, and the same again."""
    name = quote(job.metadata.name)
    array = retry.is_array(job) and view.many
    again = f"jobman retry {name}" + (" --failed" if array else "")
    if kind == "job-deadline":
        yield from _longer(job.spec.active_deadline_seconds)
    elif first is not None:
        yield from _cures(first, again, groups[0].pods, flavors)
    if log_tail or (first and first.kind == "exit" and groups[0].pods):
        index = groups[0].indexes[:1] if groups else []
        yield f"jobman logs {name}" + (f" --index {index[0]}" if index and array else "")
    if kind == "refused":
        yield f"jobman details {name}"
    elif kind not in ("oom", "not-started", "deadline", "job-deadline"):
        yield again


def _cures(
    first: Cause, again: str, pods: Sequence[Pod], flavors: Sequence[Flavor]
) -> Iterator[str]:
    pod = pods[-1] if pods else None
    if first.kind == "deadline" and pod:
        yield from _longer(pod.spec.active_deadline_seconds)
    elif first.resource in ("memory", "ephemeral-storage") and pod:
        yield from _more(first, again, pod, flavors)
    elif first.kind == "not-started" or first.exit_code in (126, 127):
        yield "jobman submit … -- COMMAND, with a command that the image has"
    elif first.exit_code == cause.SIGBUS:
        yield "jobman submit … --shm 8Gi"


def _more(first: Cause, again: str, pod: Pod, flavors: Sequence[Flavor]) -> Iterator[str]:
    """The next bigger flavor, else twice as much; retry gives it to the main container alone."""
    main = main_container(pod)
    if first.container and first.container != main:
        return
    asked = next((c for c in pod.spec.containers if c.name == main), Container())
    had = cause.amounts(asked)
    offered = (each for each in flavors if each.resources)
    bigger = next_bigger(offered, had, first.resource)
    if bigger is not None:
        yield f"{again} -r {quote(bigger.name)}"
    else:
        yield f"{again} --set-resource {first.resource}={_twice(had.get(first.resource, ''))}"


def _twice(amount: str) -> str:
    try:
        had = quantity.parse(amount)
    except ValueError:
        return "AMOUNT"
    return str(had + had) if had.value else "AMOUNT"


def _longer(limit: int | None) -> Iterator[str]:
    longer = cause.period(2 * limit) if limit else "DURATION"
    yield f"jobman submit … --time-limit {longer}"
