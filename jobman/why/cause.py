"""Why one pod failed. Pure.

The pod's own status outranks its containers': a pod that was evicted says so there, while its
containers say only that they were killed.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobman.jobs.pods import PodView
from jobman.kube.objects import Container, ContainerStateTerminated, ContainerStatus, Pod

LONGEST = 400
"""How much of a foreign message a sentence repeats, in characters."""
SIGBUS = 135
_SHORT_OF = re.compile(r"low on resource: ([\w./-]+?)\.(?:\s|$)|condition: \[(\w+)\]")
_STORAGE = re.compile(r"ephemeral|EmptyDir|DiskPressure", re.IGNORECASE)
_EXEC = re.compile(r'exec: "(.*?)": (.*?)(?:: unknown)?$', re.DOTALL)
_RUNTIME = re.compile(r".*(?:unable to start container process|container init): ", re.DOTALL)
_KNOWN_CODES = {
    126: "the command is there but cannot be executed: no permission, or no program",
    127: "command not found",
    128: "not an exit code a program should give",
    132: "an instruction that this node's CPU does not have",
    134: "it aborted itself, as after a failed assertion",
    SIGBUS: "bus error, often /dev/shm too small",
    136: "an arithmetic error, as a division by zero",
    137: "killed from outside, or by the kernel",
    139: "segmentation fault",
    143: "it was asked to stop",
}
_DISRUPTIONS = {
    "PreemptionByScheduler": ("preempted", "its pod{on} was preempted by one of higher priority"),
    "EvictionByEvictionAPI": ("evicted", "its pod{on} was evicted on demand, as to drain the node"),
    "DeletionByTaintManager": ("node-lost", "its node{of} was tainted, and the pod driven off"),
    "DeletionByPodGC": ("node-lost", "its node{of} is gone"),
    "TerminationByKubelet": ("evicted", "its pod{on} was ended by the node itself"),
}
_POD_REASONS = {
    "NodeLost": ("node-lost", "its node{of} was lost"),
    "NodeShutdown": ("node-lost", "its node{of} was shut down"),
    "Terminated": ("node-lost", "its node{of} was shut down"),
    "Shutdown": ("node-lost", "its node{of} was shut down"),
    "Preempting": ("preempted", "its pod{on} made room for a critical one"),
    "Preempted": ("preempted", "its pod{on} made room for one of higher priority"),
}


@dataclass(frozen=True)
class Cause:
    """`text` says what happened in a clause; causes of one `kind` and `text` are the same.

    `resource` is what there was too little of, `container` the one that decided, `said` the whole
    message that stands behind it.
    """

    kind: str
    text: str
    resource: str = field(default="", compare=False)
    container: str = field(default="", compare=False)
    exit_code: int | None = field(default=None, compare=False)
    said: str = field(default="", compare=False)


def of(pod: Pod, view: PodView | None = None) -> Cause:
    """Why the pod failed, as far as its status tells; `view` says what else is known."""
    return (
        _by_pod(pod)
        or _by_disruption(pod)
        or _by_container(pod)
        or _unknown(view.reason if view else "", view.message if view else pod.status.message)
    )


def short(text: str) -> str:
    """A foreign message as part of a sentence: one line, not too long."""
    line = " ".join(text[: 4 * LONGEST].split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def period(seconds: int) -> str:
    """`2h30m`, to the second, as `--time-limit` takes it."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _by_pod(pod: Pod) -> Cause | None:
    reason, message = pod.status.reason, pod.status.message
    if not reason:
        return None
    if reason == "DeadlineExceeded":
        limit = pod.spec.active_deadline_seconds
        what = f"its time limit of {period(limit)}" if limit is not None else "its time limit"
        return Cause("deadline", f"it ran longer than {what}", said=message)
    if reason == "Evicted":
        return _evicted(pod)
    if reason in _POD_REASONS:
        return _placed(pod, *_POD_REASONS[reason], message)
    if reason.startswith("OutOf") or message.startswith("Pod was rejected"):
        on = f"node {pod.spec.node_name}" if pod.spec.node_name else "its node"
        text = f"{on} rejected its pod ({short(reason)}): {short(message)}".rstrip(": ")
        return Cause("rejected", text, resource=reason.removeprefix("OutOf"), said=message)
    return None


