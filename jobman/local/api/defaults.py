"""What the API server fills in. Objects are dicts already of the right shape (see `schema`).

`apply` is what happens at every write; `generate_selector` once, when a Job is created.
Quantities need nothing here: `schema.check` has made them canonical.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobman.local.api import pod_resources

Object = dict[str, Any]

_FILE_MODE = 0o644
_TOKEN_SECONDS = 3600
_CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
_MANY_RETRIES = 2**31 - 1


def apply(kind: str, obj: Object) -> None:
    """Fill in, in place, what an object of that kind must have. Safe to do again."""
    default = _KINDS.get(kind)
    if default is not None:
        default(obj)


def generate_selector(job: Object) -> None:
    """Give a new Job (one with a uid) its selector and its template the labels it selects.

    A Job with `manualSelector: true` keeps its own. A Job without labels takes its template's.
    """
    spec, metadata = job["spec"], job["metadata"]
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    if not spec.get("manualSelector"):
        labels = template.setdefault("labels", {})
        uid, name = metadata["uid"], metadata.get("name", "")
        for prefix in ("batch.kubernetes.io/", ""):
            labels.setdefault(prefix + "controller-uid", uid)
            labels.setdefault(prefix + "job-name", name)
        selected = spec.setdefault("selector", {}).setdefault("matchLabels", {})
        selected.setdefault(_CONTROLLER_UID, uid)
    _take_template_labels(job)


def qos_class(spec: Mapping[str, Any]) -> str:
    """A pod's quality of service, from its own cpu and memory, or else from its containers'."""
    requests, limits, all_limited = set(), set(), True
    for each in [spec] if "resources" in spec else _containers(spec):
        bound, asked = _compute(each, "limits"), _compute(each, "requests")
        requests |= set(asked)
        limits |= set(bound)
        all_limited &= set(bound) == {"cpu", "memory"} and all(
            bound.get(name) == amount for name, amount in asked.items()
        )
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if all_limited else "Burstable"


def _compute(container: Mapping[str, Any], part: str) -> Object:
    given = container.get("resources", {}).get(part, {})
    return {name: amount for name, amount in given.items() if _counts(name, amount)}


def _counts(name: str, amount: Any) -> bool:
    return name in ("cpu", "memory") and amount != "0"


def pull_policy(image: str) -> str:
    """`Always` for an image with no tag or `latest`, else `IfNotPresent`."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _job(job: Object) -> None:
    spec = job.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", _MANY_RETRIES if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("manualSelector", False)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    if "podFailurePolicy" in spec:
        _pod_failure_policy(spec["podFailurePolicy"])
    spec.setdefault(
        "podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
    )
    _template(spec.setdefault("template", {}))
    if _CONTROLLER_UID in spec["template"]["metadata"].get("labels", {}):
        _take_template_labels(job)
    job.setdefault("status", {})


def _take_template_labels(job: Object) -> None:
    labels = job["spec"]["template"]["metadata"].get("labels")
    if labels and not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(labels)


def _pod_failure_policy(policy: Object) -> None:
    for rule in policy.get("rules", []):
        for pattern in rule.get("onPodConditions", []):
            pattern.setdefault("status", "True")


def _template(template: Object) -> None:
    template.setdefault("metadata", {})
    _pod_spec(template.setdefault("spec", {}))


