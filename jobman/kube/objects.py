"""The parts of Kubernetes' objects that jobman reads, decoded straight from JSON.

Kubernetes' own names in snake_case; what is not named here is skipped by the decoder. Absent
lists and maps are empty, absent scalars None, times are aware datetimes in UTC, quantities text.
No object refers back to another, so that none of them needs Python's cyclic collector.
"""

# ruff: noqa: RUF012 - msgspec gives every Struct its own copy of an empty default

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobman.kube.events import Event as Event
from jobman.kube.meta import KubeObject as KubeObject
from jobman.kube.meta import KubeStruct as KubeStruct
from jobman.kube.meta import ListMeta as ListMeta
from jobman.kube.meta import ObjectMeta as ObjectMeta
from jobman.kube.meta import OwnerReference as OwnerReference


class ResourceRequirements(KubeStruct, frozen=True):
    """Quantities by resource."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class ContainerPort(KubeStruct, frozen=True):
    """A port; only one of the node's is read."""

    host_port: int = 0


class Container(KubeStruct, frozen=True):
    """A container as asked for."""

    name: str = ""
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    resources: ResourceRequirements = ResourceRequirements()
    image_pull_policy: str = ""
    restart_policy: str | None = None
    ports: list[ContainerPort] = []


class NodeAffinity(KubeStruct, frozen=True):
    """Which nodes a pod needs: `nodeSelectorTerms` as plain JSON; wishes are not read."""

    required_during_scheduling_ignored_during_execution: dict[str, Any] | None = None


class PodAffinity(KubeStruct, frozen=True):
    """Which pods a pod needs beside it, or away from it; wishes are not read."""

    required_during_scheduling_ignored_during_execution: list[dict[str, Any]] = []


class Affinity(KubeStruct, frozen=True):
    """What a pod needs around it."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Toleration(KubeStruct, frozen=True):
    """Taints that a pod puts up with."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class SchedulingGate(KubeStruct, frozen=True):
    """Something that must happen before the scheduler looks at a pod."""

    name: str = ""


class TopologySpread(KubeStruct, frozen=True):
    """How evenly pods are spread; `DoNotSchedule` is a rule, else it is a wish."""

    when_unsatisfiable: str = ""


class Volume(KubeStruct, frozen=True):
    """A volume: whether it is of a claim, which may be bound to some nodes."""

    persistent_volume_claim: dict[str, Any] | None = None
    ephemeral: dict[str, Any] | None = None


class PodRules(KubeStruct, frozen=True):
    """What of a pod's spec one must know to read its status."""

    node_name: str = ""
    init_containers: list[Container] = []
    restart_policy: str = ""


class PodSpec(PodRules, frozen=True):
    """A pod as asked for."""

    containers: list[Container] = []
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int | None = None
    node_selector: dict[str, str] = {}
    tolerations: list[Toleration] = []
    priority: int | None = None
    priority_class_name: str = ""
    runtime_class_name: str | None = None
    scheduler_name: str = ""
    scheduling_gates: list[SchedulingGate] = []
    service_account_name: str = ""
    overhead: dict[str, str] = {}
    affinity: Affinity | None = None
    resources: ResourceRequirements | None = None
    topology_spread_constraints: list[TopologySpread] = []
    volumes: list[Volume] = []
    resource_claims: list[dict[str, Any]] = []


class ContainerStateWaiting(KubeStruct, frozen=True):
    """Why a container has not started."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(KubeStruct, frozen=True):
    """Since when a container runs."""

    started_at: datetime | None = None


class ContainerStateTerminated(KubeStruct, frozen=True):
    """How a container ended."""

    exit_code: int
    signal: int | None = None
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(KubeStruct, frozen=True):
    """One of the three is set."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(KubeStruct, frozen=True):
    """A container as it is."""

    name: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    image: str = ""


class NodeCondition(KubeStruct, frozen=True):
    """A condition of a node; `status` is "True", "False" or "Unknown"."""

    type: str = ""
    status: str = ""


class Condition(NodeCondition, frozen=True):
    """A condition of a Job or a pod, with its reason."""

    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None

    @property
    def true(self) -> bool:
        """Whether the condition holds."""
        return self.status == "True"


JobCondition = Condition
PodCondition = Condition


class PodStatus(KubeStruct, frozen=True):
    """A pod as it is."""

    phase: str = ""
    conditions: list[PodCondition] = []
    reason: str = ""
    message: str = ""
    nominated_node_name: str = ""
    start_time: datetime | None = None
    container_statuses: list[ContainerStatus] = []
    init_container_statuses: list[ContainerStatus] = []


class PodBrief(KubeObject, frozen=True):
    """What a pod is doing, without what it asks for: of ten thousand that takes half the time."""

    spec: PodRules = PodRules()
    status: PodStatus = PodStatus()


class Pod(PodBrief, frozen=True):
    """A pod."""

    spec: PodSpec = PodSpec()


class PodTemplateSpec(KubeStruct, frozen=True):
    """The pods that a Job makes."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class PodFailurePolicy(KubeStruct, frozen=True):
    """Rules that decide what a pod's failure means; that there are any is all that is read."""


class SuccessPolicy(KubeStruct, frozen=True):
    """Rules that decide when an Indexed Job is done; that there are any is all that is read."""


class JobSpec(KubeStruct, frozen=True):
    """A Job as asked for."""

    parallelism: int | None = None
    completions: int | None = None
    completion_mode: str = ""
    backoff_limit: int | None = None
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool = False
    pod_failure_policy: PodFailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    template: PodTemplateSpec = PodTemplateSpec()

    @property
    def at_once(self) -> int:
        """How many pods there may be at a time: the parallelism, 1 where none is told."""
        return 1 if self.parallelism is None else self.parallelism


class JobStatus(KubeStruct, frozen=True):
    """A Job as it is; a failed one has no completionTime."""

    active: int = 0
    ready: int | None = None
    succeeded: int = 0
    failed: int = 0
    terminating: int | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None
    completed_indexes: str = ""
    failed_indexes: str | None = None
    conditions: list[JobCondition] = []


class Job(KubeObject, frozen=True):
    """A Job."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class Taint(KubeStruct, frozen=True):
    """What keeps pods off a node."""

    key: str = ""
    value: str = ""
    effect: str = ""


class NodeSpec(KubeStruct, frozen=True):
    """A node as an administrator wants it."""

    unschedulable: bool = False
    taints: list[Taint] = []


class NodeStatus(KubeStruct, frozen=True):
    """A node as it is: quantities by resource."""

    capacity: dict[str, str] = {}
    allocatable: dict[str, str] = {}
    conditions: list[NodeCondition] = []


class Node(KubeObject, frozen=True):
    """A node."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class ConfigMap(KubeObject, frozen=True):
    """A ConfigMap; binaryData in base64."""

    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool = False


class Secret(KubeObject, frozen=True):
    """A Secret; data in base64."""

    type: str = ""
    data: dict[str, str] = {}


class NamespaceStatus(KubeStruct, frozen=True):
    """Active or Terminating."""

    phase: str = ""


class Namespace(KubeObject, frozen=True):
    """A namespace."""

    status: NamespaceStatus = NamespaceStatus()


class LeaseSpec(KubeStruct, frozen=True):
    """Who holds a lease, and for how many seconds after each renewal."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None


class Lease(KubeObject, frozen=True):
    """A lease: one holder at a time."""

    spec: LeaseSpec = LeaseSpec()
