"""The closed lists of words: each choice is one Enum, read by help, errors, completion and docs."""

from __future__ import annotations

from enum import StrEnum


class Output(StrEnum):
    """Forms of a result on stdout."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"
    CSV = "csv"


class State(StrEnum):
    """One word for a job, derived only from what Kubernetes says."""

    SUSPENDED = "Suspended"
    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    STUCK = "Stuck"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    DELETING = "Deleting"

    @property
    def finished(self) -> bool:
        """Whether the job's own work is over, well or badly."""
        return self is State.SUCCEEDED or self.ended_badly

    @property
    def ended_badly(self) -> bool:
        """Whether the job's own work is over without having been done."""
        return self in (State.FAILED, State.CANCELLED)


class QueueBy(StrEnum):
    """What the rows of the queue are."""

    FLAVOR = "flavor"
    USER = "user"
    NAMESPACE = "namespace"
    NODE = "node"
    GPU = "gpu"


class PublisherAs(StrEnum):
    """What runs a queue publisher in a cluster."""

    DEPLOYMENT = "deployment"
    CRONJOB = "cronjob"
    NONE = "none"


class ClusterType(StrEnum):
    """`kubeConfig.type`: where the cluster is looked for."""

    DEFAULT = "default"
    CLUSTER = "cluster"
    FILE = "file"
    LOCAL = "local"


class ImagePullPolicy(StrEnum):
    """Kubernetes' imagePullPolicy."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Goal(StrEnum):
    """What `jobman wait` waits for."""

    STARTED = "started"
    FINISHED = "finished"
    SUCCEEDED = "succeeded"
