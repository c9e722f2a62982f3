"""The parts of pods and Jobs that the queue reads: of a hundred thousand, nothing else is decoded.

What decides between equal pods stays JSON (`Raw`): equal text is decoded once.
"""

# ruff: noqa: RUF012 - msgspec gives every Struct its own copy of an empty default

from __future__ import annotations

from typing import Any

import msgspec

from jobman.kube import labels as names
from jobman.kube.meta import KubeObject, KubeStruct, OwnerReference
from jobman.kube.resources import Resource

STILL_ACTIVE = "status.phase!=Succeeded,status.phase!=Failed"
"""The field selector of pods that hold or want something."""

KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"
NOTHING = b"null"
ABSENT = msgspec.Raw(NOTHING)


class ActiveLabels(KubeStruct, frozen=True):
    """The labels that say whose it is and of which flavor."""

    managed_by: str = msgspec.field(name=names.MANAGED_BY, default="")
    user: str = msgspec.field(name=names.USER, default="")
    flavor: str = msgspec.field(name=names.FLAVOR, default="")
    kueue_queue: str = msgspec.field(name=KUEUE_QUEUE, default="")


class PodAnnotations(KubeStruct, frozen=True):
    """The annotation that outranks the label of a user."""

    user: str = msgspec.field(name=names.USER, default="")


class ActiveMeta(KubeStruct, frozen=True):
    """Metadata; times stay text, which sorts as they do."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: ActiveLabels = ActiveLabels()
    annotations: PodAnnotations = PodAnnotations()
    owner_references: list[OwnerReference] = []

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls the object."""
        for owner in self.owner_references:
            if owner.controller:
                return owner
        return None


class ActiveContainer(KubeStruct, frozen=True):
    """A container's requests and limits."""

    resources: msgspec.Raw = ABSENT
    restart_policy: str = ""


class ActivePodSpec(KubeStruct, frozen=True):
    """What a pod asks for, and where it is."""

    node_name: str = ""
    containers: list[ActiveContainer] = []
    init_containers: list[ActiveContainer] = []
    node_selector: msgspec.Raw = ABSENT
    tolerations: msgspec.Raw = ABSENT
    affinity: msgspec.Raw = ABSENT
    overhead: msgspec.Raw = ABSENT
    resources: msgspec.Raw = ABSENT
    resource_claims: msgspec.Raw = ABSENT
    topology_spread_constraints: msgspec.Raw = ABSENT
    restart_policy: str = ""
    priority: int = 0
    priority_class_name: str = ""
    active_deadline_seconds: int | None = None


class ActivePodStatus(KubeStruct, frozen=True):
    """What a pod does; the rest is read only of those that have a node and do not run."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    nominated_node_name: str = ""
    conditions: msgspec.Raw = ABSENT
    container_statuses: msgspec.Raw = ABSENT
    init_container_statuses: msgspec.Raw = ABSENT


class ActivePod(KubeObject, frozen=True):
    """A pod that has not ended."""

    metadata: ActiveMeta  # type: ignore[assignment]
    spec: ActivePodSpec = ActivePodSpec()
    status: ActivePodStatus = ActivePodStatus()


class JobMeta(ActiveMeta, frozen=True):
    """Metadata with all annotations: settings name the one that tells the flavor."""

    annotations: dict[str, str] = {}  # type: ignore[assignment]


class QueuedTemplate(KubeStruct, frozen=True):
    """The pods that a Job would make."""

    spec: ActivePodSpec = ActivePodSpec()


class QueuedJobSpec(KubeStruct, frozen=True):
    """How many pods a Job may make at once; its template stays JSON."""

    suspend: bool = False
    parallelism: int | None = None
    completions: int | None = None
    template: msgspec.Raw = ABSENT


class QueuedCondition(KubeStruct, frozen=True):
    """A condition of a Job."""

    type: str = ""
    status: str = ""


class QueuedJobStatus(KubeStruct, frozen=True):
    """How many pods a Job has."""

    active: int = 0
    succeeded: int = 0
    terminating: int | None = None
    conditions: list[QueuedCondition] = []

    @property
    def finished(self) -> bool:
        """Whether the Job makes no pods any more."""
        return any(
            c.status == "True" and c.type in ("Complete", "Failed", "FailureTarget")
            for c in self.conditions
        )


class QueuedJob(KubeObject, frozen=True):
    """A Job that may want pods it does not have."""

    metadata: JobMeta  # type: ignore[assignment]
    spec: QueuedJobSpec = QueuedJobSpec()
    status: QueuedJobStatus = QueuedJobStatus()


ACTIVE_PODS: Resource[Any] = Resource("v1", "pods", "Pod", ActivePod)
QUEUED_JOBS: Resource[Any] = Resource("batch/v1", "jobs", "Job", QueuedJob)
