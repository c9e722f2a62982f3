"""Suspending a job and letting it go on; `stop` brings its logs home first.

Suspending a running Job deletes its pods, and their logs with them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from jobman.errors import JobmanError
from jobman.jobs.logs import LogCopy, Sink, copy_log
from jobman.jobs.pods import PodView, main_container
from jobman.jobs.standing import Standing
from jobman.kube.client import Client
from jobman.kube.objects import Job, Pod
from jobman.kube.resources import JOBS

_GRACE_S = 30
_PATIENCE_S = 30


def suspend(client: Client, job: Job) -> None:
    """Let the job make no pods; those that it has are deleted."""
    _set(client, job, True)


def release(client: Client, job: Job) -> None:
    """Let the job make its pods."""
    _set(client, job, False)


def _set(client: Client, job: Job, suspended: bool) -> None:
    meta = job.metadata
    patch = {"metadata": {"uid": meta.uid}, "spec": {"suspend": suspended}}
    client.patch(JOBS, meta.name, patch, namespace=meta.namespace)


def stop(client: Client, found: Standing, sink_of: Callable[[PodView], Sink]) -> list[str]:
    """Suspend a running job while its pods' logs are followed to their ends.

    Returns the pods whose logs may lack something. Nothing is suspended before each log is read
    as far as it was written; raises JobmanError where one cannot be.
    """
    followers = [_Follower(client, pod, sink_of(view)) for pod, view in found.started()]
    try:
        for follower in followers:
            follower.thread.start()
        for follower in followers:
            follower.catch_up()
        suspend(client, found.job)
        limit_s = _limit_s([follower.pod for follower in followers])
        for follower in followers:
            follower.thread.join(limit_s)
    finally:
        for follower in followers:
            follower.close()
    return [follower.pod.metadata.name for follower in followers if not follower.whole]


class _Follower:
    """One pod's log, read in a thread until the pod ends."""

    def __init__(self, client: Client, pod: Pod, sink: Sink) -> None:
        self.pod = pod
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._client = client
        self._written = _written(client, pod)
        self._copy = LogCopy(sink)
        self._changed = threading.Condition()
        self._over = False
        self._error: JobmanError | None = None
        self._stream: object = None

    @property
    def whole(self) -> bool:
        """Whether the log was read to its end, from its beginning."""
        copy = self._copy
        return self._over and self._error is None and not (copy.lacks_head or copy.gap)

    def catch_up(self) -> None:
        """Return when all that had been written at the beginning is read."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._copy.size >= self._written)
        if self._copy.size < self._written:
            name = self.pod.metadata.name
            why = self._error.message if self._error else "it ended early"
            raise JobmanError(f"the log of pod {name} cannot be read, nothing is stopped: {why}")

    def close(self) -> None:
        """End the reading."""
        close = getattr(self._stream, "close", None)
        if self.thread.is_alive() and close is not None:
            close()

    def _run(self) -> None:
        meta = self.pod.metadata
        try:
            with self._client.log(
                meta.name,
                namespace=meta.namespace,
                container=main_container(self.pod),
                timestamps=True,
                follow=True,
            ) as stream:
                self._stream = stream
                self._copy.lacks_head = stream.lacks_head
                for chunk in stream:
                    with self._changed:
                        self._copy.feed(chunk)
                        self._changed.notify_all()
                self._copy.end()
        except JobmanError as error:
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()


class _Nowhere:
    def write(self, data: bytes, /) -> None: ...
    def flush(self) -> None: ...


def _written(client: Client, pod: Pod) -> int:
    """How many bytes of log there are by now, an unfinished line left out."""
    copy = LogCopy(_Nowhere())
    copy_log(client, pod, copy, tail=None, since_s=None)
    return copy.size


def _limit_s(pods: Sequence[Pod]) -> float:
    graces = [pod.spec.termination_grace_period_seconds for pod in pods]
    return max((_GRACE_S if g is None else g for g in graces), default=0) + _PATIENCE_S
