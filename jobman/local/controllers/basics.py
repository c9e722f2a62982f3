"""What every cluster has from its first moment: some namespaces and priority classes."""

from __future__ import annotations

from typing import Any

from jobman.local.api.registry import Registry

Object = dict[str, Any]

SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"
_CLASSES = (
    (
        "system-cluster-critical",
        2_000_000_000,
        (
            "Used for system critical pods that must run in the cluster, but can be moved to"
            " another node if necessary."
        ),
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)


def ensure(registry: Registry) -> None:
    """Make what is not there."""
    for name in SYSTEM_NAMESPACES:
        _ensure(registry, "namespaces", _object("Namespace", "v1", name))
    for name, value, description in _CLASSES:
        made = _object("PriorityClass", "scheduling.k8s.io/v1", name)
        made |= {"value": value, "description": description}
        _ensure(registry, PRIORITY_CLASSES, made)


def _ensure(registry: Registry, resource: str, obj: Object) -> None:
    if registry.find(resource, "", obj["metadata"]["name"]) is None:
        registry.create(resource, "", obj)


def _object(kind: str, version: str, name: str) -> Object:
    return {"kind": kind, "apiVersion": version, "metadata": {"name": name}}
