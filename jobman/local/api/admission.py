"""What the cluster says to a write after its shape is right: may it be, and what does it get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobman.local.api import defaults, limits, quota, status
from jobman.local.api.resources import Resource
from jobman.local.api.users import SYSTEM, User
from jobman.local.moments import now
from jobman.local.stored import Key

if TYPE_CHECKING:
    from jobman.local.api.registry import Registry

Object = dict[str, Any]

DEFAULT_SERVICE_ACCOUNT = "default"
CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
_UNKILLABLE = frozenset({"default", "kube-system", "kube-public"})
_GLOBAL = b'"globalDefault":true'
_TOLERATED_S = 300
_PRIORITY = (
    "the integer value of priority ({}) must not be provided in pod spec; priority admission"
    " controller computed {} from the given PriorityClass name"
)
_OVERHEAD = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
_CLASSES = "priorityclasses.scheduling.k8s.io"
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def mutate(registry: Registry, resource: Resource, obj: Object, user: User) -> None:
    """Fill in what depends on other objects of the cluster. Refusals are 403 and 404."""
    if resource.namespaced:
        _check_namespace(registry, resource, obj)
    if resource.kind == "Pod":
        limits.set_defaults(registry, obj)
        _set_service_account(registry, obj)
        _set_priority(registry, obj)
        _set_tolerations(obj)
        obj["status"]["qosClass"] = defaults.qos_class(obj["spec"])
        if obj["spec"].get("schedulingGates"):
            obj["status"]["conditions"] = [_gated()]
    if resource.kind == "PersistentVolumeClaim":
        _protect(obj)
    if resource.kind == "Node" and user != SYSTEM:
        _set_not_ready(obj)  # the cluster's own are ready when it makes them


def mutate_change(resource: Resource, old: Object, new: Object) -> None:
    """Fill in what a new pod is given, and whoever replaces it need not know of."""
    if resource.kind == "Pod":
        for key in ("priority", "preemptionPolicy"):
            if key in old["spec"]:
                new["spec"].setdefault(key, old["spec"][key])
        _set_tolerations(new)


def validate(registry: Registry, resource: Resource, obj: Object) -> None:
    """Limits and quotas."""
    if resource.kind == "Pod":
        limits.check_pod(registry, obj)
        _check_overhead(obj)
    if resource.kind == "PersistentVolumeClaim":
        limits.check_claim(registry, obj)
    quota.check(registry, resource, obj)


def may_delete(resource: Resource, obj: Object) -> None:
    """The namespaces that the cluster itself lives in stay."""
    name = obj["metadata"]["name"]
    if resource.kind == "Namespace" and name in _UNKILLABLE:
        raise status.forbidden("namespaces", "", name, "this namespace may not be deleted")


def _check_namespace(registry: Registry, resource: Resource, obj: Object) -> None:
    about = obj["metadata"]
    namespace = registry.store.get(Key("namespaces", "", about["namespace"]))
    if namespace is None:
        raise status.not_found("namespaces", "", about["namespace"])
    if namespace.deleting:
        raise _terminating(resource, about["name"], about["namespace"])


def _terminating(resource: Resource, name: str, namespace: str) -> status.ApiError:
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return status.forbidden(resource.plural, resource.group, name, why, causes=[cause])


def _set_service_account(registry: Registry, pod: Object) -> None:
    spec, about = pod["spec"], pod["metadata"]
    name = spec.get("serviceAccountName") or DEFAULT_SERVICE_ACCOUNT
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = registry.find("serviceaccounts", about["namespace"], name)
    if account is not None:
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]
    elif name != DEFAULT_SERVICE_ACCOUNT:  # which a new namespace gets a moment later
        raise status.forbidden(
            "pods",
            "",
            about["name"],
            f"error looking up service account {about['namespace']}/{name}:"
            f' serviceaccount "{name}" not found',
        )


def _set_priority(registry: Registry, pod: Object) -> None:
    spec, name = pod["spec"], pod["spec"].get("priorityClassName")
    if name:
        found = registry.find(_CLASSES, "", name)
        if found is None:
            why = f"no PriorityClass with name {name} was found"
            raise status.forbidden("pods", "", pod["metadata"]["name"], why)
    else:
        classes = (c.object() for c in registry.store.list(_CLASSES) if _GLOBAL in c.body)
        found = next((c for c in classes if c.get("globalDefault")), None)
        if found is not None:
            spec["priorityClassName"] = found["metadata"]["name"]
    found = found or {"value": 0}
    given = spec.get("priority", found["value"])
    if given != found["value"]:
        why = _PRIORITY.format(given, found["value"])
        raise status.forbidden("pods", "", pod["metadata"]["name"], why)
    spec["priority"] = found["value"]
    spec.setdefault("preemptionPolicy", found.get("preemptionPolicy", "PreemptLowerPriority"))


def _check_overhead(pod: Object) -> None:
    """What a pod takes beside its containers is for a RuntimeClass to say; there are none."""
    if pod["spec"].get("overhead"):
        raise status.forbidden("pods", "", pod["metadata"]["name"], _OVERHEAD)


def _protect(claim: Object) -> None:
    """A claim stays while pods use it."""
    finalizers = claim["metadata"].setdefault("finalizers", [])
    if CLAIM_PROTECTION not in finalizers:
        finalizers.append(CLAIM_PROTECTION)


def _set_not_ready(node: Object) -> None:
    """Nothing is put on a node before its controller has seen it."""
    taints = node.setdefault("spec", {}).setdefault("taints", [])
    taint = {"key": _TOLERATED[0], "effect": "NoSchedule"}
    if taint not in taints:
        taints.append(taint)


def _set_tolerations(pod: Object) -> None:
    """A node that is gone is tolerated for a while, unless the pod says how long itself."""
    tolerations = pod["spec"].setdefault("tolerations", [])
    for key in _TOLERATED:
        if not any(_tolerates(toleration, key) for toleration in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _TOLERATED_S,
                }
            )


def _gated() -> Object:
    """What a pod with scheduling gates says from its beginning."""
    return {
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": now(),
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    }


def _tolerates(toleration: Object, key: str) -> bool:
    return toleration.get("key") in (key, None, "") and toleration.get("effect") in (
        "NoExecute",
        None,
        "",
    )
