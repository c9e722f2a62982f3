"""Suspending a job and letting it go on; `stop` brings its logs home first.

Suspending a running Job deletes its pods, and their logs with them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobman.errors import ApiNotFoundError, JobmanError, UnavailableError, UnreachableError
from jobman.jobs import containers
from jobman.jobs.logs import LogCopy, Sink, check_is_log, copy_log
from jobman.jobs.pods import PodView, main_container
from jobman.jobs.standing import Standing
from jobman.kube.client import Client
from jobman.kube.logstream import LogStream
from jobman.kube.objects import Job, Pod
from jobman.kube.resources import JOBS, PODS

PATIENCE_S = 30.0
"""How long a log that is not read to its end may be silent."""

_GRACE_S = 30
_ENDING_S = 5
_SETTLE_S = 0.5
"""How long a container is given to be seen as ended after its log did."""


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


@dataclass(frozen=True)
class Stopped:
    """How a job was stopped.

    `lacking` are the pods whose logs may lack something; `doubt` is why nobody knows whether the
    job is suspended: the cluster did not answer.
    """

    lacking: frozenset[str]
    doubt: JobmanError | None = None


def stop(
    client: Client,
    found: Standing,
    sink_of: Callable[[PodView], Sink],
    *,
    patience_s: float = PATIENCE_S,
) -> Stopped:
    """Suspend a running job while its pods' logs are followed to their ends.

    Nothing is suspended before each log is read as far as it was written; raises JobmanError
    where one cannot be, or nothing of it comes for `patience_s`, and where the cluster refuses:
    then nothing is lost. What goes wrong later is told in the answer.
    """
    followers = [_Follower(client, pod, sink_of(view)) for pod, view in found.started()]
    try:
        for follower in followers:
            follower.thread.start()
        for follower in followers:
            follower.catch_up(patience_s)
        for follower in followers:
            follower.require_all_so_far()
        doubt = _suspended(client, found.job)
        limit_s = 0 if doubt else _grace_s([follower.pod for follower in followers]) + patience_s
        for follower in followers:
            follower.thread.join(limit_s)
        lacking = [follower.pod.metadata.name for follower in followers if not follower.whole]
    finally:
        for follower in followers:
            follower.close()
    return Stopped(frozenset(lacking), doubt)


def _suspended(client: Client, job: Job) -> JobmanError | None:
    """Suspend it; why nobody knows whether that was done."""
    try:
        suspend(client, job)
    except (UnreachableError, UnavailableError) as error:
        return error
    return None


class _Follower:
    """One pod's log, read in a thread until the pod ends."""

    def __init__(self, client: Client, pod: Pod, sink: Sink) -> None:
        self.pod = pod
        self.thread = threading.Thread(target=self._run, daemon=True, name="log")
        self._client = client
        self._written = _written(client, pod)
        self._copy = LogCopy(sink)
        self._changed = threading.Condition()
        self._over = False
        self._closed = threading.Event()
        self._error: Exception | None = None
        self._stream: LogStream | None = None

    @property
    def whole(self) -> bool:
        """Whether the log was read to its end, from its beginning."""
        copy = self._copy
        return self._over and self._error is None and not (copy.lacks_head or copy.gap)

    def catch_up(self, patience_s: float) -> None:
        """Return when all that had been written at the beginning is read, or no more comes.

        Of a log that its node rotates meanwhile, less may come than had been written.
        """
        with self._changed:
            while self._copy.size < self._written and not self._over:
                if not self._changed.wait(patience_s):
                    return

    def require_all_so_far(self) -> None:
        """Raise JobmanError unless it has caught up."""
        if self._error is not None or self._copy.size < self._written:
            name = self.pod.metadata.name
            why = self._error or f"{self._copy.size} of {self._written} bytes came"
            raise JobmanError(f"the log of pod {name} cannot be read, nothing is stopped: {why}")

    def close(self) -> None:
        """End the reading."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()
        if self.thread.ident is not None:
            self.thread.join(_ENDING_S)

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - told by `catch_up`, and by `whole`
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _read(self) -> None:
        """Until the container has ended: a clean end of the stream may come earlier."""
        self._copy_stream(follow=True)
        with suppress(ApiNotFoundError):  # what is gone has ended
            while not self._has_ended():
                if self._closed.wait(_SETTLE_S):
                    return
                self._copy.reconnect()
                self._copy_stream(follow=True)
            self._copy.reconnect()
            self._copy_stream(follow=False)
        self._copy.end()

    def _copy_stream(self, *, follow: bool) -> None:
        meta, since = self.pod.metadata, self._copy.point.since_time
        with self._client.log(
            meta.name,
            namespace=meta.namespace,
            container=main_container(self.pod),
            timestamps=True,
            follow=follow,
            since_time=since,
        ) as stream:
            self._stream = stream
            self._copy.lacks_head |= stream.lacks_head and since is None
            for chunk in stream:
                with self._changed:
                    check_is_log(chunk, self._copy, meta.name)
                    self._copy.feed(chunk)
                    self._changed.notify_all()

    def _has_ended(self) -> bool:
        meta = self.pod.metadata
        pod = self._client.get(PODS, meta.name, namespace=meta.namespace)
        container = containers.status(pod, main_container(pod))
        return bool(container and container.state.terminated)


class _Nowhere:
    def write(self, data: bytes, /) -> None: ...
    def flush(self) -> None: ...


def _written(client: Client, pod: Pod) -> int:
    """How many bytes of log there are by now, an unfinished line counted."""
    copy = LogCopy(_Nowhere())
    copy_log(client, pod, copy, tail=None, since_s=None)
    return copy.size


def _grace_s(pods: Sequence[Pod]) -> float:
    """How long the slowest of them may take to end."""
    graces = [pod.spec.termination_grace_period_seconds for pod in pods]
    return max((_GRACE_S if g is None else g for g in graces), default=0)
