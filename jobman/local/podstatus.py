"""What a kubelet says of a pod: a pure function from its containers' states to its status.

States, conditions and their wording are Kubernetes' own, in its field order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from jobman.local.moments import stamp_ns
from jobman.local.restart_policy import restarts_after
from jobman.local.supervisor import LOST_MESSAGE, Exit

Object = dict[str, Any]

HOST_IP = "127.0.0.1"
RUNTIME = "local"
RUN_ERROR = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: {}: unknown"
)
_KUBELET_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)


class ContainerView(msgspec.Struct, frozen=True):
    """One container as it is: `state` and `last` are ContainerStates, `run` counts restarts."""

    name: str
    spec: Object
    state: Object
    last: Object = {}
    run: int = 0
    container_id: str = ""
    init: bool = False

    @property
    def sidecar(self) -> bool:
        """An init container that runs beside the others."""
        return self.init and self.spec.get("restartPolicy") == "Always"

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return "running" in self.state

    @property
    def succeeded(self) -> bool:
        """Whether it has ended with 0."""
        terminated = self.state.get("terminated")
        return terminated is not None and terminated["exitCode"] == 0

    @property
    def failed(self) -> bool:
        """Whether it has ended otherwise."""
        terminated = self.state.get("terminated")
        return terminated is not None and terminated["exitCode"] != 0

    def restarts(self, pod_policy: str) -> bool:
        """Whether it has ended and is to be started again."""
        ended = self.state.get("terminated")
        return ended is not None and restarts_after(self.spec, pod_policy, ended["exitCode"])

    @property
    def ready(self) -> bool:
        """An init container is ready when it is done, all others while they run."""
        return self.succeeded if self.init and not self.sidecar else self.running


class PodView(msgspec.Struct, frozen=True):
    """A pod's containers and what its worker has done: init containers first, in order.

    `sandbox`: volumes and the like are there. `stopped`: nothing of it runs, nor ever will.
    `verdict`: (reason, message) of a pod that the kubelet itself has ended.
    """

    containers: tuple[ContainerView, ...]
    sandbox: bool = False
    with_address: bool = False
    stopped: bool = False
    verdict: tuple[str, str] | None = None


def container_id(pod_uid: str, name: str, run: int) -> str:
    """A name for one run of a container, the same whenever it is asked for."""
    digest = hashlib.sha256(f"{pod_uid}/{name}/{run}".encode()).hexdigest()
    return f"{RUNTIME}://{digest}"


def waiting(reason: str, message: str = "") -> Object:
    """A ContainerState."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def terminated(ended: Exit, container: str, message: str | None = None) -> Object:
    """The ContainerState of a run that is over."""
    if ended.lost and not ended.started_ns:
        return never_located()
    facts: Object = {"exitCode": ended.code, "reason": _reason(ended)}
    text = RUN_ERROR.format(ended.error) if ended.error else message
    if ended.lost:
        text = LOST_MESSAGE
    if text:
        facts["message"] = text
    facts["startedAt"] = stamp_ns(ended.started_ns)
    facts["finishedAt"] = stamp_ns(ended.finished_ns)
    facts["containerID"] = container
    return {"terminated": facts}


def never_located() -> Object:
    """The ContainerState of a container that ended before it was ever started."""
    facts = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": LOST_MESSAGE}
    return {"terminated": facts | {"startedAt": None, "finishedAt": None}}


def _reason(ended: Exit) -> str:
    if ended.lost:
        return "ContainerStatusUnknown"
    if ended.error:
        return "StartError"
    if ended.oom:
        return "OOMKilled"
    return "Completed" if ended.code == 0 else "Error"


def phase(view: PodView, restart_policy: str) -> str:
    """The phase that the containers' states add up to."""
    if view.verdict is not None:
        return "Failed"
    if view.stopped:
        return "Succeeded" if all(c.succeeded for c in _workers(view)) else "Failed"
    init = [c for c in view.containers if c.init and not c.sidecar]
    main = [c for c in view.containers if not c.init]
    if any(c.failed and not c.restarts(restart_policy) for c in init):
        return "Failed"
    if not all(c.succeeded for c in init):
        return "Pending"
    if any("waiting" in c.state and not c.last for c in main):
        return "Pending"
    if any(c.running or "waiting" in c.state for c in main):
        return "Running"
    if any(c.sidecar and c.running for c in view.containers):
        return "Running"
    if any(c.restarts(restart_policy) for c in main):
        return "Running"
    return "Succeeded" if all(c.succeeded for c in main) else "Failed"


def _workers(view: PodView) -> list[ContainerView]:
    """The containers whose ends decide: all but sidecars."""
    return [c for c in view.containers if not c.sidecar]


