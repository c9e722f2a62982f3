"""Pod -> what it is doing: its state and reason, as its containers, conditions and phase tell.

Pure. A container's status outranks the pod's phase, which lags a second behind it.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from jobman.kube.labels import COMPLETION_INDEX
from jobman.kube.objects import (
    ContainerStateTerminated,
    ContainerStatus,
    Event,
    Pod,
    PodBrief,
    PodCondition,
)
from jobman.values.enums import State

PATIENCE_S = 60
"""How long trouble that may pass by itself (a registry, a volume) counts as starting."""

MOUNT_REASONS = frozenset({"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"})
"""Reasons of events about a pod whose status says ContainerCreating, and nothing else."""

PROGRESS_REASONS = frozenset({"SuccessfulAttachVolume", "Pulling"})
"""Reasons of events after which a pod may take long, and what failed before them is over."""

_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_PASSING = frozenset({"CreateContainerError", "RunContainerError", "ImageInspectError"})
_NO_SUCH_IMAGE = re.compile(
    r"not found|manifest unknown|name unknown|does not exist|denied|unauthorized"
    r"|authentication required|\b40[13]\b|no match for platform",
    re.IGNORECASE,
)
_TIMEOUT = re.compile(r"timed out|timeout|deadline exceeded", re.IGNORECASE)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
_EPOCH_ENDS = datetime(1971, 1, 1, tzinfo=UTC)


class PodView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one pod is doing.

    `state` is Pending (no node yet), Starting, Running, Stuck, Succeeded or Failed, and as part of
    a job (state.py) Cancelled where that ended it; `reason` is Kubernetes' own term; `exit_code` is
    that of the container that decided the outcome, or that ended and will be started again.
    """

    name: str
    state: State
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    node: str = ""
    index: int | None = None
    leaving: bool = False
    restarts: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether its containers have ended for good."""
        return self.state.finished

    @property
    def has_started(self) -> bool:
        """Whether its main container runs or ran, so that there is a log to read."""
        return self.started_at is not None or self.state in (State.RUNNING, State.SUCCEEDED)

    @property
    def is_going(self) -> bool:
        """Whether it has started and not ended, so that its log grows."""
        return self.has_started and not self.finished


class _Finding(msgspec.Struct, frozen=True):
    state: State
    reason: str = ""
    message: str = ""
    exit_code: int | None = None


def view(pod: PodBrief, events: Iterable[Event] = (), *, now: datetime) -> PodView:
    """The pod's state; `events` are those about this pod, `now` decides what has lasted long."""
    found = _finding(pod, events, now)
    main = main_status(pod)
    return PodView(
        name=pod.metadata.name,
        state=found.state,
        reason=found.reason,
        message=found.message,
        exit_code=found.exit_code,
        node=pod.spec.node_name,
        index=_index(pod),
        leaving=pod.metadata.deletion_timestamp is not None,
        restarts=sum(status.restart_count for status in pod.status.container_statuses),
        created_at=pod.metadata.creation_timestamp,
        started_at=_started_at(main),
        finished_at=_finished_at(pod) if found.state.finished else None,
    )


def main_status(pod: PodBrief) -> ContainerStatus | None:
    """The status of the container whose words are the job's: `main`, else the first."""
    statuses = pod.status.container_statuses
    for status in statuses:
        if status.name == "main":
            return status
    return statuses[0] if statuses else None


def main_container(pod: Pod) -> str | None:
    """The name of the container whose words are the job's: `main`, else the first."""
    names = [container.name for container in pod.spec.containers]
    return "main" if "main" in names else next(iter(names), None)


def _finding(pod: PodBrief, events: Iterable[Event], now: datetime) -> _Finding:
    about = pod.status
    if about.phase == "Pending" and not (about.container_statuses or about.init_container_statuses):
        return _unstarted(pod)
    ended = _ended(pod)
    if ended is not None:
        return ended
    statuses = pod.status.container_statuses
    if pod.status.phase == "Unknown":
        return _Finding(State.RUNNING, pod.status.reason or "NodeLost", pod.status.message)
    if any(status.state.running for status in statuses):
        return _Finding(State.RUNNING, *_disruption(pod))
    restarting = _restarting(pod)
    if restarting is not None:
        return restarting
    waiting = _first_waiting(pod)
    if waiting is not None:
        return _waiting(pod, *waiting, events, now)
    if pod.status.phase == "Running":
        return _Finding(State.RUNNING)
    return _unstarted(pod)


