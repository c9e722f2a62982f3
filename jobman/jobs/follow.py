"""Following the logs of a job's pods, from before its start to its outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from jobman.errors import ApiNotFoundError, InvalidError, JobmanError
from jobman.jobs import containers, indexes
from jobman.jobs import pods as pod_views
from jobman.jobs.inbox import Act
from jobman.jobs.logs import LogCopy, Sink, check_is_log
from jobman.jobs.observe import Observation, Timeout
from jobman.jobs.observe_pods import PodsObservation
from jobman.jobs.pods import PodView
from jobman.jobs.rotation import lack
from jobman.jobs.state import JobView
from jobman.kube.client import Client
from jobman.kube.logstream import LogStream
from jobman.kube.objects import Pod
from jobman.values.enums import State

CHUNKS_AHEAD = 64
"""How many chunks of a log may wait to be written."""
OUTAGE_S = 300.0
"""How long a log that cannot be read is asked for again and again."""
TOGETHER = 32
"""How many pods are read at the same time, at most."""


OnIncomplete = Callable[[str, str], object]
"""Told the name of a pod, and why its log lacks something."""


@dataclass(frozen=True)
class Pauses:
    """How long what lags behind is given.

    `settle_s` to a container to be seen as ended after its log did; `retry_s` to a log that
    cannot be read, or not yet.
    """

    settle_s: float = 5.0
    retry_s: float = 1.0


@dataclass(frozen=True)
class Which:
    """Which logs: of the `container`, None the main one; of pods of these indexes, None of all.

    `together`: of all these pods at the same time, not of one after the other.
    """

    container: str | None = None
    indexes: frozenset[int] | None = None
    together: bool = False

    def includes(self, pod: PodView) -> bool:
        """Whether the pod's log is among them."""
        return self.indexes is None or pod.index in self.indexes


class _Observed(Protocol):
    """Pods by their names, and the thread that reads; `pod` is None for one that is gone."""

    pods: dict[str, Pod]

    def post(self, act: Act, /) -> None: ...
    def pod(self, name: str, /) -> PodView | None: ...


@dataclass(frozen=True)
class _Source:
    """What each log is read with: `window` is for the first connection of a pod."""

    client: Client
    observation: _Observed
    which: Which
    window: dict[str, int | None]
    pauses: Pauses
    on_incomplete: OnIncomplete | None


def follow(
    client: Client,
    job_name: str,
    namespace: str | None,
    *,
    out: Sink | Callable[[PodView], Sink],
    on_state: Callable[[JobView], None],
    on_incomplete: OnIncomplete | None = None,
    which: Which = Which(),
    timeout_s: float | None = None,
    tail: int | None = None,
    since_s: int | None = None,
    timestamps: bool = False,
    pauses: Pauses = Pauses(),
) -> JobView:
    """Copy the logs of the job's pods to `out` as they grow; the view of its outcome, or Stuck.

    Pods are read one after the other, in the order of their index, unless `which` says
    otherwise. `out` may be a function that gives each pod a sink of its own. `on_state` is called
    with the first view and with each that differs from the one before; one with a pod that runs
    comes before the first byte of that pod's log. Raises WaitTimeoutError, and NotFoundError when
    the job is, or gets, deleted.
    """
    observation = Observation(client, job_name, namespace)
    timeout = Timeout(timeout_s, f"job {job_name} has not finished")
    window = {"tail": tail, "since_s": since_s}
    source = _Source(client, observation, which, window, pauses, on_incomplete)
    follower = _Follower(source, partial(_copy_to, out, timestamps))
    with observation.watching(), closing(follower):
        view = observation.view()
        on_state(view)
        while follower.turn(view.pods) or not _is_over(observation, view, which):
            if not follower.reading:
                observation.require_existing()
            observation.receive(timeout, follower.patience_s)
            view, before = observation.view(), view
            if view != before:
                on_state(view)
        return observation.outcome()


def follow_pods(
    client: Client,
    observation: PodsObservation,
    *,
    out: Callable[[PodView], Sink],
    on_wait: Callable[[PodView], None],
    on_incomplete: OnIncomplete,
    which: Which = Which(),
    tail: int | None = None,
    since_s: int | None = None,
    timestamps: bool = False,
    pauses: Pauses = Pauses(),
) -> set[str]:
    """The same of pods without a Job: the names of those whose logs were read, to their ends.

    `on_wait` is told of the first pod that has yet to start, when no log is being read. One that
    can never start, or is deleted before, is not waited for.
    """
    window = {"tail": tail, "since_s": since_s}
    source = _Source(client, observation, which, window, pauses, on_incomplete)
    follower = _Follower(source, partial(_copy_to, out, timestamps))
    with observation.watching(), closing(follower):
        while True:
            views = observation.views()
            unread = follower.turn(views)
            waiting = [pod for pod in views if pod.name not in follower.begun and _may_start(pod)]
            if not (unread or waiting):
                return follower.begun
            if waiting and not follower.reading:
                on_wait(waiting[0])
            observation.receive(follower.patience_s)


def _may_start(pod: PodView) -> bool:
    return not (pod.finished or pod.leaving or pod.state is State.STUCK)


def _copy_to(out: Sink | Callable[[PodView], Sink], timestamps: bool, pod: PodView) -> LogCopy:
    return LogCopy(out(pod) if callable(out) else out, timestamps=timestamps)


