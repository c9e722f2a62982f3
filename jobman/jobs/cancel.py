"""Stopping a job so that its pods and their logs stay.

Suspending a Job, a deadline of the Job and fewer pods at once all DELETE running pods, with their
logs. A pod's own deadline does not: the pod ends as Failed and stays. So running pods get one that
is over already; only when they have ended does the Job get a deadline, which makes it Failed for
good. Until then `parallelism` follows the pods that are still ending, so that none comes after
them.

Of an array that would come too late: an index that ends lets the next one begin at once. Indexes
begin in their order, and Kubernetes lets `completions` be changed together with `parallelism`. So
an array first ends with the last index that has begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from jobman.errors import ApiNotFoundError, InvalidError, WaitTimeoutError
from jobman.jobs import indexes, standing
from jobman.jobs import pods as pod_views
from jobman.jobs.standing import Standing
from jobman.kube import labels
from jobman.kube.beside import Ahead
from jobman.kube.client import Client
from jobman.kube.objects import Job, Pod
from jobman.kube.resources import JOBS, PODS
from jobman.kube.watch import Watched
from jobman.values.enums import State

OVER_S = 1
"""A deadline in the past of every pod that has begun: the API takes none below."""
_GRACE_S = 30
_PATIENCE_S = 30
_AT_ONCE = 8
_MOST_CHANGES = 1000


def cancel(client: Client, job: Job, *, user: str, now: datetime) -> str:
    """Stop the job; what came of it in a few words.

    A job that is over is left as it is. Raises WaitTimeoutError when processes outlive their grace
    period.
    """
    found = standing.read(client, job)
    if found.view.state is State.DELETING:
        return "is being deleted already"
    if found.view.state.finished:
        return f"is {found.view.state} already"
    _stop_starting(client, found, _mark(found.job, user, now))
    had_begun = _end_pods(client, found) or found.view.started_at is not None
    _patch(client, job, {"spec": _closed(found.job)})
    with suppress(ApiNotFoundError):
        _end_pods(client, standing.read(client, job))
    return "cancelled" if had_begun else "cancelled before it began"


def _mark(job: Job, user: str, now: datetime) -> dict[str, str]:
    """The annotations that say who stopped it and when; the first one stays."""
    if labels.cancelled_at(job.metadata.annotations) is not None:
        return {}
    return {
        labels.CANCELLED_AT: labels.format_submitted_at(now),
        labels.CANCELLED_BY: user,
    }


def _stop_starting(client: Client, found: Standing, mark: dict[str, str]) -> None:
    """Write the mark; from here on no pod is to begin."""
    job, spec = found.job, found.job.spec
    limits: dict[str, int] = {}
    if spec.backoff_limit_per_index is None and not spec.suspend:
        # no retry; but the first of several to end must not fail the Job: it deletes the others
        running = len(found.started())
        limits["backoffLimit"] = 0 if running < 2 else job.status.failed + running
    if size := _begun_size(found):
        before = f"{spec.completions}%{spec.parallelism}"
        shorter = limits | {"completions": size, "parallelism": size}
        with suppress(InvalidError):  # of a cluster without elastic Indexed Jobs
            _change(client, job, mark | {labels.ARRAY: before}, shorter)
            return
    _change(client, job, mark, limits)


def _begun_size(found: Standing) -> int | None:
    """The size of the array up to the last index that has begun; None where none is left out."""
    job, spec = found.job, found.job.spec
    size = spec.completions
    if spec.completion_mode != "Indexed" or size is None or spec.success_policy is not None:
        return None
    begun = indexes.told(job.status.completed_indexes) | indexes.told(job.status.failed_indexes)
    begun |= {pod.index for pod in found.view.pods if pod.has_started and pod.index is not None}
    shorter = max(begun, default=-1) + 1
    done_before = labels.array(job.metadata.annotations) is not None
    return shorter if 0 < shorter < size and not done_before else None


def _change(client: Client, job: Job, notes: dict[str, str], spec: dict[str, int]) -> None:
    parts: dict[str, Any] = {"metadata": {"annotations": notes}} if notes else {}
    _patch(client, job, parts | ({"spec": spec} if spec else {}))


def _closed(job: Job) -> dict[str, Any]:
    """What makes a Job without running pods Failed, or keeps one that is held from beginning."""
    return {"activeDeadlineSeconds": OVER_S, "parallelism": job.spec.parallelism}


def _end_pods(client: Client, found: Standing) -> bool:
    """End the pods that have begun; whether there were any. Returns when all have ended."""
    ending = _Ending(client, found)
    if not ending.going:
        return False
    ending.press()
    meta, limit_s = found.job.metadata, _limit_s(ending.going)
    watch = client.watch(
        PODS,
        namespace=meta.namespace,
        labels=f"{labels.JOB_NAME}={meta.name}",
        known=found.pods,
        deadline_s=limit_s,
    )
    with watch, Ahead(watch, _MOST_CHANGES) as changes:
        for batch in changes.batches():
            for change in batch:
                ending.take(change)
            if not ending.going:
                return True
            ending.press()
    raise WaitTimeoutError(
        f"job {meta.name}: processes still run after {limit_s:.0f} s; they were told to end",
        hint=f"jobman delete {meta.name} --grace 0 kills them",
    )


class _Ending:
    """The pods of a Job that have begun and not ended, `going` by their names."""

    def __init__(self, client: Client, found: Standing) -> None:
        self.going = {pod.metadata.name: pod for pod, _ in found.started()}
        self._client = client
        self._job = found.job
        self._told: set[str] = set()
        self._wanted = found.job.spec.at_once

    def take(self, change: Watched[Pod]) -> None:
        """Take in what became of a pod."""
        pod, name = change.object, change.object.metadata.name
        if not pod.metadata.is_owned_by(self._job.metadata.uid):
            return
        if change.type != "DELETED" and pod_views.view(pod, now=datetime.now(UTC)).is_going:
            self.going[name] = pod
        else:
            self.going.pop(name, None)

    def press(self) -> None:
        """Tell those to end that were not told yet, and let none come after those that have."""
        fresh = self.going.keys() - self._told
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda name: _shorten(self._client, self.going[name]), fresh))
        self._told |= fresh
        if len(self.going) < self._wanted:
            self._wanted = len(self.going)
            _patch(self._client, self._job, {"spec": {"parallelism": self._wanted}})


def _limit_s(pods: Mapping[str, Pod]) -> float:
    """How long their processes may take to end, and a little more."""
    graces = [pod.spec.termination_grace_period_seconds for pod in pods.values()]
    return max(_GRACE_S if grace is None else grace for grace in graces) + _PATIENCE_S


def _shorten(client: Client, pod: Pod) -> None:
    """Give the pod a deadline that is over; it may have ended, or gone, meanwhile."""
    meta = pod.metadata
    patch = {"spec": {"activeDeadlineSeconds": OVER_S}}
    try:
        client.patch(PODS, meta.name, patch, namespace=meta.namespace)
    except ApiNotFoundError:
        return


def _patch(client: Client, job: Job, patch: Mapping[str, Any]) -> None:
    """Change that very Job, not another that took its name."""
    if not patch:
        return
    meta = job.metadata
    guarded = {**patch, "metadata": {**patch.get("metadata", {}), "uid": meta.uid}}
    client.patch(JOBS, meta.name, guarded, namespace=meta.namespace)
