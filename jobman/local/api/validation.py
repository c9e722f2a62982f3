"""Is an object allowed, new or changed? Every cause at once, in the order Kubernetes tells them.

Objects are dicts of the right shape (`schema.check`) with defaults filled in.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jobman.local.api import (
    job_rules,
    limit_rules,
    metadata_rules,
    pod_rules,
    priority_rules,
    quota_rules,
    rbac_rules,
    resource_rules,
    rules,
)
from jobman.local.api.cause import (
    Cause,
    duplicate,
    forbidden,
    not_supported,
    required,
    too_long,
    wrong,
)
from jobman.values.quantity import Quantity, parse

Object = Mapping[str, Any]

_DATA_BYTES = 1024 * 1024
_TOLD_CHARS = 512 * 1024
_CAUSE_CHARS = 100
_IMMUTABLE = "field is immutable"
_FROZEN = "field is immutable when `immutable` is set"
_ONLY_WHEN_NEW = ("Pod", "PriorityClass")  # whose rules a change is not held to again


def validate_create(kind: str, obj: Object) -> list[Cause]:
    """What is wrong with a new object."""
    meta = obj.get("metadata", {})
    if kind == "Job" and meta.get("labels") == _template_labels(obj):
        meta = {**meta, "labels": {}}  # a copy of the template's, which are told there
    return _told(metadata_rules.new(kind, meta), _CREATE.get(kind, _nothing)(obj))


def validate_update(kind: str, old: Object, new: Object) -> list[Cause]:
    """What is wrong with an object that was `old`."""
    meta, before = new.get("metadata", {}), old.get("metadata", {})
    changed = _told(metadata_rules.change(before, meta))
    if kind == "Job" and meta.get("labels") == _template_labels(new):
        meta = {**meta, "labels": {}}
    own = _nothing if kind in _ONLY_WHEN_NEW else _CREATE.get(kind, _nothing)
    now = _UPDATE.get(kind, _no_change)(old, new)
    return _told(changed, metadata_rules.new(kind, meta), own(new), changed, now)


def validate_status(kind: str, old: Object, new: Object) -> list[Cause]:
    """What is wrong with a write of the status subresource."""
    if kind == "Job":
        return _told(job_rules.status_change(old, new))
    if kind == "Node":
        return _told(_node_amounts(new.get("status", {})))
    return []


def _told(*causes: Iterable[Cause]) -> list[Cause]:
    """The causes, up to a size: one object can be wrong in a million ways, each as long as it."""
    told, size = [], 0
    for cause in itertools.chain.from_iterable(causes):
        told.append(cause)
        size += _CAUSE_CHARS + len(cause.field) + len(cause.message)
        if size > _TOLD_CHARS:
            break
    return told


def warnings(kind: str, obj: Object) -> list[str]:
    """Texts for Warning headers about a new object that is allowed."""
    if kind == "Job":
        return job_rules.warnings(obj)
    if kind == "Pod":
        return job_rules.pod_warnings(obj.get("spec", {}), "spec")
    return []


def _template_labels(job: Object) -> Any:
    return job.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})


def _nothing(obj: Object) -> Iterator[Cause]:  # noqa: ARG001
    return iter(())


def _no_change(old: Object, new: Object) -> Iterator[Cause]:  # noqa: ARG001
    return iter(())


def _pod(pod: Object) -> Iterator[Cause]:
    yield from pod_rules.spec_problems(pod.get("spec", {}), "spec")


def _pod_change(old: Object, new: Object) -> Iterator[Cause]:
    yield from pod_rules.change(old.get("spec", {}), new.get("spec", {}))


def _config_map(config: Object) -> Iterator[Cause]:
    texts, blobs = config.get("data", {}), config.get("binaryData", {})
    total = 0
    for key in sorted(texts):
        yield from _key(key, f"data[{key}]")
        if key in blobs:
            yield wrong(f"data[{key}]", key, "duplicate of key present in binaryData")
        total += len(texts[key].encode(errors="surrogatepass"))
    for key in sorted(blobs):
        yield from _key(key, f"binaryData[{key}]")
        total += _decoded_size(blobs[key])
    if total > _DATA_BYTES:
        yield too_long("[]", _DATA_BYTES)


def _key(key: str, path: str) -> Iterator[Cause]:
    yield from (wrong(path, key, text) for text in rules.config_key(key))


def _decoded_size(base64: str) -> int:
    return len(base64) * 3 // 4 - base64[-2:].count("=")


def _frozen(old: Object, new: Object, *fields: str) -> Iterator[Cause]:
    """An object with `immutable: true` stays so, with its data."""
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden("immutable", _FROZEN)
    for field in fields:
        if old.get(field, {}) != new.get(field, {}):
            yield forbidden(field, _FROZEN)


def _config_map_change(old: Object, new: Object) -> Iterator[Cause]:
    yield from _frozen(old, new, "data", "binaryData")


_SERVICE_ACCOUNT = "kubernetes.io/service-account.name"
_SECRET_KEYS: dict[str, tuple[str, ...]] = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _secret(secret: Object) -> Iterator[Cause]:
    data, kind = secret.get("data", {}), secret.get("type", "Opaque")
    annotations = secret.get("metadata", {}).get("annotations", {})
    for key in sorted(data):
        yield from _key(key, f"data[{key}]")
    if sum(_decoded_size(value) for value in data.values()) > _DATA_BYTES:
        yield too_long("data", _DATA_BYTES)
    if kind == "kubernetes.io/service-account-token" and not annotations.get(_SERVICE_ACCOUNT):
        yield required(f"metadata.annotations[{_SERVICE_ACCOUNT}]")
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            yield required(f"data[{key}]")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield required("data[username]")
        yield required("data[password]")


def _secret_change(old: Object, new: Object) -> Iterator[Cause]:
    kind = new.get("type", "Opaque")
    if kind != old.get("type", "Opaque"):
        yield wrong("type", kind, _IMMUTABLE)
    yield from _frozen(old, new, "data")


def _node(node: Object) -> Iterator[Cause]:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(node.get("spec", {}).get("taints", [])):
        path = f"metadata.taints[{index}]"  # so says Kubernetes, though they are in the spec
        yield from _taint(taint, path)
        pair = (taint.get("key", ""), taint.get("effect", ""))
        if pair in seen:
            yield duplicate(path, taint, "taints must be unique by key and effect pair")
        seen.add(pair)
    yield from _node_amounts(node.get("status", {}))


def _taint(taint: Object, path: str) -> Iterator[Cause]:
    key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
    yield from (wrong(f"{path}.key", key, text) for text in rules.qualified_name(key))
    if problems := rules.label_value(value):
        yield wrong(f"{path}.value", value, ";".join(problems))
    effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
    if not effect:
        yield required(f"{path}.effect")
    elif effect not in effects:
        yield not_supported(f"{path}.effect", effect, effects)


def _node_amounts(status: Object) -> Iterator[Cause]:
    for field in ("capacity", "allocatable"):
        amounts = status.get(field, {})
        for name in sorted(amounts):
            yield from resource_rules.value(name, amounts[name], f"status.{field}.{name}")


def _claim(claim: Object) -> Iterator[Cause]:
    spec = claim.get("spec", {})
    modes = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
    given = spec.get("accessModes", [])
    if not given:
        yield required("spec.accessModes", "at least 1 access mode is required")
    for mode in given:
        if mode not in modes:
            yield not_supported("spec.accessModes", mode, modes)
    asked = spec.get("resources", {}).get("requests", {})
    if "storage" not in asked:
        yield required("spec.resources[storage]")
    else:
        yield from _positive(asked["storage"], "spec.resources[storage]")


def _positive(amount: str, path: str) -> Iterator[Cause]:
    if amount.startswith("-") or amount == "0":
        yield wrong(path, amount, "must be greater than zero")


def _claim_change(old: Object, new: Object) -> Iterator[Cause]:
    before, after = old.get("spec", {}), new.get("spec", {})
    bound = old.get("status", {}).get("phase") == "Bound"
    named = before.get("volumeName") or after.get("volumeName")
    if _fixed({**before, "volumeName": named}, bound=bound) != _fixed(after, bound=bound):
        free = "resources.requests and volumeAttributesClassName for bound claims"
        yield forbidden("spec", f"spec is immutable after creation except {free}")
    asked, least = _storage(after), _amount(old.get("status", {}).get("capacity", {}))
    if asked < _storage(before) and asked <= least:
        path = "spec.resources.requests.storage"
        yield forbidden(path, "field can not be less than status.capacity")


def _fixed(spec: Object, *, bound: bool) -> Object:
    """What stays of a claim."""
    fixed = {name: value for name, value in spec.items() if value is not None}
    if bound:
        fixed.pop("volumeAttributesClassName", None)
        resources = fixed.pop("resources", {})
        requests = {**resources.get("requests", {}), "storage": None}
        fixed["resources"] = {**resources, "requests": requests}
    return fixed


def _storage(spec: Object) -> Quantity:
    return _amount(spec.get("resources", {}).get("requests", {}))


def _amount(amounts: Object) -> Quantity:
    return parse(amounts.get("storage", "0"), allow_negative=True)


def _event(event: Object) -> Iterator[Cause]:
    namespace = event.get("metadata", {}).get("namespace", "")
    involved = event.get("involvedObject", {}).get("namespace", "")
    if involved != namespace and not (not involved and namespace == "default"):
        text = "does not match event.namespace"
        yield wrong("involvedObject.namespace", involved, text)


def _lease(lease: Object) -> Iterator[Cause]:
    spec = lease.get("spec", {})
    if spec.get("leaseDurationSeconds", 1) <= 0:
        seconds = spec["leaseDurationSeconds"]
        yield wrong("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if (spec.get("leaseTransitions") or 0) < 0:
        text = "must be greater than or equal to 0"
        yield wrong("spec.leaseTransitions", spec["leaseTransitions"], text)


_CREATE: dict[str, Callable[[Object], Iterator[Cause]]] = {
    "Job": job_rules.new,
    "Pod": _pod,
    "ConfigMap": _config_map,
    "Secret": _secret,
    "Node": _node,
    "PersistentVolumeClaim": _claim,
    "ResourceQuota": quota_rules.new,
    "LimitRange": limit_rules.new,
    "PriorityClass": priority_rules.new,
    "Role": rbac_rules.role,
    "ClusterRole": rbac_rules.cluster_role,
    "RoleBinding": rbac_rules.role_binding,
    "ClusterRoleBinding": rbac_rules.cluster_role_binding,
    "Event": _event,
    "Lease": _lease,
}
_UPDATE: dict[str, Callable[[Object, Object], Iterator[Cause]]] = {
    "Job": job_rules.change,
    "Pod": _pod_change,
    "ConfigMap": _config_map_change,
    "Secret": _secret_change,
    "PersistentVolumeClaim": _claim_change,
    "ResourceQuota": quota_rules.change,
    "PriorityClass": priority_rules.change,
    "RoleBinding": rbac_rules.binding_change,
    "ClusterRoleBinding": rbac_rules.binding_change,
}