def _evicted(pod: Pod) -> Cause:
    """The kubelet threw the pod out: its node ran short, or it took more than its limit."""
    message = pod.status.message
    found = _SHORT_OF.search(message)
    lacking = (found[1] or found[2]) if found else ""
    if _STORAGE.search(lacking or message):
        resource = "ephemeral-storage"
    else:
        resource = "memory" if "memory" in lacking.lower() else ""
    text = f"its pod was evicted from{_node(pod) or ' its node'}: {short(message)}".rstrip(": ")
    return Cause("evicted", text, resource=resource, said=message)


def _by_disruption(pod: Pod) -> Cause | None:
    for condition in pod.status.conditions:
        if condition.type == "DisruptionTarget" and condition.true:
            known = _DISRUPTIONS.get(condition.reason)
            if known:
                return _placed(pod, *known, condition.message)
            said = f"{condition.reason}: {condition.message}".strip(": ")
            return Cause("disrupted", f"its pod was driven off: {short(said)}".rstrip(": "))
    return None


def _placed(pod: Pod, kind: str, pattern: str, message: str) -> Cause:
    node = _node(pod)
    text = pattern.replace("{on}", f" on{node}" if node else "").replace("{of}", node)
    return Cause(kind, text, said=message)


def _node(pod: Pod) -> str:
    return f" {short(pod.spec.node_name)}" if pod.spec.node_name else ""


def _by_container(pod: Pod) -> Cause | None:
    """What the container that ended first, of those that failed, tells."""
    ended = [
        (status, state, what)
        for what, statuses in (
            ("init container", pod.status.init_container_statuses),
            ("container", pod.status.container_statuses),
        )
        for status in statuses
        if (state := _end(status)) and (state.exit_code != 0 or state.reason == "OOMKilled")
    ]
    if not ended:
        return None
    status, state, what = min(ended, key=lambda entry: entry[1].finished_at or _NEVER)
    asked = next((c for c in _containers(pod) if c.name == status.name), Container())
    tell = _BY_REASON.get(state.reason, _exited)
    return tell(f"{what} {short(status.name)}".rstrip(), asked, state)


def _end(status: ContainerStatus) -> ContainerStateTerminated | None:
    return status.state.terminated or status.last_state.terminated


def _containers(pod: Pod) -> list[Container]:
    return [*pod.spec.init_containers, *pod.spec.containers]


def _oom(what: str, asked: Container, ended: ContainerStateTerminated) -> Cause:
    limit = amounts(asked).get("memory") if asked.resources.limits else None
    if limit:
        text = f"{what} was OOMKilled: it needs more than its memory limit of {short(limit)}"
    else:
        text = f"{what} was OOMKilled, without a memory limit of its own: its node ran out"
    return Cause(
        "oom",
        text,
        resource="memory",
        container=asked.name,
        exit_code=ended.exit_code,
        said=ended.message,
    )


def _not_started(what: str, asked: Container, ended: ContainerStateTerminated) -> Cause:
    """The runtime could not start the process; its message names the file."""
    message = ended.message.strip()
    text = f"{what} could not start: {of_runtime(message) or short(ended.reason)}"
    code = ended.exit_code
    return Cause("not-started", text, container=asked.name, exit_code=code, said=message)


def of_runtime(message: str) -> str:
    """What the runtime says of a process that it could not start, without its own steps."""
    found = _EXEC.search(message[:5000])
    if found:
        return f"{short(found[1])}: {short(found[2].rpartition(': ')[2])}"
    return short(_RUNTIME.sub("", message[:5000]).removesuffix(": unknown"))


def _exited(what: str, asked: Container, ended: ContainerStateTerminated) -> Cause:
    code = ended.exit_code
    meaning = ", ".join(part for part in (_signal(code), _KNOWN_CODES.get(code, "")) if part)
    text = f"{what} ended with exit code {code}" + (f" ({meaning})" if meaning else "")
    return Cause("exit", text, container=asked.name, exit_code=code, said=ended.message.strip())


def _signal(code: int) -> str:
    try:
        return signal.Signals(code - 128).name if code > 128 else ""
    except ValueError:
        return ""


def _unknown(reason: str, message: str) -> Cause:
    said = f"{short(reason)}: {short(message)}".strip(": ")
    return Cause("unknown", said or "its pod failed without saying why", said=message)


def amounts(container: Container) -> Mapping[str, str]:
    """What the container may use, by resource."""
    return {**container.resources.requests, **container.resources.limits}


_NEVER = datetime.max.replace(tzinfo=UTC)
_BY_REASON: dict[str, Callable[[str, Container, ContainerStateTerminated], Cause]] = {
    "OOMKilled": _oom,
    "StartError": _not_started,
    "ContainerCannotRun": _not_started,
}
