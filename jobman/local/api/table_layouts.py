"""The columns of each kind's table, and what fills them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobman.local.api import table_rows as rows


@dataclass(frozen=True)
class Column:
    """A column. `about` is its description or, with a leading `@`, the field that has it."""

    name: str
    about: str = ""
    wide: bool = False
    form: str = ""
    type: str = "string"


@dataclass(frozen=True)
class Layout:
    """A kind's columns and how an object fills them at a moment."""

    columns: tuple[Column, ...]
    cells: Callable[[Mapping[str, Any], datetime], list[Any]]


_NAME = Column("Name", "@meta.v1.ObjectMeta.name", form="name")
_AGE = Column("Age", "@meta.v1.ObjectMeta.creationTimestamp")
_CREATED = Column(
    "Created At", "@meta.v1.ObjectMeta.creationTimestamp", form="date-time", type="date"
)


_BINDING_COLUMNS = (
    _NAME,
    Column("Role", "Role referenced by this binding"),
    _AGE,
    Column("Users", "Users in the rolebinding", wide=True),
    Column("Groups", "Groups in the rolebinding", wide=True),
    Column("ServiceAccounts", "ServiceAccounts in the rolebinding", wide=True),
)
_EVENT = "@core.v1.Event."
_NODE = "@core.v1.NodeSystemInfo."
_CLAIM = "@core.v1.PersistentVolumeClaimSpec."
_ROLE_LAYOUT = Layout((_NAME, _CREATED), rows.created)
DEFAULT = Layout((_NAME, _CREATED), rows.created)

LAYOUTS: dict[str, Layout] = {
    "Job": Layout(
        (
            _NAME,
            Column("Status", "Status of the job."),
            Column("Completions", "@batch.v1.JobStatus.succeeded"),
            Column("Duration", "Time required to complete the job."),
            _AGE,
            Column("Containers", "Names of each container in the template.", wide=True),
            Column("Images", "Images referenced by each container in the template.", wide=True),
            Column("Selector", "@batch.v1.JobSpec.selector", wide=True),
        ),
        rows.job,
    ),
    "Pod": Layout(
        (
            _NAME,
            Column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
            Column("Status", "The aggregate status of the containers in this pod."),
            Column(
                "Restarts",
                "The number of times the containers in this pod have been restarted and when the"
                " last container in this pod has restarted.",
            ),
            _AGE,
            Column("IP", "@core.v1.PodStatus.podIP", wide=True),
            Column("Node", "@core.v1.PodSpec.nodeName", wide=True),
            Column("Nominated Node", "@core.v1.PodStatus.nominatedNodeName", wide=True),
            Column("Readiness Gates", "@core.v1.PodSpec.readinessGates", wide=True),
        ),
        rows.pod,
    ),
    "Event": Layout(
        (
            Column("Last Seen", _EVENT + "lastTimestamp"),
            Column("Type", _EVENT + "type"),
            Column("Reason", _EVENT + "reason"),
            Column("Object", _EVENT + "involvedObject"),
            Column("Subobject", "@core.v1.ObjectReference.fieldPath", wide=True),
            Column("Source", _EVENT + "source", wide=True),
            Column("Message", _EVENT + "message"),
            Column("First Seen", _EVENT + "firstTimestamp", wide=True),
            Column("Count", _EVENT + "count", wide=True),
            Column("Name", "@meta.v1.ObjectMeta.name", form="name", wide=True),
        ),
        rows.event,
    ),
    "Node": Layout(
        (
            _NAME,
            Column("Status", "The status of the node"),
            Column("Roles", "The roles of the node"),
            _AGE,
            Column("Version", _NODE + "kubeletVersion"),
            Column("Internal-IP", "@core.v1.NodeStatus.addresses", wide=True),
            Column("External-IP", "@core.v1.NodeStatus.addresses", wide=True),
            Column("OS-Image", _NODE + "osImage", wide=True),
            Column("Kernel-Version", _NODE + "kernelVersion", wide=True),
            Column("Container-Runtime", _NODE + "containerRuntimeVersion", wide=True),
        ),
        rows.node,
    ),
    "Namespace": Layout(
        (_NAME, Column("Status", "The status of the namespace"), _AGE), rows.namespace
    ),
    "ConfigMap": Layout((_NAME, Column("Data", "@core.v1.ConfigMap.data"), _AGE), rows.config_map),
    "Secret": Layout(
        (
            _NAME,
            Column("Type", "@core.v1.Secret.type"),
            Column("Data", "@core.v1.Secret.data"),
            _AGE,
        ),
        rows.secret,
    ),
    "PersistentVolumeClaim": Layout(
        (
            _NAME,
            Column("Status", "@core.v1.PersistentVolumeClaimStatus.phase"),
            Column("Volume", _CLAIM + "volumeName"),
            Column("Capacity", "@core.v1.PersistentVolumeClaimStatus.capacity"),
            Column("Access Modes", "@core.v1.PersistentVolumeClaimStatus.accessModes"),
            Column("StorageClass", _CLAIM + "storageClassName"),
            Column("VolumeAttributesClass", _CLAIM + "volumeAttributesClassName"),
            _AGE,
            Column("VolumeMode", _CLAIM + "volumeMode", wide=True),
        ),
        rows.claim,
    ),
    "ResourceQuota": Layout(
        (
            _NAME,
            Column(
                "Request",
                "Request represents a minimum amount of cpu/memory that a container may consume.",
            ),
            Column(
                "Limit", "Limits control the maximum amount of cpu/memory that a container may use."
            ),
            _AGE,
        ),
        rows.quota,
    ),
    "LimitRange": Layout((_NAME, _CREATED), rows.created),
    "ServiceAccount": Layout(
        (_NAME, Column("Secrets", "@core.v1.ServiceAccount.secrets"), _AGE), rows.service_account
    ),
    "Lease": Layout(
        (_NAME, Column("Holder", "@coordination.v1.LeaseSpec.holderIdentity"), _AGE), rows.lease
    ),
    "PriorityClass": Layout(
        (
            _NAME,
            Column("Value", "@scheduling.v1.PriorityClass.value"),
            Column("Global-Default", "@scheduling.v1.PriorityClass.globalDefault", type="boolean"),
            _AGE,
            Column("PreemptionPolicy", "@scheduling.v1.PriorityClass.preemptionPolicy"),
        ),
        rows.priority_class,
    ),
    "Role": _ROLE_LAYOUT,
    "ClusterRole": _ROLE_LAYOUT,
    "RoleBinding": Layout(_BINDING_COLUMNS, rows.binding),
    "ClusterRoleBinding": Layout(_BINDING_COLUMNS, rows.binding),
}
