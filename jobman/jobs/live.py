"""The jobs of a namespace, or of all, and their pods, kept up to date by two watches."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

from jobman.errors import JobmanError
from jobman.jobs import pods as pod_views
from jobman.jobs import state
from jobman.jobs.pods import PodView
from jobman.jobs.state import JobView
from jobman.kube import labels
from jobman.kube.client import Client
from jobman.kube.objects import Job, Pod
from jobman.kube.resources import JOBS, PODS
from jobman.kube.watch import Watch


class LiveJobs:
    """Used in a `with`. `version` grows with each change; `wait` returns after the next one.

    `jobs` and `pods` (by their Job's uid, then by name) are for the thread that waits; a deleted
    Job is in `deleted` with what it was last. What ended a watch is raised by `wait`.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        selector: str | None = None,
        job_selector: str | None = None,
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self.deleted: dict[str, Job] = {}
        self.pods: dict[str, dict[str, Pod]] = defaultdict(dict)
        self.version = 0
        where: dict[str, Any] = {"namespace": namespace, "all_namespaces": all_namespaces}
        self._client = client
        self._of_jobs = where | {"labels": _both(selector, job_selector)}
        self._of_pods = where | {"labels": _both(selector, labels.JOB_NAME)}
        self._changed = threading.Condition()
        self._changes: list[tuple[str, Job | Pod]] = []
        self._touched = 0
        self._error: JobmanError | None = None
        self._watches: list[Watch[Any]] = []

    def __enter__(self) -> LiveJobs:
        pods = self._client.list(PODS, **self._of_pods)
        jobs = self._client.list(JOBS, **self._of_jobs)
        first: list[Job | Pod] = [*jobs.items, *pods.items]
        for found in first:
            self._take("ADDED", found)
        self._watch(JOBS, jobs, self._of_jobs)
        self._watch(PODS, pods, self._of_pods)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for watch in self._watches:
            watch.close()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a change, and take in all that have come; False where none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes or self._touched or self._error, timeout_s)
            changes, self._changes = self._changes, []
            touched, self._touched = self._touched, 0
            error = self._error
        for change, found in changes:
            self._take(change, found)
        self.version += touched
        if error is not None:
            raise error
        return bool(changes or touched)

    def touch(self) -> None:
        """Count as a change what whoever waits looks at besides; from any thread."""
        with self._changed:
            self._touched += 1
            self._changed.notify_all()

    def view(self, uid: str, *, now: datetime) -> JobView:
        """The job's state; of a deleted job what it had come to."""
        job = self.jobs.get(uid) or self.deleted[uid]
        return state.of(job, list(self.pods.get(uid, {}).values()), now=now)

    def pod_views(self, *, now: datetime) -> Mapping[str, list[PodView]]:
        """The views of all pods by their Job's uid."""
        return {
            uid: [pod_views.view(pod, now=now) for pod in pods.values()]
            for uid, pods in self.pods.items()
        }

    def _watch(self, resource: Any, known: Any, where: dict[str, Any]) -> None:
        watch = self._client.watch(
            resource, resource_version=known.resource_version, known=known.items, **where
        )
        self._watches.append(watch)
        threading.Thread(target=self._read, args=(watch,), daemon=True, name="watch").start()

    def _read(self, watch: Watch[Any]) -> None:
        try:
            for change in watch:
                with self._changed:
                    self._changes.append((change.type, change.object))
                    self._changed.notify_all()
        except JobmanError as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _take(self, change: str, found: Job | Pod) -> None:
        self.version += 1
        if isinstance(found, Job):
            self._take_job(change, found)
            return
        owner = found.metadata.controller
        if owner is None:
            return
        if change == "DELETED":
            self.pods[owner.uid].pop(found.metadata.name, None)
        else:
            self.pods[owner.uid][found.metadata.name] = found

    def _take_job(self, change: str, job: Job) -> None:
        uid = job.metadata.uid
        if change == "DELETED":
            self.jobs.pop(uid, None)
            self.deleted[uid] = job
        else:
            self.jobs[uid] = job


def _both(one: str | None, other: str | None) -> str | None:
    return ",".join(part for part in (one, other) if part) or None
