"""Telling the API how a pod is: its status, written when it differs, and its events."""

from __future__ import annotations

from dataclasses import dataclass

from jobman.local import podstatus
from jobman.local.container_spec import termination_message
from jobman.local.moments import now, stamp_ns
from jobman.local.pod_state import Host, Object, PodState
from jobman.local.podstatus import ContainerView, PodView
from jobman.local.runs import Runs
from jobman.local.supervisor import Exit


@dataclass(frozen=True)
class Moment:
    """How a status is told: after the end of everything, of a deleted pod, or of a moment ago.

    `as_running` names a container that ran, and has ended before anybody looked;
    `crash_looping` one whose back-off is just over.
    """

    stopped: bool = False
    deleted: bool = False
    as_running: str = ""
    crash_looping: str = ""


NOW = Moment()


class Reporter:
    """Tells of one pod."""

    def __init__(self, host: Host, state: PodState) -> None:
        self._host = host
        self._state = state
        self.writing = False

    def event(self, container: Object, kind: str, reason: str, message: str) -> None:
        """An event about one container."""
        of = "initContainers" if self._state.is_init(container) else "containers"
        field = f"spec.{of}{{{container['name']}}}"
        self._host.pods.event(self._state.pod, kind, reason, message, field)

    def pod_event(self, kind: str, reason: str, message: str) -> None:
        """An event about the pod as a whole."""
        self._host.pods.event(self._state.pod, kind, reason, message)

    def publish(self, moment: Moment = NOW) -> None:
        """Tell the status; nothing is written when it is the one already told."""
        state = self._state
        views = tuple(self._view(container, moment) for container in state.containers)
        view = PodView(
            containers=views,
            sandbox=state.sandbox,
            with_address=any(v.container_id for v in views) or bool(state.waiting),
            stopped=moment.stopped,
            verdict=state.verdict,
        )
        status = podstatus.status(state.pod, view, now())
        told = state.pod.get("status", {})
        if told | status == told:
            return
        self.writing = True
        try:
            written = self._host.pods.write_status(state.pod, status)
        finally:
            self.writing = False
        if written is not None:
            state.pod = written

    def publish_step(self, moment: Moment = NOW) -> None:
        """Tell a step that lasts no time; left out when there is much to do."""
        if not self._host.hurried():
            self.publish(moment)

    def _view(self, container: Object, moment: Moment) -> ContainerView:
        name = container["name"]
        runs = self._state.runs[name]
        state, last = self._states(container, runs)
        if name == moment.as_running and runs.ended is not None:
            state = {"running": {"startedAt": stamp_ns(runs.ended.started_ns)}}
        if name == moment.crash_looping:
            last = state if "terminated" in state else last
            state = podstatus.waiting(*self._state.waiting[name])
        if moment.deleted and "waiting" in state and not last:
            state = podstatus.never_located()
        shown = self._container_id(name, runs.number) if runs.started else ""
        init = self._state.is_init(container)
        return ContainerView(name, container, state, last, runs.restart_count, shown, init)

    def _states(self, container: Object, runs: Runs) -> tuple[Object, Object]:
        """(state, lastState) of a container."""
        name = container["name"]
        last: Object = {}
        if runs.previous is not None:
            last = self._terminated(container, runs, runs.previous, runs.number - 1)
        if runs.current is not None:
            return {"running": {"startedAt": stamp_ns(runs.current.started_ns)}}, last
        if runs.ended is not None:
            ended = self._terminated(container, runs, runs.ended, runs.number)
            again = self._state.should_run(container) and self._state.verdict is None
            if runs.ended.error and again:
                error = podstatus.RUN_ERROR.format(runs.ended.error)
                return podstatus.waiting("RunContainerError", error), ended
            return ended, last
        if name in self._state.waiting:
            return podstatus.waiting(*self._state.waiting[name]), last
        reason = "PodInitializing" if self._state.init_containers else "ContainerCreating"
        return podstatus.waiting(reason), last

    def _terminated(self, container: Object, runs: Runs, ended: Exit, number: int) -> Object:
        message = termination_message(container, runs.directory_of(number), ended)
        return podstatus.terminated(ended, self._container_id(container["name"], number), message)

    def _container_id(self, name: str, number: int) -> str:
        return podstatus.container_id(self._state.uid, name, number)
