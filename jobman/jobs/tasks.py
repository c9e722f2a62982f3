"""The single tasks of a job: an array's indexes, or a job's pods, as rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from jobman.jobs import indexes
from jobman.jobs.pods import PodView
from jobman.jobs.state import JobView
from jobman.kube.objects import Job
from jobman.values.enums import State


class TaskRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """One task, as `jobman list --tasks -o json` prints it; the order of the fields is kept.

    `index` is null for a job that is no array; there each pod is a task. Of an index with several
    pods the latest counts, and `attempts` are all that are known. `pod` is empty before there is
    one, and when it is gone.
    """

    job: str
    namespace: str
    index: int | None
    pod: str
    state: State
    reason: str
    message: str
    exit_code: int | None
    node: str
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: int | None


def of(job: Job, view: JobView, *, now: datetime) -> list[TaskRow]:
    """The tasks of a job, in the order of their index or age."""
    if job.spec.completion_mode != "Indexed":
        return [_row(job, pod, None, 1, now) for pod in view.pods] or [_waiting(job, None, view)]
    attempts: dict[int, list[PodView]] = {}
    for pod in view.pods:
        if pod.index is not None:
            attempts.setdefault(pod.index, []).append(pod)
    return list(_by_index(job, view, attempts, now))


def _by_index(
    job: Job, view: JobView, attempts: dict[int, list[PodView]], now: datetime
) -> Iterator[TaskRow]:
    completed = indexes.told(job.status.completed_indexes)
    failed = indexes.told(job.status.failed_indexes)
    for index in range(view.completions):
        pods = attempts.get(index)
        if pods:
            good = [pod for pod in pods if pod.state is State.SUCCEEDED]
            yield _row(job, (good or pods)[-1], index, len(pods), now)
        elif index in completed or index in failed:
            yield _gone(job, index, State.SUCCEEDED if index in completed else State.FAILED)
        else:
            yield _waiting(job, index, view)


def _row(job: Job, pod: PodView, index: int | None, attempts: int, now: datetime) -> TaskRow:
    meta = job.metadata
    return of_pod(pod, meta.name, meta.namespace, index=index, attempts=attempts, now=now)


def of_pod(
    pod: PodView, job: str, namespace: str, *, index: int | None, attempts: int, now: datetime
) -> TaskRow:
    """The task that a pod is, of the job of that name."""
    ran_s = None
    if pod.started_at is not None:
        ran_s = max(int(((pod.finished_at or now) - pod.started_at).total_seconds()), 0)
    return TaskRow(
        job=job,
        namespace=namespace,
        index=index,
        pod=pod.name,
        state=pod.state,
        reason=pod.reason,
        message=pod.message,
        exit_code=pod.exit_code,
        node=pod.node,
        attempts=attempts,
        started_at=pod.started_at,
        finished_at=pod.finished_at,
        duration_seconds=ran_s,
    )


def _waiting(job: Job, index: int | None, view: JobView) -> TaskRow:
    """A task without a pod: as the job is, or waiting for its turn."""
    waits = view.state in (State.RUNNING, State.STARTING)
    return _without_pod(job, index, State.PENDING if waits else view.state)


def _gone(job: Job, index: int, state: State) -> TaskRow:
    return _without_pod(job, index, state, "PodGone")


def _without_pod(job: Job, index: int | None, state: State, reason: str = "") -> TaskRow:
    return TaskRow(
        job=job.metadata.name,
        namespace=job.metadata.namespace,
        index=index,
        pod="",
        state=state,
        reason=reason,
        message="",
        exit_code=None,
        node="",
        attempts=0,
        started_at=None,
        finished_at=None,
        duration_seconds=None,
    )
