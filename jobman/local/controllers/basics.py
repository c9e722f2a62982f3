"""What every cluster has from its first moment: some namespaces, priority classes and roles."""

from __future__ import annotations

from typing import Any

from jobman.local.api.priority_rules import SYSTEM_VALUES
from jobman.local.api.registry import Registry
from jobman.local.controllers import bootstrap_roles

Object = dict[str, Any]

SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"
_CLASSES = {
    "system-cluster-critical": (
        "Used for system critical pods that must run in the cluster, but can be moved to"
        " another node if necessary."
    ),
    "system-node-critical": (
        "Used for system critical pods that must not be moved from their current node."
    ),
}


def ensure(registry: Registry) -> None:
    """Make what is not there."""
    for name in SYSTEM_NAMESPACES:
        _ensure(registry, "namespaces", _object("Namespace", "v1", name))
    for name, description in _CLASSES.items():
        made = _object("PriorityClass", "scheduling.k8s.io/v1", name)
        made |= {"value": SYSTEM_VALUES[name], "description": description}
        _ensure(registry, PRIORITY_CLASSES, made)
    bootstrap_roles.ensure(registry)


def _ensure(registry: Registry, resource: str, obj: Object) -> None:
    if registry.find(resource, "", obj["metadata"]["name"]) is None:
        registry.create(resource, "", obj)


def _object(kind: str, version: str, name: str) -> Object:
    return {"kind": kind, "apiVersion": version, "metadata": {"name": name}}