def status(pod: Object, view: PodView, now: str) -> Object:
    """The whole status of the pod, on from the one it has.

    A phase that is final is told only when everything has stopped; the conditions tell it before.
    """
    old = pod.get("status", {})
    restart_policy = pod["spec"].get("restartPolicy", "Always")
    reached = phase(view, restart_policy)
    told = "Pending" if any(c.state == never_located() for c in view.containers) else reached
    generation = pod["metadata"].get("generation", 1)
    new: Object = {"observedGeneration": generation}
    new["phase"] = _told_phase(reached, old, view)
    new["conditions"] = _conditions(pod, view, told, now)
    if view.verdict is not None and view.stopped:
        new["message"], new["reason"] = view.verdict[1], view.verdict[0]
    new |= {"hostIP": HOST_IP, "hostIPs": [{"ip": HOST_IP}]}
    if view.with_address or old.get("podIP"):
        new |= {"podIP": HOST_IP, "podIPs": [{"ip": HOST_IP}]}
    new["startTime"] = old.get("startTime") or now
    if init := [container_status(c) for c in view.containers if c.init]:
        new["initContainerStatuses"] = init
    new["containerStatuses"] = [container_status(c) for c in view.containers if not c.init]
    return new | {"qosClass": old.get("qosClass", "BestEffort")}


def over(told: Object, status: Object) -> Object:
    """A new status, with what others have told and it does not speak of."""
    return status | {key: value for key, value in told.items() if key not in status}


def rejected(pod: Object, reason: str, message: str, now: str) -> Object:
    """The status of a pod that the kubelet does not take."""
    return {
        "observedGeneration": pod["metadata"].get("generation", 1),
        "phase": "Failed",
        "message": f"Pod was rejected: {message}",
        "reason": reason,
        "startTime": now,
        "qosClass": pod.get("status", {}).get("qosClass", "BestEffort"),
    }


def _told_phase(reached: str, old: Object, view: PodView) -> str:
    if reached in ("Succeeded", "Failed") and not view.stopped:
        return str(old.get("phase", "Pending"))
    return reached


def container_status(view: ContainerView) -> Object:
    """One entry of containerStatuses."""
    image = view.spec.get("image", "")
    told: Object = {
        "name": view.name,
        "state": view.state,
        "lastState": view.last,
        "ready": view.ready,
        "restartCount": view.run,
        "image": image,
        "imageID": f"{RUNTIME}://{image}" if view.container_id else "",
    }
    if view.container_id:
        told["containerID"] = view.container_id
    told["started"] = view.running
    resources = view.spec.get("resources") or {}
    if view.container_id:
        if requests := resources.get("requests"):
            told["allocatedResources"] = requests
        told["resources"] = resources
    return told


def _conditions(pod: Object, view: PodView, reached: str, now: str) -> list[Object]:
    generation = pod["metadata"].get("generation", 1)
    before = {c.get("type", ""): c for c in pod.get("status", {}).get("conditions", [])}
    containers = _readiness(view.containers, reached)
    ready = _gates_open(pod, before) if containers[0] else containers
    found: dict[str, tuple[bool, str, str]] = {
        "PodReadyToStartContainers": (view.sandbox and not view.stopped, "", ""),
        "Initialized": _initialized(view.containers, reached),
        "Ready": ready,
        "ContainersReady": containers,
        "PodScheduled": (True, "", ""),
    }
    told = [
        _condition(kind, found[kind], before.get(kind), generation, now)
        for kind in _KUBELET_CONDITIONS
    ]
    return told + [c for kind, c in before.items() if kind not in _KUBELET_CONDITIONS]


def _condition(
    kind: str, found: tuple[bool, str, str], before: Object | None, generation: int, now: str
) -> Object:
    holds, reason, message = found
    value = "True" if holds else "False"
    told_at = before.get("lastTransitionTime") if before and before.get("status") == value else None
    told: Object = {
        "type": kind,
        "observedGeneration": generation,
        "status": value,
        "lastProbeTime": None,
        "lastTransitionTime": told_at or now,
    }
    if reason:
        told["reason"] = reason
    if message:
        told["message"] = message
    return told


def _initialized(containers: Sequence[ContainerView], reached: str) -> tuple[bool, str, str]:
    if reached == "Succeeded":
        return True, "PodCompleted", ""
    # Sidecars that start again, or end last, do not undo it.
    if any(not c.init and "waiting" not in c.state for c in containers):
        return True, "", ""
    unfinished = [c.name for c in containers if c.init and not c.ready]
    if not unfinished:
        return True, "", ""
    message = f"containers with incomplete status: [{' '.join(unfinished)}]"
    return False, "ContainersNotInitialized", message


def _readiness(containers: Iterable[ContainerView], reached: str) -> tuple[bool, str, str]:
    if reached == "Succeeded":
        return False, "PodCompleted", ""
    if reached == "Failed":
        return False, "PodFailed", ""
    unready = [c.name for c in containers if (c.sidecar or not c.init) and not c.ready]
    if not unready:
        return True, "", ""
    message = f"containers with unready status: [{' '.join(unready)}]"
    return False, "ContainersNotReady", message


def _gates_open(pod: Object, conditions: dict[str, Object]) -> tuple[bool, str, str]:
    """Whether the conditions hold that others set, and that a pod is not ready without."""
    closed = []
    for gate in pod["spec"].get("readinessGates") or []:
        name = gate["conditionType"]
        if name not in conditions:
            closed.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif (value := conditions[name].get("status", "")) != "True":
            closed.append(f'the status of pod readiness gate "{name}" is not "True", but {value}')
    if not closed:
        return True, "", ""
    return False, "ReadinessGatesNotReady", ", ".join(closed)
