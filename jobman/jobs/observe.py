"""A job, its pods and what is said about them, as they change: threads watch, one thread reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec.structs import replace

from jobman.errors import ApiNotFoundError, NotFoundError, WaitTimeoutError
from jobman.jobs import mounts, pods, state
from jobman.jobs.inbox import Act, Inbox
from jobman.jobs.pods import PodView
from jobman.jobs.state import JobView
from jobman.kube.client import Client
from jobman.kube.labels import JOB_NAME
from jobman.kube.objects import Event, Job, Pod
from jobman.kube.resources import EVENTS, JOBS, PODS
from jobman.values.duration import format_age
from jobman.values.enums import State

EVENTS_AFTER_S = 1.0
"""A job that has not started after this long may have an event that says why."""
LOOK_AGAIN_S = 5.0
"""Trouble that lasts turns a starting job into a stuck one without any change to watch."""

LAG_S = 2.0
"""How long the end of a pod may come after that of its Job."""

_WAITING = frozenset({State.PENDING, State.STARTING, State.STUCK})


class Timeout:
    """A span of waiting that ends in WaitTimeoutError; None never ends.

    It began at `since` (of the monotonic clock), None: now.
    """

    def __init__(self, span_s: float | None, what: str, *, since: float | None = None) -> None:
        began = time.monotonic() if since is None else since
        self._end = None if span_s is None else began + span_s
        self._text = f"{what} after {format_age(span_s or 0)}; the job goes on"

    def bound(self, patience_s: float) -> float:
        """`patience_s`, or what is left where that is less."""
        if self._end is None:
            return patience_s
        left = self._end - time.monotonic()
        if left <= 0:
            raise WaitTimeoutError(self._text)
        return min(patience_s, left)


class Observation:
    """What is known of one job; `receive` takes in what has come, in the caller's thread."""

    def __init__(self, client: Client, job_name: str, namespace: str | None) -> None:
        self.job = client.get(JOBS, job_name, namespace=namespace)
        self._of_job = f"{JOB_NAME}={job_name}"
        self._first_pods = client.list(PODS, namespace=namespace, labels=self._of_job)
        self.pods: dict[str, Pod] = {}
        self.deleted = False
        self._client = client
        self._namespace = namespace
        self._events: dict[str, Event] = {}
        self._view: JobView | None = None
        self._inbox = Inbox()
        self._began = time.monotonic()
        self._asks_events = False
        self._over_since: float | None = None
        for pod in self._first_pods.items:
            self._on_pod("ADDED", pod)
        self._began_unfinished = not self.view().finished

    def view(self) -> JobView:
        """The job's state at this moment; of a deleted job, what it had come to."""
        if self._view is None:
            known = list(self.pods.values())
            self._view = state.of(self.job, known, self._events.values(), now=datetime.now(UTC))
        return self._view

    @property
    def events(self) -> list[Event]:
        """The events about the job and its pods, as far as they were asked for."""
        return [*self._events.values()]

    def post(self, act: Act) -> None:
        """Have `act` run in the thread that receives."""
        self._inbox.post(act)

    def receive(self, timeout: Timeout, patience_s: float = LOOK_AGAIN_S) -> None:
        """Wait for a change, `patience_s` at most, and take in all that have come."""
        self._ask_events_when_slow()
        if not self._asks_events or self._over_since is not None:
            patience_s = min(patience_s, EVENTS_AFTER_S)
        if not self._inbox.receive(timeout.bound(patience_s)):
            self._know_anew()

    def require_existing(self) -> None:
        """Raise NotFoundError when the job was deleted before it had come to an end."""
        if self.deleted and not self.view().finished:
            raise self._gone()

    def is_over(self, view: JobView, *, with_pods: bool = False) -> bool:
        """Whether the job is over, or can never start.

        The Job's end may be seen before those of its pods. They are waited for, though not for
        ever, as long as the exit code is not known, or in any case when `with_pods`.
        """
        if not view.finished or self.deleted:
            return view.finished or view.state is State.STUCK
        ended = sum(pod.finished for pod in view.pods)
        missing = self._began_unfinished and ended < max(view.succeeded + view.failed, 1)
        if (view.state is State.SUCCEEDED and not with_pods) or not (view.active or missing):
            return True
        self._over_since = self._over_since or time.monotonic()
        return time.monotonic() - self._over_since > LAG_S

    def outcome(self) -> JobView:
        """The view of a job that is over; NotFoundError if it is so for being deleted.

        Its pods may be seen to stop before the Job is seen to be gone.
        """
        view = self.view()
        if view.state is State.FAILED and any(pod.leaving for pod in view.pods):
            try:
                self._client.get(JOBS, self.job.metadata.name, namespace=self._namespace)
            except ApiNotFoundError as error:
                raise self._gone() from error
        return view

    def _gone(self) -> NotFoundError:
        return NotFoundError(f"job {self.job.metadata.name} was deleted before it finished")

    def pod(self, name: str) -> PodView | None:
        """The pod's state at this moment, also of a deleted job; None once it is gone."""
        found = self.pods.get(name)
        return None if found is None else pods.view(found, now=datetime.now(UTC))

    @contextmanager
    def watching(self) -> Iterator[Observation]:
        """Watch the job and its pods while inside."""
        meta = self.job.metadata
        itself = self._client.watch(
            JOBS,
            namespace=self._namespace,
            fields=f"metadata.name={meta.name}",
            resource_version=meta.resource_version,
            known=[self.job],
        )
        of_job = self._client.watch(
            PODS,
            namespace=self._namespace,
            labels=self._of_job,
            resource_version=self._first_pods.resource_version,
            known=self._first_pods.items,
        )
        try:
            self._inbox.read(itself, self._on_job)
            self._inbox.read(of_job, self._on_pod)
            yield self
        finally:
            self._inbox.close()

    def _know_anew(self) -> None:
        """Something changed, or time passed; what a deleted job came to stays."""
        if not self.deleted:
            self._view = None

    def _ask_events_when_slow(self) -> None:
        slow = time.monotonic() - self._began > EVENTS_AFTER_S
        if slow and not self._asks_events and self.view().state in _WAITING:
            self.ask_events(mounts.TELLING)

    def ask_events(self, fields: str) -> None:
        """Watch the events of this field selector, if they may be read; to be called once."""
        self._asks_events = True
        telling = self._client.watch(EVENTS, namespace=self._namespace, fields=fields)
        self._inbox.read(telling, self._on_event, may_be_forbidden=True)

    def _on_job(self, change: str, job: Job) -> None:
        if job.metadata.uid != self.job.metadata.uid or self.deleted:
            return
        self.job = _as_if_kept(job)
        self._know_anew()
        if change == "DELETED":
            self.view()
            self.deleted = True

    def _on_pod(self, change: str, pod: Pod) -> None:
        if not pod.metadata.is_owned_by(self.job.metadata.uid):
            return
        self.pods[pod.metadata.name] = pod
        if change == "DELETED" and not pods.view(pod, now=datetime.now(UTC)).finished:
            del self.pods[pod.metadata.name]
        self._know_anew()

    def _on_event(self, change: str, event: Event) -> None:
        about = event.involved_object
        mine = about.uid == self.job.metadata.uid or about.name in self.pods
        if mine and change != "DELETED":
            self._events[event.metadata.name] = event
            self._know_anew()


def _as_if_kept(job: Job) -> Job:
    """A finished job that is being deleted, for its outcome."""
    if not any(c.true and c.type in ("Complete", "Failed") for c in job.status.conditions):
        return job
    return replace(job, metadata=replace(job.metadata, deletion_timestamp=None))
