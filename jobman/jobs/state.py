"""Job + Pods + Events -> one word for the job and the reason for it. Pure.

A container's status outranks its pod's phase, and that the Job's status: each lags a second
behind the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from jobman.jobs import pods as pod_views
from jobman.jobs import quota
from jobman.jobs.pods import LONG_AGO, PodView, last_seen
from jobman.kube import labels
from jobman.kube.objects import Event, Job, JobCondition, Pod
from jobman.values.duration import format_rfc3339
from jobman.values.enums import State

_GOOD = ("Complete", "SuccessCriteriaMet")
_BAD = ("Failed", "FailureTarget")
_THE_POD_KNOWS_BETTER = frozenset({"BackoffLimitExceeded", "PodFailurePolicy"})
_LIVELIEST_FIRST = (State.RUNNING, State.STARTING, State.STUCK, State.PENDING)


class JobView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a job is doing, and why.

    `exit_code` is that of a job of one completion, as soon as its container tells.
    `completions` is how many pods must succeed; `succeeded`, `failed`, `active` count pods;
    `pods` are in the order of their index, then of their creation.
    """

    state: State
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    node: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    completions: int = 1
    succeeded: int = 0
    failed: int = 0
    active: int = 0
    pods: tuple[PodView, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the job's own work is over."""
        return self.state.finished

    @property
    def many(self) -> bool:
        """Whether the job is of several pods: its outcome is no single exit code."""
        return self.completions > 1


class _Verdict(NamedTuple):
    state: State
    reason: str = ""
    message: str = ""
    exit_code: int | None = None


class _Seen(NamedTuple):
    """The pods, oldest first, those that live, and how many completions they make of `total`."""

    pods: list[PodView]
    live: list[PodView]
    succeeded: int
    total: int

    @property
    def single(self) -> bool:
        return self.total <= 1


def of(
    job: Job, pods: Sequence[Pod], events: Iterable[Event] = (), *, now: datetime | None = None
) -> JobView:
    """The job's state, from its pods and the events about it and them.

    `now` (default: this moment) decides when trouble that may pass has lasted too long.
    """
    moment = now or datetime.now(UTC)
    about: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        key = event.involved_object.kind, event.involved_object.name
        about.setdefault(key, []).append(event)
    views = [
        pod_views.view(pod, about.get(("Pod", pod.metadata.name), ()), now=moment) for pod in pods
    ]
    return derive(job, views, about.get(("Job", job.metadata.name), ()))


def derive(job: Job, pods: Iterable[PodView], events: Iterable[Event] = ()) -> JobView:
    """The job's state from the views of its pods; `events` are those about the Job itself."""
    views = list(pods)
    if len(views) > 1:
        views.sort(key=_by_age)
    live = [view for view in views if not view.finished]
    seen = _Seen(views, live, _succeeded(views), completions(job))
    verdict = _verdict(job, seen, events)
    status = job.status
    cancelled_at = labels.cancelled_at(job.metadata.annotations)
    told = [_as_cancelled(view, cancelled_at) for view in views] if cancelled_at else views
    stopped = sum(view.state is State.CANCELLED for view in told)
    return JobView(
        state=verdict.state,
        reason=verdict.reason,
        message=verdict.message,
        exit_code=verdict.exit_code if seen.single else None,
        node=_node(seen),
        started_at=_started_at(job, views),
        finished_at=_finished_at(job, views) if verdict.state.finished else None,
        completions=seen.total,
        succeeded=max(status.succeeded, seen.succeeded),
        failed=max(status.failed - stopped, sum(view.state is State.FAILED for view in told)),
        active=len(live) if views else status.active,
        pods=tuple(sorted(told, key=_by_index) if len(told) > 1 else told),
    )


def _verdict(job: Job, seen: _Seen, events: Iterable[Event]) -> _Verdict:
    """The first that applies, from what outranks the rest to what is left."""
    if job.metadata.deletion_timestamp is not None:
        return _Verdict(State.DELETING)
    if _all_succeeded(job, seen) or (_condition(job, _GOOD) and not _was_cut_short(job)):
        return _Verdict(State.SUCCEEDED, exit_code=0)
    failed, live = _failed(job, seen), seen.live
    if failed and live and not _condition(job, ("Failed",)):
        return _Verdict(State.RUNNING, failed.reason, failed.message)
    cancelled = _cancelled(job)
    if cancelled and (failed or not live):
        return cancelled._replace(exit_code=failed.exit_code if failed else None)
    if failed:
        return failed
    if job.spec.suspend:
        return _Verdict(State.SUSPENDED, "Terminating" if live else "")
    return _of_live(seen) if live else _of_nothing_live(job, seen.pods, events)


def _cancelled(job: Job) -> _Verdict | None:
    """Who stopped the job on purpose, and when."""
    notes = job.metadata.annotations
    moment = labels.cancelled_at(notes)
    if moment is None:
        return None
    by = notes.get(labels.CANCELLED_BY)
    at = f"at {format_rfc3339(moment)}"
    return _Verdict(State.CANCELLED, message=f"by {by} {at}" if by else at)


def _as_cancelled(pod: PodView, moment: datetime) -> PodView:
    """The pod as a cancel at that moment left it, where that ended it: by a deadline of its own."""
    if pod.state is not State.FAILED or pod.reason != "DeadlineExceeded":
        return pod
    if pod.finished_at is not None and pod.finished_at < moment.replace(microsecond=0):
        return pod
    return msgspec.structs.replace(pod, state=State.CANCELLED, reason="", message="")


def _was_cut_short(job: Job) -> bool:
    """Whether a cancel took indexes away, and what was left of the array succeeded."""
    before = labels.array(job.metadata.annotations)
    return before is not None and job.status.succeeded < before[0]


def _all_succeeded(job: Job, seen: _Seen) -> bool:
    return 0 < seen.total <= seen.succeeded and job.spec.success_policy is None


def _succeeded(pods: Iterable[PodView]) -> int:
    """How many completions the pods make: pods of one index count once."""
    good = [pod.index for pod in pods if pod.state is State.SUCCEEDED]
    return len(good) if len(good) < 2 else len({*good} - {None}) + good.count(None)


def _failed(job: Job, seen: _Seen) -> _Verdict | None:
    """The job's failure: by its condition, or before that by a pod when no retry is left."""
    bad = [pod for pod in seen.pods if pod.state is State.FAILED]
    condition = _condition(job, _BAD)
    if condition is not None:
        return _failed_by(condition, seen.pods[-1] if seen.single and seen.pods else None, bad)
    if not seen.single or not bad or not _out_of_retries(job, len(bad)):
        return None
    return _Verdict(State.FAILED, bad[-1].reason, bad[-1].message, bad[-1].exit_code)


def _failed_by(condition: JobCondition, only: PodView | None, bad: list[PodView]) -> _Verdict:
    """The condition says that the job failed; `only` the last pod of a job of one, or None."""
    code = only.exit_code or None if only else None
    if only and only in bad and condition.reason in _THE_POD_KNOWS_BETTER:
        return _Verdict(State.FAILED, only.reason, only.message, code)
    message = condition.message if only else _with_first_failure(condition.message, bad)
    return _Verdict(State.FAILED, condition.reason or "Failed", message, code)


def _with_first_failure(message: str, bad: list[PodView]) -> str:
    if not bad:
        return message
    first = min(bad, key=lambda pod: pod.finished_at or LONG_AGO)
    return f"{message}; first: pod {first.name}: {first.reason}"


def _out_of_retries(job: Job, seen: int) -> bool:
    """Whether the failed pods exceed the backoffLimit; with other rules only the Job can tell."""
    return not _has_own_rules(job) and max(seen, job.status.failed) > _backoff_limit(job)


def _has_own_rules(job: Job) -> bool:
    spec = job.spec
    return spec.pod_failure_policy is not None or spec.backoff_limit_per_index is not None


def _backoff_limit(job: Job) -> int:
    limit = job.spec.backoff_limit
    return 6 if limit is None else limit


def _of_live(seen: _Seen) -> _Verdict:
    """One pod of the liveliest state, of these the newest, speaks for all of them."""
    speaker = min(reversed(seen.live), key=_liveliness)
    if speaker.state is State.RUNNING and not seen.single:
        return _Verdict(State.RUNNING)
    reason = speaker.reason or ("Terminating" if speaker.leaving else "")
    return _Verdict(speaker.state, reason, speaker.message)


def _liveliness(pod: PodView) -> int:
    return _LIVELIEST_FIRST.index(pod.state)


def _of_nothing_live(job: Job, pods: list[PodView], events: Iterable[Event]) -> _Verdict:
    """No pod runs or waits: none could be made, or the next one is still to come."""
    last = pods[-1] if pods else None
    since = (last.finished_at if last else None) or LONG_AGO
    refused = [e for e in events if e.reason == "FailedCreate" and last_seen(e) >= since]
    if refused:
        message = max(refused, key=last_seen).message
        stuck = quota.can_never_be_created(message)
        return _Verdict(State.STUCK if stuck else State.PENDING, "FailedCreate", message)
    if last is not None and last.state is State.FAILED:
        return _Verdict(State.PENDING, last.reason, _retry_text(job, last))
    if job.status.ready or last is not None:
        return _Verdict(State.RUNNING)
    return _Verdict(State.PENDING)


def _retry_text(job: Job, last: PodView) -> str:
    said = f": {last.message}" if last.message else ""
    if _has_own_rules(job):
        return f"pod {last.name} failed{said}; the Job's own rules decide how it goes on"
    limit = _backoff_limit(job)
    return f"pod {last.name} failed{said}; another one follows (backoffLimit {limit})"


def _condition(job: Job, kinds: Sequence[str]) -> JobCondition | None:
    for condition in job.status.conditions:
        if condition.type in kinds and condition.status == "True":
            return condition
    return None


def completions(job: Job) -> int:
    """How many pods must succeed, or had to before a cancel; a work queue's is its parallelism."""
    spec = job.spec
    if before := labels.array(job.metadata.annotations):
        return before[0]
    if spec.completions is not None:
        return spec.completions
    return max(spec.at_once, 1)


def _node(seen: _Seen) -> str:
    """The node of the latest pod; of several pods, the node if they share it."""
    if seen.single:
        return seen.pods[-1].node if seen.pods else ""
    nodes = {pod.node for pod in seen.pods}
    return nodes.pop() if len(nodes) == 1 else ""


def _started_at(job: Job, pods: list[PodView]) -> datetime | None:
    """When the first container started; without its pod, when the Job did.

    A cancel keeps the pods that have begun: where there is none, none has.
    """
    starts = [pod.started_at for pod in pods if pod.started_at]
    if starts or (pods and not job.status.completion_time):
        return min(starts, default=None)
    ran = job.status.ready or job.status.succeeded or job.status.failed
    stopped = labels.cancelled_at(job.metadata.annotations) is not None
    return job.status.start_time if ran and not stopped else None


def _finished_at(job: Job, pods: list[PodView]) -> datetime | None:
    ends = [pod.finished_at for pod in pods if pod.finished_at]
    if ends:
        return max(ends)
    condition = _condition(job, (*_GOOD, *_BAD))
    return job.status.completion_time or (condition.last_transition_time if condition else None)


def _by_age(pod: PodView) -> tuple[datetime, str]:
    return pod.created_at or LONG_AGO, pod.name


def _by_index(pod: PodView) -> tuple[int, datetime, str]:
    return -1 if pod.index is None else pod.index, *_by_age(pod)
