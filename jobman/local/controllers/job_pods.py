"""A Job's pods: what each one tells about the Job. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from jobman.local.pod_phase import FINAL
from jobman.local.stored import Record

TRACKING = "batch.kubernetes.io/job-tracking"
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class JobPod(msgspec.Struct, frozen=True, gc=False):
    """What a Job's controller asks of a pod.

    `failures` and `ignored`: how often its index failed before. `exits`: (container, exit code)
    of those that ended, init containers last. `conditions`: (type, status). `finished_at` is of
    one that is over, or is being deleted.
    """

    namespace: str
    name: str
    uid: str
    owner: str = ""
    labels: Mapping[str, str] | None = None
    phase: str = "Pending"
    node: str = ""
    ready: bool = False
    deleting: bool = False
    tracked: bool = True
    index: int | None = None
    failures: int = 0
    ignored: int = 0
    restarts: int = 0
    created: str = ""
    finished_at: datetime = _LONG_AGO
    exits: tuple[tuple[str, int], ...] = ()
    conditions: tuple[tuple[str, str], ...] = ()

    @property
    def finished(self) -> bool:
        """Whether its containers are over."""
        return self.phase in FINAL

    @property
    def active(self) -> bool:
        """Whether it still works at its part of the Job."""
        return not self.finished and not self.deleting

    def goes_on(self, before: JobPod) -> bool:
        """Whether it works on as before: a node and its conditions are no news for a Job."""
        now = msgspec.structs.replace(self, node=before.node, conditions=before.conditions)
        return self.active and now == before

    @property
    def all_failures(self) -> int:
        """How often its index failed before, for whatever reason."""
        return self.failures + self.ignored


class _Owner(msgspec.Struct):
    kind: str = ""
    uid: str = ""
    controller: bool = False


class _Metadata(msgspec.Struct):
    creationTimestamp: str  # noqa: N815
    deletionTimestamp: str = ""  # noqa: N815
    deletionGracePeriodSeconds: int = 0  # noqa: N815
    finalizers: list[str] = []
    annotations: dict[str, str] = {}
    ownerReferences: list[_Owner] = []  # noqa: N815


class _Terminated(msgspec.Struct):
    exitCode: int = 0  # noqa: N815
    finishedAt: str | None = None  # noqa: N815


class _State(msgspec.Struct):
    terminated: _Terminated | None = None


class _Container(msgspec.Struct):
    name: str = ""
    restartCount: int = 0  # noqa: N815
    state: _State = msgspec.field(default_factory=_State)


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""
    lastTransitionTime: str | None = None  # noqa: N815


class _Status(msgspec.Struct):
    phase: str = "Pending"
    conditions: list[_Condition] = []
    containerStatuses: list[_Container] = []  # noqa: N815
    initContainerStatuses: list[_Container] = []  # noqa: N815


class _Spec(msgspec.Struct):
    nodeName: str = ""  # noqa: N815


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


_DECODER = msgspec.json.Decoder(_Pod)


def pod_of(record: Record) -> JobPod:
    """The facts of one pod."""
    pod = _DECODER.decode(record.body)
    about, status = pod.metadata, pod.status
    containers = status.containerStatuses + status.initContainerStatuses
    conditions = tuple([(c.type, c.status) for c in status.conditions])
    ends = status.phase in FINAL or about.deletionTimestamp
    owner = next((ref for ref in about.ownerReferences if ref.controller), _Owner())
    return JobPod(
        namespace=record.key.namespace,
        name=record.key.name,
        uid=record.uid,
        owner=owner.uid if owner.kind == "Job" else "",
        labels=record.labels,
        phase=status.phase,
        node=pod.spec.nodeName,
        ready=("Ready", "True") in conditions,
        deleting=bool(about.deletionTimestamp),
        tracked=TRACKING in about.finalizers,
        index=_number(about.annotations.get(INDEX)),
        failures=_number(about.annotations.get(FAILURES)) or 0,
        ignored=_number(about.annotations.get(IGNORED_FAILURES)) or 0,
        restarts=sum([container.restartCount for container in containers]),
        created=about.creationTimestamp,
        finished_at=_finished_at(pod) if ends else _LONG_AGO,
        exits=tuple(
            [(c.name, c.state.terminated.exitCode) for c in containers if c.state.terminated]
        ),
        conditions=conditions,
    )


# A pod without any of these is no Job's business: one look at the bytes tells.
_OWNED, _TRACKED, _LABELLED = b'"ownerReferences"', TRACKING.encode(), CONTROLLER_UID.encode()


def may_be_of_a_job(record: Record) -> bool:
    """Whether a pod has to do with a Job, or had."""
    body = record.body
    return _OWNED in body or _TRACKED in body or _LABELLED in body


def has_controller(record: Record) -> bool:
    """Whether somebody, a Job or not, controls the pod."""
    return any(ref.controller for ref in _DECODER.decode(record.body).metadata.ownerReferences)


def _finished_at(pod: _Pod) -> datetime:
    """When its last container ended; else when it got unready, was deleted, was made."""
    ended = [c.state.terminated for c in pod.status.containerStatuses]
    times = [each.finishedAt for each in ended if each is not None and each.finishedAt]
    if times and len(times) == len(ended):
        return max(datetime.fromisoformat(text) for text in times)
    for condition in pod.status.conditions:
        since = condition.lastTransitionTime
        if condition.type == "Ready" and condition.status == "False" and since:
            return datetime.fromisoformat(since)
    about = pod.metadata
    if about.deletionTimestamp:
        grace = timedelta(seconds=about.deletionGracePeriodSeconds)
        return datetime.fromisoformat(about.deletionTimestamp) - grace
    return datetime.fromisoformat(about.creationTimestamp)


def _number(text: str | None) -> int | None:
    """An index or a count; what has more digits than either can have is none."""
    return int(text) if text and len(text) <= 10 and text.isascii() and text.isdigit() else None