def _pod(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    spec.setdefault("enableServiceLinks", True)
    _pod_spec(spec)
    for container in _containers(spec):
        _requests_from_limits(container["resources"])
    pod_resources.set_requests(spec)
    pod.setdefault("status", {}).setdefault("phase", "Pending")


def _requests_from_limits(resources: Object) -> None:
    """What is limited and not asked for is asked for (pods alone, no templates)."""
    limits = resources.get("limits")
    if limits:
        resources["requests"] = {**limits, **resources.get("requests", {})}


def _pod_spec(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for container in _containers(spec):
        _container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes", []):
        _volume(volume)
    for constraint in spec.get("topologySpreadConstraints", []):
        constraint.setdefault("nodeAffinityPolicy", "Honor")
        constraint.setdefault("nodeTaintsPolicy", "Ignore")


def _containers(spec: Mapping[str, Any]) -> Iterator[Object]:
    yield from spec.get("initContainers", [])
    yield from spec.get("containers", [])


def _container(container: Object, *, host_network: bool) -> None:
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    for port in container.get("ports", []):
        port.setdefault("protocol", "TCP")
        if host_network and "containerPort" in port:
            port.setdefault("hostPort", port["containerPort"])
    for variable in container.get("env", []):
        field = variable.get("valueFrom", {}).get("fieldRef")
        if field is not None:
            field.setdefault("apiVersion", "v1")
        _divisor(variable.get("valueFrom", {}).get("resourceFieldRef"))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _probe(container[probe])


def _divisor(reference: Object | None) -> None:
    if reference is not None:
        reference.setdefault("divisor", "0")


def _probe(probe: Object) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _volume(volume: Object) -> None:
    sources = [name for name in volume if name != "name"]
    if not sources:
        volume["emptyDir"] = {}
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        if name in volume:
            volume[name].setdefault("defaultMode", _FILE_MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    for source in volume.get("projected", {}).get("sources", []):
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", _TOKEN_SECONDS)
        _downward(source.get("downwardAPI", {}))
    _downward(volume.get("downwardAPI", {}))
    template = volume.get("ephemeral", {}).get("volumeClaimTemplate", {}).get("spec")
    if template is not None:
        template.setdefault("volumeMode", "Filesystem")


def _downward(source: Object) -> None:
    for item in source.get("items", []):
        if "fieldRef" in item:
            item["fieldRef"].setdefault("apiVersion", "v1")
        _divisor(item.get("resourceFieldRef"))


def _secret(secret: Object) -> None:
    """`stringData` is a way to write `data`; it is never stored."""
    texts = secret.pop("stringData", None)
    if texts:
        data = secret.setdefault("data", {})
        for key, text in texts.items():
            data[key] = base64.b64encode(text.encode(errors="surrogatepass")).decode()
    secret.setdefault("type", "Opaque")


def _namespace(namespace: Object) -> None:
    metadata = namespace["metadata"]
    if metadata.get("name"):
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    spec = namespace.setdefault("spec", {})
    if "deletionTimestamp" not in namespace.get("metadata", {}):
        # Whoever made it, it is emptied before it goes.
        spec.setdefault("finalizers", ["kubernetes"])
    namespace.setdefault("status", {}).setdefault("phase", "Active")


_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def _node(node: Object) -> None:
    node.setdefault("spec", {})
    status = node.setdefault("status", {})
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])
    status.setdefault("daemonEndpoints", {"kubeletEndpoint": {"Port": 0}})
    info = status.setdefault("nodeInfo", {})
    for name in _NODE_INFO:
        info.setdefault(name, "")


def _claim(claim: Object) -> None:
    spec = claim.setdefault("spec", {})
    spec.setdefault("resources", {})
    spec.setdefault("volumeMode", "Filesystem")
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def _quota(quota: Object) -> None:
    quota.setdefault("spec", {})
    quota.setdefault("status", {})


def _limit_range(limits: Object) -> None:
    """Of a container's limits: what is not given follows from what is."""
    spec = limits.setdefault("spec", {})
    spec.setdefault("limits", [])
    for item in spec["limits"]:
        if item.get("type") != "Container":
            continue
        default = {**item.get("max", {}), **item.get("default", {})}
        request = {**item.get("min", {}), **default, **item.get("defaultRequest", {})}
        item.update(
            {
                key: value
                for key, value in (("default", default), ("defaultRequest", request))
                if value
            }
        )


def _event(event: Object) -> None:
    event.setdefault("involvedObject", {})
    event.setdefault("source", {})
    for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
        event.setdefault(name, None)
    for name in ("reportingComponent", "reportingInstance"):
        event.setdefault(name, "")


def _priority_class(priority: Object) -> None:
    priority.setdefault("value", 0)
    priority.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _binding(binding: Object) -> None:
    """Subjects and the role of a RoleBinding or ClusterRoleBinding name their API group."""
    role = binding.setdefault("roleRef", {})
    role.setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in binding.get("subjects", []):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _role(role: Object) -> None:
    role.setdefault("rules", [])


_KINDS: dict[str, Callable[[Object], None]] = {
    "Job": _job,
    "Pod": _pod,
    "Secret": _secret,
    "Namespace": _namespace,
    "Node": _node,
    "PersistentVolumeClaim": _claim,
    "ResourceQuota": _quota,
    "LimitRange": _limit_range,
    "Event": _event,
    "PriorityClass": _priority_class,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "Role": _role,
    "ClusterRole": _role,
}