def _ended(pod: PodBrief) -> _Finding | None:
    """The outcome, as soon as no container of the pod will run again."""
    if pod.status.phase == "Succeeded":
        return _Finding(State.SUCCEEDED, "Completed", exit_code=0)
    if pod.status.phase == "Failed":
        return _failed(pod)
    if pod.spec.restart_policy != "Never":
        return None
    failed_init = _failing(pod.status.init_container_statuses)
    statuses = pod.status.container_statuses
    done = bool(statuses) and all(status.state.terminated for status in statuses)
    if not done and (failed_init is None or _may_restart(pod, failed_init)):
        return None
    if failed_init is None and _failing(statuses) is None:
        return _Finding(State.SUCCEEDED, "Completed", exit_code=0)
    return _failed(pod)


def _may_restart(pod: PodBrief, status: ContainerStatus) -> bool:
    """Whether `status` is a sidecar's, which the kubelet starts again."""
    return any(c.name == status.name and c.restart_policy for c in pod.spec.init_containers)


def _failed(pod: PodBrief) -> _Finding:
    culprit = _failing([*pod.status.init_container_statuses, *pod.status.container_statuses])
    ended = culprit.state.terminated if culprit else None
    code = ended.exit_code if ended else None
    if pod.status.reason:
        return _Finding(State.FAILED, pod.status.reason, pod.status.message, code)
    reason, message = _disruption(pod)
    if reason:
        return _Finding(State.FAILED, reason, message, code)
    if ended is None:
        return _Finding(State.FAILED, "Error", pod.status.message, code)
    return _Finding(State.FAILED, _exit_reason(ended), _exit_message(ended), code)


def _failing(statuses: Sequence[ContainerStatus]) -> ContainerStatus | None:
    """The container that failed; where several did, the one that ended first."""
    failing = [s for s in statuses if s.state.terminated and s.state.terminated.exit_code != 0]
    return min(failing, key=_end_of, default=None)


def _end_of(status: ContainerStatus) -> datetime:
    ended = status.state.terminated
    return (ended and ended.finished_at) or datetime.max.replace(tzinfo=UTC)


def _exit_reason(ended: ContainerStateTerminated) -> str:
    reason = ended.reason or "Error"
    return f"Error(exit {ended.exit_code})" if reason == "Error" else reason


def _exit_message(ended: ContainerStateTerminated) -> str:
    if ended.message or ended.exit_code <= 128:
        return ended.message or ""
    try:
        return f"ended by {signal.Signals(ended.exit_code - 128).name}"
    except ValueError:
        return ""


def _disruption(pod: PodBrief) -> tuple[str, str]:
    """Reason and message of an eviction or a preemption, else empty."""
    condition = _condition(pod, "DisruptionTarget")
    if condition is None or condition.status != "True":
        return "", ""
    return condition.reason or "DisruptionTarget", condition.message or ""


def _restarting(pod: PodBrief) -> _Finding | None:
    """A container that ended and that the kubelet will start again."""
    for status in pod.status.container_statuses:
        waiting, ended = status.state.waiting, status.state.terminated
        last = status.last_state.terminated
        if waiting and waiting.reason == "CrashLoopBackOff":
            code = last.exit_code if last else None
            return _Finding(State.RUNNING, "CrashLoopBackOff", waiting.message, code)
        if ended:
            reason, message = _exit_reason(ended), _exit_message(ended)
            return _Finding(State.RUNNING, reason, message, ended.exit_code)
    return None


def _first_waiting(pod: PodBrief) -> tuple[str, str] | None:
    """Reason and message of the container that holds the pod up."""
    for status in [*pod.status.init_container_statuses, *pod.status.container_statuses]:
        waiting = status.state.waiting
        if waiting is not None and waiting.reason != "PodInitializing":
            return waiting.reason or "ContainerCreating", waiting.message or ""
    waits = any(status.state.waiting for status in pod.status.container_statuses)
    return ("PodInitializing", "") if waits else None


