"""One pod's worker: looks at what is wanted and what is, does the next thing, tells the status.

Level-triggered: everything is decided from the pod object, the containers' directories and the
clock, so a worker of a new daemon goes on where that of a killed one stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from jobman.local import pod_deadline
from jobman.local.devices import GPU_ANNOTATION
from jobman.local.pod_report import Moment, Reporter
from jobman.local.pod_start import RETRY_S, Starter
from jobman.local.pod_state import CONFIG_ERROR, Host, Object, PodState
from jobman.local.pod_stop import Stopper
from jobman.local.runs import Runs
from jobman.local.stored import Record
from jobman.local.supervisor import Exit
from jobman.values.duration import parse_rfc3339

log = logging.getLogger(__name__)

_LOST_CODE = 137
# As a kubelet has it: a container may always say its last words.
_LEAST_GRACE_S = 2.0
# The time of a deletion is told in whole seconds, cut: nobody gets less than he was granted.
_CUT_S = 1.0


class PodWorker:
    """The worker of one pod; `run` ends when the pod is finished, or gone.

    A pod that is new has nothing on the disk yet.
    """

    def __init__(self, host: Host, pod: Object, *, is_new: bool = False) -> None:
        self._host = host
        self._is_new = is_new
        self._woken = asyncio.Event()
        self._gone_at: float | None = None
        self._verdict_at: float | None = None
        self._trouble = ""
        uid = pod["metadata"]["uid"]
        self.state = PodState(pod=pod, directory=host.pod_root / uid, runs={})
        for container in self.state.containers:
            name = container["name"]
            # Nothing leads back to a worker that is over, so all of it is freed at once.
            runs = Runs(host.supervisor, self.state.directory, name, self._woken.set)
            self.state.runs[name] = runs
        self._report = Reporter(host, self.state)
        self._start = Starter(host, self.state, self._report)
        self._stop = Stopper(self.state, self._report)

    def wake(self) -> None:
        """Something has changed: look again."""
        self._woken.set()

    def changed(self, record: Record) -> None:
        """The pod is another one in the API now; what the worker writes itself it knows."""
        if not self._report.writing:
            self.state.pod = record.object()
            self.wake()

    def gone(self) -> None:
        """The pod is no longer in the API: end what is left of it."""
        self._gone_at = time.time()
        self.wake()

    @property
    def is_gone(self) -> bool:
        """Whether the pod is no longer in the API."""
        return self._gone_at is not None

    @property
    def waits_for_config(self) -> bool:
        """Whether a ConfigMap or Secret that appears may let it go on."""
        reasons = (reason for reason, _ in self.state.waiting.values())
        return self._start.mount_tries > 0 or CONFIG_ERROR in reasons

    async def run(self) -> None:
        """Until the pod is finished or gone."""
        if not self._is_new:
            self._restore()
        while not await self._look():
            pass

    async def _look(self) -> bool:
        """Do what is to be done now and wait for more; whether nothing is left to do."""
        self._woken.clear()
        try:
            again_s = await self._sync()
            self._trouble = ""
        except Exception as error:
            log.exception("pod %s", self.state.full_name)
            self._tell_trouble(f"error syncing pod: {type(error).__name__}: {error}")
            again_s = RETRY_S
        if again_s is None and self._is_done():
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(again_s):
                await self._woken.wait()
        return False

    def _tell_trouble(self, text: str) -> None:
        """Tell it on the pod, once as long as it stays."""
        if text != self._trouble:
            self._report.pod_event("Warning", "FailedSync", text)
            self._trouble = text

    def _is_done(self) -> bool:
        return not self.state.anything_runs and (self.is_gone or self.state.final)

    def _restore(self) -> None:
        """What an earlier daemon left of this pod; what it began and is not there is lost."""
        state = self.state
        status = state.pod.get("status", {})
        told = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        begun = {s["name"]: s["restartCount"] for s in told if s.get("containerID")}
        for name, runs in state.runs.items():
            runs.restore()
            if name in begun and not runs.started and not state.final:
                runs.number = begun[name]
                runs.ended = Exit(_LOST_CODE, 0, time.time_ns(), lost=True)
            state.sandbox = state.sandbox or runs.started
        if GPU_ANNOTATION in state.pod["metadata"].get("annotations", {}):
            state.gpus = self._host.devices.given.get(state.uid, ())

    async def _sync(self) -> float | None:
        """Do what is to be done now; seconds until it must be looked at again, if ever."""
        if self._gone_at is not None:
            return self._stop.bring_down(self._gone_at + _LEAST_GRACE_S, silent=True)
        if "deletionTimestamp" in self.state.pod["metadata"]:
            return self._delete()
        if self.state.final:
            return self._stop.bring_down(time.time())
        left_s = self._deadline_left_s()
        if self.state.verdict is None and left_s is not None and left_s <= 0:
            self.state.verdict = pod_deadline.EXCEEDED
            self._verdict_at = time.time()
            self._report.pod_event("Normal", *pod_deadline.EXCEEDED)
        if self._verdict_at is not None:
            return self._end(self._verdict_at + self._grace_s())
        again_s = await self._advance()
        return _earlier(again_s, self._deadline_left_s())

    def _deadline_left_s(self) -> float | None:
        at = pod_deadline.at(self.state.pod)
        return None if at is None or self.state.final else at - time.time()

    def _grace_s(self) -> float:
        given = float(self.state.pod["spec"].get("terminationGracePeriodSeconds", 30))
        return max(given, _LEAST_GRACE_S)

    def _delete(self) -> float | None:
        """The pod is deleted: end it within its grace period, then take it out of the API."""
        metadata = self.state.pod["metadata"]
        if self.state.anything_runs:
            self._report.publish()
        granted_s = metadata.get("deletionGracePeriodSeconds", 0)
        begun_at = parse_rfc3339(metadata["deletionTimestamp"]).timestamp() - granted_s
        left_s = self._stop.bring_down(begun_at + max(granted_s, _LEAST_GRACE_S) + _CUT_S)
        if left_s is None:
            self._report.publish(Moment(stopped=True, deleted=True))
            self._host.pods.remove(self.state.pod)
        return left_s

    async def _advance(self) -> float | None:
        """Bring the pod up as far as it goes; seconds until a back-off ends."""
        if self.state.is_over():
            return self._end(time.time() + self._grace_s())
        if self.state.volumes is None:
            again_s = await self._start.prepare()
            if again_s is not None:
                return again_s
            if self._woken.is_set():  # it may be deleted meanwhile, or over its time
                return 0.0
        again_s = await self._start_due()
        if again_s == 0:
            self._report.publish_step()
        else:
            self._report.publish()
        return again_s

    async def _start_due(self) -> float | None:
        waits: list[float | None] = []
        for container in self.state.init_containers:
            if not self.state.has_initialized(container) or self.state.is_sidecar(container):
                waits.append(await self._start.start_if_due(container))
            if not self.state.has_initialized(container):
                return _earlier(*waits)
        if self.state.init_containers:
            self._report.publish_step()
        for container in self.state.pod["spec"]["containers"]:
            wait_s = await self._start.start_if_due(container)
            waits.append(wait_s)
        return _earlier(*waits)

    def _end(self, kill_at: float) -> float | None:
        """No container is to run again: end what still runs, then tell the last phase."""
        left_s = self._stop.bring_down(kill_at)
        if left_s is None and self._stop.began:
            self.state.sandbox = False
        if left_s is None:
            if self.state.verdict is None:
                self._report.publish_step()
            self._report.publish(Moment(stopped=True))
        else:
            self._report.publish()
        return left_s


def _earlier(*seconds: float | None) -> float | None:
    given = [s for s in seconds if s is not None]
    return min(given) if given else None