def _is_over(observation: Observation, view: JobView, which: Which) -> bool:
    """Whether nothing more comes: of some indexes, when these are done."""
    if observation.is_over(view, with_pods=True):
        return True
    status = observation.job.status
    if which.indexes is None:
        return False
    done = indexes.told(status.completed_indexes) | indexes.told(status.failed_indexes)
    return which.indexes <= done


class _Follower:
    """Reads the logs of a job's pods."""

    def __init__(self, source: _Source, new_copy: Callable[[PodView], LogCopy]) -> None:
        self._source = source
        self._new_copy = new_copy
        self._logs: dict[str, _PodLog] = {}

    @property
    def begun(self) -> set[str]:
        """The pods whose logs are read, or were."""
        return set(self._logs)

    @property
    def reading(self) -> bool:
        """Whether a log is on its way."""
        return any(not log.done for log in self._logs.values())

    @property
    def patience_s(self) -> float:
        """How long to wait at most before the next turn."""
        return min((log.patience_s for log in self._logs.values() if not log.done), default=5.0)

    def turn(self, pods: Sequence[PodView]) -> bool:
        """Go on with the logs at hand, and begin the next; whether there is more to read."""
        self._begin(pods)
        for name, log in self._logs.items():
            if not log.done:
                log.turn(self._source.observation.pod(name))
        return self.reading or any(self._unread(pod) for pod in pods)

    def close(self) -> None:
        """Stop reading."""
        for log in self._logs.values():
            log.close()

    def _unread(self, pod: PodView) -> bool:
        if pod.name in self._logs or not self._source.which.includes(pod):
            return False
        container = self._source.which.container
        whole = self._source.observation.pods.get(pod.name)
        if container is None or whole is None:
            return pod.has_started
        return containers.has_run(whole, container)

    def _begin(self, pods: Sequence[PodView]) -> None:
        reading = sum(not log.done for log in self._logs.values())
        room = (TOGETHER if self._source.which.together else 1) - reading
        for pod in [pod for pod in pods if self._unread(pod)][: max(room, 0)]:
            whole = self._source.observation.pods[pod.name]
            self._logs[pod.name] = _PodLog(self._source, whole, self._new_copy(pod))


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
        self._cut = False
        self._container = source.which.container or pod_views.main_container(pod)
        self._run = containers.restarts(pod, self._container)
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
        self._pod = self._source.observation.pods.get(self._pod.metadata.name, self._pod)
        earlier = containers.restarts(self._pod, self._container) > self._run
        self._opened_after_end = ended and not earlier
        query: dict[str, Any] = {"previous": True} if earlier else {"follow": not ended}
        since = self._copy.point.since_time
        query |= {"since_time": since} if since else self._source.window
        self._copy.reconnect(cut=self._cut)
        threading.Thread(target=self._read, args=(query,), daemon=True, name="log").start()

    def _read(self, query: dict[str, Any]) -> None:
        """In the connection's thread: what comes is posted to the thread that receives."""
        post = self._source.observation.post
        meta = self._pod.metadata
        named: dict[str, Any] = {"namespace": meta.namespace, "container": self._container}
        over = self._on_run_over if query.get("previous") else None
        try:
            with self._source.client.log(meta.name, **named, timestamps=True, **query) as stream:
                self._stream = stream
                self._copy.lacks_head |= stream.lacks_head and "since_time" not in query
                for chunk in stream:
                    self._slots.acquire()
                    if self._closed:
                        return
                    post(partial(self._on_chunk, chunk))
                post(over or (self._on_end if stream.has_log else self._on_nothing_yet))
        except ApiNotFoundError:
            post(self._on_gone)
        except InvalidError:
            post(over or self._on_nothing_yet)
        except JobmanError as error:
            post(partial(self._on_loss, error))

    def _on_chunk(self, chunk: bytes) -> None:
        self._slots.release()
        check_is_log(chunk, self._copy, self._pod.metadata.name)
        before = self._copy.size
        self._copy.feed(chunk)
        self._cut = False
        if self._copy.size > before:
            self._lost_since = None

    def _on_end(self) -> None:
        if self._opened_after_end:
            self._finish()
        else:
            self._disconnected(self._source.pauses.settle_s)

    def _on_gone(self) -> None:
        """The pod was deleted: of a log that was never opened nothing is known."""
        name, tell = self._pod.metadata.name, self._source.on_incomplete
        if self._stream is None and tell:
            tell(name, f"pod {name} was deleted meanwhile, and its log with it")
        self._finish()

    def _on_run_over(self) -> None:
        """What was left of an earlier run is read: the next one has a log of its own."""
        self._copy.end()
        self._copy.begin_run()
        self._run = containers.restarts(self._pod, self._container)
        self._cut = False
        self._disconnected(0)

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
        self._cut = True
        if now - self._lost_since > OUTAGE_S:
            name = self._pod.metadata.name
            raise JobmanError(
                f"the log of pod {name} is incomplete: it cannot be read on: {error.message}",
                hint=error.hint,
            ) from error
        self._disconnected(0 if first else self._source.pauses.retry_s)

    def _disconnected(self, look_again_s: float) -> None:
        self._connected = False
        self._look_at = time.monotonic() + look_again_s

    def _finish(self) -> None:
        self._connected = False
        self._copy.end()
        self.done = True
        whole = all(limit is None for limit in self._source.window.values())
        why = lack(
            self._pod,
            self._container,
            self._copy,
            from_start=whole,
            exact=self._source.client.connection.embedded,
        )
        if why and self._source.on_incomplete:
            self._source.on_incomplete(self._pod.metadata.name, why)
