"""The columns of each kind of object, and an object's cells: what `kubectl get` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobman.local.api import pod_row
from jobman.local.api.selectors import of_object
from jobman.values.duration import format_age, parse_rfc3339

Object = Mapping[str, Any]
Cells = list[Any]

NONE = "<none>"
UNKNOWN = "<unknown>"


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
    cells: Callable[[Object, datetime], Cells]


_NAME = Column("Name", "@meta.v1.ObjectMeta.name", form="name")
_AGE = Column("Age", "@meta.v1.ObjectMeta.creationTimestamp")
_CREATED = Column(
    "Created At", "@meta.v1.ObjectMeta.creationTimestamp", form="date-time", type="date"
)


def since(moment: str | None, now: datetime) -> str:
    """How long ago a time of an object is."""
    if not moment:
        return UNKNOWN
    return format_age((now - parse_rfc3339(moment)).total_seconds())


def _name(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def _age(obj: Object, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _conditions(obj: Object) -> list[str]:
    """The types of the conditions that are true."""
    conditions = obj.get("status", {}).get("conditions", [])
    return [c["type"] for c in conditions if c.get("status") == "True"]


def _job(job: Object, now: datetime) -> Cells:
    containers = job["spec"].get("template", {}).get("spec", {}).get("containers", [])
    return [
        _name(job),
        _job_status(job),
        _completions(job),
        _duration(job.get("status", {}), now),
        _age(job, now),
        ",".join(container.get("name", "") for container in containers),
        ",".join(container.get("image", "") for container in containers),
        _selector(job["spec"].get("selector", {})),
    ]


def _job_status(job: Object) -> str:
    true = _conditions(job)
    for word in ("Complete", "Failed"):
        if word in true:
            return word
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    ordered = ("Suspended", "FailureTarget", "SuccessCriteriaMet")
    return next((word for word in ordered if word in true), "Running")


def _completions(job: Object) -> str:
    spec, done = job["spec"], job.get("status", {}).get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallelism = spec.get("parallelism", 0)
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _duration(status: Object, now: datetime) -> str:
    if not status.get("startTime"):
        return ""
    end = parse_rfc3339(status["completionTime"]) if status.get("completionTime") else now
    return format_age((end - parse_rfc3339(status["startTime"])).total_seconds())


def _selector(selector: Object) -> str:
    if not selector:
        return NONE
    words = []
    for requirement in sorted(of_object(selector).requirements, key=lambda each: each.key):
        values = ",".join(sorted(requirement.values))
        if requirement.operator == "in":
            single = len(requirement.values) == 1
            words.append(
                f"{requirement.key}={values}" if single else f"{requirement.key} in ({values})"
            )
        elif requirement.operator == "notin":
            words.append(f"{requirement.key} notin ({values})")
        else:
            words.append(("!" if requirement.operator == "!" else "") + requirement.key)
    return ",".join(words)


def _pod(pod: Object, now: datetime) -> Cells:
    containers, status = pod_row.Containers(pod), pod.get("status", {})
    restarts = str(containers.restarts)
    if containers.restarts and containers.last_restart:
        restarts += f" ({since(containers.last_restart, now)} ago)"
    return [
        _name(pod),
        f"{containers.ready}/{containers.total}",
        pod_row.state_word(pod, containers),
        restarts,
        _age(pod, now),
        status.get("podIP") or NONE,
        pod.get("spec", {}).get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        pod_row.gates(pod),
    ]


def _event(event: Object, now: datetime) -> Cells:
    involved, series = event.get("involvedObject", {}), event.get("series")
    first = since(event.get("firstTimestamp") or event.get("eventTime"), now)
    last = since(event["lastTimestamp"], now) if event.get("lastTimestamp") else first
    count = event.get("count") or 1
    if series:
        last, count = since(series.get("lastObservedTime"), now), series.get("count", count)
    kind, name = involved.get("kind", "").lower(), involved.get("name", "")
    return [
        last,
        event.get("type", ""),
        event.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        involved.get("fieldPath", ""),
        _source(event),
        event.get("message", "").strip(),
        first,
        count,
        _name(event),
    ]


def _source(event: Object) -> str:
    source = event.get("source", {})
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance")
    return f"{component}, {host}" if host else component


_ROLE = "node-role.kubernetes.io/"


def _node(node: Object, now: datetime) -> Cells:
    info = node.get("status", {}).get("nodeInfo", {})
    labels = node["metadata"].get("labels", {})
    roles = sorted(
        key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE
    )
    if labels.get("kubernetes.io/role"):
        roles = sorted({*roles, labels["kubernetes.io/role"]})
    kernel = info.get("kernelVersion", "")
    architecture = f" ({info['architecture']})" if info.get("architecture") else ""
    return [
        _name(node),
        _node_status(node),
        ",".join(roles) or NONE,
        _age(node, now),
        info.get("kubeletVersion", ""),
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        kernel + architecture if kernel else UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(node: Object) -> str:
    ready = [c for c in node.get("status", {}).get("conditions", []) if c.get("type") == "Ready"]
    words = [("Ready" if c.get("status") == "True" else "NotReady") for c in ready] or ["Unknown"]
    if node.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _address(node: Object, kind: str) -> str:
    addresses = node.get("status", {}).get("addresses", [])
    return next((each.get("address", "") for each in addresses if each.get("type") == kind), NONE)


def _namespace(namespace: Object, now: datetime) -> Cells:
    return [_name(namespace), namespace.get("status", {}).get("phase", ""), _age(namespace, now)]


def _config_map(config: Object, now: datetime) -> Cells:
    count = len(config.get("data", {})) + len(config.get("binaryData", {}))
    return [_name(config), count, _age(config, now)]


def _secret(secret: Object, now: datetime) -> Cells:
    kind = secret.get("type", "")
    return [_name(secret), kind, len(secret.get("data", {})), _age(secret, now)]


_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _claim(claim: Object, now: datetime) -> Cells:
    spec, status = claim.get("spec", {}), claim.get("status", {})
    phase = "Terminating" if claim["metadata"].get("deletionTimestamp") else status.get("phase", "")
    volume = spec.get("volumeName", "")
    modes = status.get("accessModes", []) if volume else []
    return [
        _name(claim),
        phase,
        volume,
        status.get("capacity", {}).get("storage", "") if volume else "",
        ",".join(_MODES.get(mode, mode) for mode in modes),
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        _age(claim, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _quota(quota: Object, now: datetime) -> Cells:
    hard = quota.get("status", {}).get("hard") or quota.get("spec", {}).get("hard", {})
    used = quota.get("status", {}).get("used", {})
    asked: list[str] = []
    bound: list[str] = []
    for name in sorted(hard):
        words = bound if name.startswith("limits") else asked
        words.append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [_name(quota), ", ".join(asked), ", ".join(bound), _age(quota, now)]


def _created(obj: Object, now: datetime) -> Cells:  # noqa: ARG001
    return [_name(obj), obj["metadata"].get("creationTimestamp", "")]


def _service_account(account: Object, now: datetime) -> Cells:
    return [_name(account), len(account.get("secrets", [])), _age(account, now)]


def _lease(lease: Object, now: datetime) -> Cells:
    return [_name(lease), lease.get("spec", {}).get("holderIdentity") or "", _age(lease, now)]


def _priority_class(priority: Object, now: datetime) -> Cells:
    return [
        _name(priority),
        priority.get("value", 0),
        bool(priority.get("globalDefault")),
        _age(priority, now),
        priority.get("preemptionPolicy", ""),
    ]


def _binding(binding: Object, now: datetime) -> Cells:
    role, subjects = binding.get("roleRef", {}), binding.get("subjects", [])
    accounts = [
        f"{each.get('namespace', '')}/{each.get('name', '')}"
        for each in subjects
        if each.get("kind") == "ServiceAccount"
    ]
    return [
        _name(binding),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        _age(binding, now),
        ", ".join(each.get("name", "") for each in subjects if each.get("kind") == "User"),
        ", ".join(each.get("name", "") for each in subjects if each.get("kind") == "Group"),
        ", ".join(accounts),
    ]


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
_ROLE_LAYOUT = Layout((_NAME, _CREATED), _created)
DEFAULT = Layout((_NAME, _CREATED), _created)

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
        _job,
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
        _pod,
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
        _event,
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
        _node,
    ),
    "Namespace": Layout((_NAME, Column("Status", "The status of the namespace"), _AGE), _namespace),
    "ConfigMap": Layout((_NAME, Column("Data", "@core.v1.ConfigMap.data"), _AGE), _config_map),
    "Secret": Layout(
        (
            _NAME,
            Column("Type", "@core.v1.Secret.type"),
            Column("Data", "@core.v1.Secret.data"),
            _AGE,
        ),
        _secret,
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
        _claim,
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
        _quota,
    ),
    "LimitRange": Layout((_NAME, _CREATED), _created),
    "ServiceAccount": Layout(
        (_NAME, Column("Secrets", "@core.v1.ServiceAccount.secrets"), _AGE), _service_account
    ),
    "Lease": Layout(
        (_NAME, Column("Holder", "@coordination.v1.LeaseSpec.holderIdentity"), _AGE), _lease
    ),
    "PriorityClass": Layout(
        (
            _NAME,
            Column("Value", "@scheduling.v1.PriorityClass.value"),
            Column("Global-Default", "@scheduling.v1.PriorityClass.globalDefault", type="boolean"),
            _AGE,
            Column("PreemptionPolicy", "@scheduling.v1.PriorityClass.preemptionPolicy"),
        ),
        _priority_class,
    ),
    "Role": _ROLE_LAYOUT,
    "ClusterRole": _ROLE_LAYOUT,
    "RoleBinding": Layout(_BINDING_COLUMNS, _binding),
    "ClusterRoleBinding": Layout(_BINDING_COLUMNS, _binding),
}