def _waiting(
    pod: PodBrief, reason: str, message: str, events: Iterable[Event], now: datetime
) -> _Finding:
    trouble = _trouble(reason, message)
    if trouble is None:
        mount = mount_trouble(pod, events)
        if mount is None:
            return _Finding(State.STARTING, reason, message)
        reason, message = mount.reason, mount.message
        since: datetime | None = mount.first_seen
    else:
        since = _first_failure(events) or _scheduled_at(pod)
    lasts = since is not None and (now - since).total_seconds() >= PATIENCE_S
    stuck = trouble is True or lasts
    return _Finding(State.STUCK if stuck else State.STARTING, reason, message)


def _trouble(reason: str, message: str) -> bool | None:
    """None: none; False: it may pass; True: the container can never start."""
    if reason in _HOPELESS:
        return True
    if reason == "CreateContainerConfigError":
        return not _TIMEOUT.search(message)
    if reason in _PULLING:
        return _NO_SUCH_IMAGE.search(message) is not None
    return False if reason in _PASSING else None


def mount_trouble(pod: PodBrief, events: Iterable[Event]) -> Event | None:
    """The newest event that says why the pod is not made ready; None once it got further."""
    if _is_made_ready(pod):
        return None
    told = [event for event in events if event.reason in MOUNT_REASONS | PROGRESS_REASONS]
    newest = max(told, key=_newest_progress_last, default=None)
    return newest if newest is not None and newest.reason in MOUNT_REASONS else None


def _newest_progress_last(event: Event) -> tuple[datetime, bool]:
    """Times are whole seconds: within one a failure comes first, for it is tried again."""
    return last_seen(event), event.reason in PROGRESS_REASONS


def _is_made_ready(pod: PodBrief) -> bool:
    """Whether its volumes and its sandbox are there; servers before 1.35 say so late."""
    ready = _condition(pod, "PodReadyToStartContainers")
    inits = [status.state for status in pod.status.init_container_statuses]
    return (ready is not None and ready.true) or any(s.running or s.terminated for s in inits)


def last_seen(event: Event) -> datetime:
    """When the event happened last, to sort by."""
    return event.last_seen or LONG_AGO


def _first_failure(events: Iterable[Event]) -> datetime | None:
    seen = [event.first_seen for event in events if event.reason == "Failed"]
    return min((moment for moment in seen if moment), default=None)


def _scheduled_at(pod: PodBrief) -> datetime | None:
    scheduled = _condition(pod, "PodScheduled")
    at = scheduled.last_transition_time if scheduled else None
    return at or pod.metadata.creation_timestamp


def _unstarted(pod: PodBrief) -> _Finding:
    """A pod of which no container is known."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return _Finding(State.PENDING, scheduled.reason or "Unschedulable", scheduled.message)
    if pod.spec.node_name:
        return _Finding(State.STARTING, "Scheduled")
    return _Finding(State.PENDING)


def _condition(pod: PodBrief, kind: str) -> PodCondition | None:
    return next((c for c in pod.status.conditions if c.type == kind), None)


def _started_at(main: ContainerStatus | None) -> datetime | None:
    """When the main container (last) started; the kubelet writes 1970 for one that never did."""
    for state in (main.state, main.last_state) if main else ():
        at = state.running.started_at if state.running else None
        at = state.terminated.started_at if state.terminated else at
        if at is not None and at > _EPOCH_ENDS:
            return at
    return None


def _finished_at(pod: PodBrief) -> datetime | None:
    """When the last container ended."""
    statuses = [*pod.status.init_container_statuses, *pod.status.container_statuses]
    ends = [s.state.terminated.finished_at for s in statuses if s.state.terminated]
    return max((end for end in ends if end and end > _EPOCH_ENDS), default=None)


def _index(pod: PodBrief) -> int | None:
    """The completion index of an Indexed Job's pod."""
    text = pod.metadata.annotations.get(COMPLETION_INDEX, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
