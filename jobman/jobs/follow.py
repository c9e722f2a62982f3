"""Following the logs of a job's pods, from before its start to its outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from jobman.errors import ApiNotFoundError, InvalidError, JobmanError
from jobman.jobs import pods as pod_views
from jobman.jobs.logs import LogCopy
from jobman.jobs.observe import Observation, Timeout
from jobman.jobs.pods import PodView
from jobman.jobs.state import JobView
from jobman.kube.client import Client
from jobman.kube.logstream import LogStream
from jobman.kube.objects import Pod

CHUNKS_AHEAD = 64
"""How many chunks of a log may wait to be written."""
OUTAGE_S = 300.0
"""How long a log that cannot be read is asked for again and again."""


@dataclass(frozen=True)
class Pauses:
    """How long what lags behind is given.

    `settle_s` to a container to be seen as ended after its log did; `retry_s` to a log that
    cannot be read, or not yet.
    """

    settle_s: float = 5.0
    retry_s: float = 1.0


@dataclass(frozen=True)
class _Source:
    """What each log is read with: `window` is for the first connection of a pod."""

    client: Client
    observation: Observation
    window: dict[str, int | None]
    pauses: Pauses


def follow(
    client: Client,
    job_name: str,
    namespace: str | None,
    *,
    out: BinaryIO,
    on_state: Callable[[JobView], None],
    timeout_s: float | None = None,
    tail: int | None = None,
    since_s: int | None = None,
    timestamps: bool = False,
    pauses: Pauses = Pauses(),
) -> JobView:
    """Copy the logs of the job's pods to `out` as they grow; the view of its outcome, or Stuck.

    Pods are read one after the other, in the order of their index. `on_state` is called with
    the first view and with each that differs from the one before; one with a pod that runs
    comes before the first byte of that pod's log. Raises WaitTimeoutError, and NotFoundError
    when the job is, or gets, deleted.
    """
    observation = Observation(client, job_name, namespace)
    timeout = Timeout(timeout_s, f"job {job_name} has not finished")
    source = _Source(client, observation, {"tail": tail, "since_s": since_s}, pauses)
    follower = _Follower(source, partial(LogCopy, out, timestamps=timestamps))
    with observation.watching(), closing(follower):
        view = observation.view()
        on_state(view)
        while follower.turn(view) or not observation.is_over(view, with_pods=True):
            if not follower.reading:
                observation.require_existing()
            observation.receive(timeout, follower.patience_s)
            view, before = observation.view(), view
            if view != before:
                on_state(view)
        return observation.outcome()


class _Follower:
    """Reads the logs of a job's pods, one after the other."""

    def __init__(self, source: _Source, new_copy: Callable[[], LogCopy]) -> None:
        self._source = source
        self._new_copy = new_copy
        self._logs: dict[str, _PodLog] = {}

    @property
    def reading(self) -> bool:
        """Whether a log is on its way."""
        return any(not log.done for log in self._logs.values())

    @property
    def patience_s(self) -> float:
        """How long to wait at most before the next turn."""
        return min((log.patience_s for log in self._logs.values() if not log.done), default=5.0)

    def turn(self, view: JobView) -> bool:
        """Go on with the log at hand, or begin the next; whether there is more to read."""
        if not self.reading:
            self._begin_next(view)
        for name, log in self._logs.items():
            if not log.done:
                log.turn(self._source.observation.pod(name))
        return self.reading or any(self._unread(pod) for pod in view.pods)

    def close(self) -> None:
        """Stop reading."""
        for log in self._logs.values():
            log.close()

    def _unread(self, pod: PodView) -> bool:
        return pod.has_started and pod.name not in self._logs

    def _begin_next(self, view: JobView) -> None:
        pod = next((pod for pod in view.pods if self._unread(pod)), None)
        if pod is not None:
            whole = self._source.observation.pods[pod.name]
            self._logs[pod.name] = _PodLog(self._source, whole, self._new_copy())


class _PodLog:
    """One pod's log over as many connections as it takes; each is read in a thread of its own.

    A connection's clean end says nothing: the pod tells whether it was the log's end. One that
    was opened after the container had ended is read to the end.
    """

    def __init__(self, source: _Source, pod: Pod, copy: LogCopy) -> None:
        self.done = False
        self._source = source
        self._pod = pod
        self._copy = copy
        self._connected = False
        self._opened_after_end = False
        self._look_at: float = 0.0
        self._stream: LogStream | None = None
        self._closed = False
        self._lost_since: float | None = None
        self._slots = threading.Semaphore(CHUNKS_AHEAD)

    @property
    def patience_s(self) -> float:
        """How long to wait at most before the next turn."""
        return 5.0 if self._connected else max(self._look_at - time.monotonic(), 0.01)

    def turn(self, pod: PodView | None) -> None:
        """Connect when there may be more; `pod` is None once it is gone."""
        ended = pod is None or pod.finished
        at_once = ended and self._lost_since is None
        if not self._connected and (at_once or time.monotonic() >= self._look_at):
            self._connect(ended)

    def close(self) -> None:
        """Stop reading; the connection's thread ends."""
        self._closed = True
        self._slots.release()
        if self._stream is not None:
            self._stream.close()

    def _connect(self, ended: bool) -> None:
        self._connected = True
        self._opened_after_end = ended
        query: dict[str, Any] = {"follow": not ended}
        since = self._copy.point.since_time
        query |= {"since_time": since} if since else self._source.window
        self._copy.reconnect()
        threading.Thread(target=self._read, args=(query,), daemon=True, name="log").start()

    def _read(self, query: dict[str, Any]) -> None:
        """In the connection's thread: what comes is posted to the thread that receives."""
        post = self._source.observation.post
        meta = self._pod.metadata
        container = pod_views.main_container(self._pod)
        try:
            with self._source.client.log(
                meta.name, namespace=meta.namespace, container=container, timestamps=True, **query
            ) as stream:
                self._stream = stream
                for chunk in stream:
                    self._slots.acquire()
                    if self._closed:
                        return
                    post(partial(self._on_chunk, chunk))
                post(self._on_end if stream.has_log else self._on_nothing_yet)
        except ApiNotFoundError:
            post(self._finish)
        except InvalidError:
            post(self._on_nothing_yet)
        except JobmanError as error:
            post(partial(self._on_loss, error))

    def _on_chunk(self, chunk: bytes) -> None:
        self._slots.release()
        self._lost_since = None
        self._copy.feed(chunk)

    def _on_end(self) -> None:
        if self._opened_after_end:
            self._finish()
        else:
            self._disconnected(self._source.pauses.settle_s)

    def _on_nothing_yet(self) -> None:
        """The pod's status is ahead of its log, or it never had one."""
        if self._opened_after_end:
            self._finish()
        else:
            self._disconnected(self._source.pauses.retry_s)

    def _on_loss(self, error: JobmanError) -> None:
        """A cut connection, or none at all: the first is not waited for."""
        now = time.monotonic()
        first, self._lost_since = self._lost_since is None, self._lost_since or now
        if now - self._lost_since > OUTAGE_S:
            raise error
        self._disconnected(0 if first else self._source.pauses.retry_s)

    def _disconnected(self, look_again_s: float) -> None:
        self._connected = False
        self._look_at = time.monotonic() + look_again_s

    def _finish(self) -> None:
        self._connected = False
        self._copy.end()
        self.done = True
