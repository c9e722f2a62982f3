"""An object's cells in each kind's table: what `kubectl get` prints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jobman.local.api import pod_row
from jobman.local.api.selectors import of_object
from jobman.values.duration import format_age, parse_rfc3339

Object = Mapping[str, Any]
Cells = list[Any]

NONE = "<none>"
UNKNOWN = "<unknown>"


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
    return [c.get("type", "") for c in conditions if c.get("status") == "True"]


def job(job: Object, now: datetime) -> Cells:
    """A Job's row."""
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


def pod(pod: Object, now: datetime) -> Cells:
    """A Pod's row."""
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


def event(event: Object, now: datetime) -> Cells:
    """An Event's row."""
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


def node(node: Object, now: datetime) -> Cells:
    """A Node's row."""
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


def namespace(namespace: Object, now: datetime) -> Cells:
    """A Namespace's row."""
    return [_name(namespace), namespace.get("status", {}).get("phase", ""), _age(namespace, now)]


def config_map(config: Object, now: datetime) -> Cells:
    """A ConfigMap's row."""
    count = len(config.get("data", {})) + len(config.get("binaryData", {}))
    return [_name(config), count, _age(config, now)]


def secret(secret: Object, now: datetime) -> Cells:
    """A Secret's row."""
    kind = secret.get("type", "")
    return [_name(secret), kind, len(secret.get("data", {})), _age(secret, now)]


_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def claim(claim: Object, now: datetime) -> Cells:
    """A PersistentVolumeClaim's row."""
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


def quota(quota: Object, now: datetime) -> Cells:
    """A ResourceQuota's row."""
    hard = quota.get("status", {}).get("hard") or quota.get("spec", {}).get("hard", {})
    used = quota.get("status", {}).get("used", {})
    asked: list[str] = []
    bound: list[str] = []
    for name in sorted(hard):
        words = bound if name.startswith("limits") else asked
        words.append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [_name(quota), ", ".join(asked), ", ".join(bound), _age(quota, now)]


def created(obj: Object, now: datetime) -> Cells:  # noqa: ARG001
    """The row of a kind with nothing to tell but its age."""
    return [_name(obj), obj["metadata"].get("creationTimestamp", "")]


def service_account(account: Object, now: datetime) -> Cells:
    """A ServiceAccount's row."""
    return [_name(account), len(account.get("secrets", [])), _age(account, now)]


def lease(lease: Object, now: datetime) -> Cells:
    """A Lease's row."""
    return [_name(lease), lease.get("spec", {}).get("holderIdentity") or "", _age(lease, now)]


def priority_class(priority: Object, now: datetime) -> Cells:
    """A PriorityClass' row."""
    return [
        _name(priority),
        priority.get("value", 0),
        bool(priority.get("globalDefault")),
        _age(priority, now),
        priority.get("preemptionPolicy", ""),
    ]


def binding(binding: Object, now: datetime) -> Cells:
    """A RoleBinding's or ClusterRoleBinding's row."""
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
