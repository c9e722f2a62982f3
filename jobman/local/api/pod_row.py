"""A pod in one row: the words that kubectl prints for its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]


class Containers:
    """What the statuses of a pod's containers add up to."""

    def __init__(self, pod: Object) -> None:
        spec, status = pod.get("spec", {}), pod.get("status", {})
        self._sidecars = {
            container.get("name")
            for container in spec.get("initContainers", [])
            if container.get("restartPolicy") == "Always"
        }
        self._first = len(spec.get("initContainers", []))
        self.total = len(spec.get("containers", [])) + len(self._sidecars)
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""
        self.reason = _own_reason(status)
        initializing = self._read_first(status.get("initContainerStatuses", []))
        if not initializing or _is_true(status, "Initialized"):
            self._read_main(status)

    def _read_first(self, statuses: list[dict[str, Any]]) -> bool:
        """Take in the init containers; whether one of them is not through."""
        sidecars: list[dict[str, Any]] = []
        for index, each in enumerate(statuses):
            self._count_restarts(each)
            sidecar = each.get("name") in self._sidecars
            if sidecar:
                sidecars.append(each)
            state = each.get("state", {})
            ended = state.get("terminated")
            if ended is not None and ended.get("exitCode", 0) == 0:
                continue
            if sidecar and each.get("started"):
                self.ready += bool(each.get("ready"))
                continue
            self.reason = "Init:" + (
                _ended_reason(ended)
                if ended is not None
                else self._waiting_reason(state, f"{index}/{self._first}")
            )
            return True
        self.restarts, self.last_restart = 0, ""
        for each in sidecars:
            self._count_restarts(each)
        return False

    @staticmethod
    def _waiting_reason(state: Object, progress: str) -> str:
        reason = str(state.get("waiting", {}).get("reason", ""))
        return reason if reason not in ("", "PodInitializing") else progress

    def _read_main(self, status: Object) -> None:
        running = False
        for each in reversed(status.get("containerStatuses", [])):
            self._count_restarts(each)
            state = each.get("state", {})
            if state.get("waiting", {}).get("reason"):
                self.reason = state["waiting"]["reason"]
            elif "terminated" in state:
                self.reason = _ended_reason(state["terminated"])
            elif each.get("ready") and "running" in state:
                running = True
                self.ready += 1
        if self.reason == "Completed" and running:
            self.reason = "Running" if _is_true(status, "Ready") else "NotReady"

    def _count_restarts(self, each: Object) -> None:
        self.restarts += each.get("restartCount", 0)
        ended = each.get("lastState", {}).get("terminated", {}).get("finishedAt") or ""
        self.last_restart = max(self.last_restart, ended)


def state_word(pod: Object, containers: Containers) -> str:
    """The STATUS column."""
    status = pod.get("status", {})
    if pod.get("metadata", {}).get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return containers.reason


def gates(pod: Object) -> str:
    """The READINESS GATES column."""
    wanted = [gate.get("conditionType") for gate in pod.get("spec", {}).get("readinessGates", [])]
    met = {c.get("type") for c in _conditions(pod.get("status", {})) if c.get("status") == "True"}
    return f"{sum(each in met for each in wanted)}/{len(wanted)}" if wanted else "<none>"


def _own_reason(status: Object) -> str:
    gated = any(
        c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated"
        for c in _conditions(status)
    )
    return "SchedulingGated" if gated else str(status.get("reason") or status.get("phase", ""))


def _ended_reason(ended: Object) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _is_true(status: Object, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in _conditions(status))


def _conditions(status: Object) -> Iterator[dict[str, Any]]:
    yield from status.get("conditions", ())
