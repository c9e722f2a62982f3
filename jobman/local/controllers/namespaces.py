"""Namespaces: what a new one gets, and how a deleted one is emptied."""

from __future__ import annotations

import contextlib
from typing import Any

from jobman.local.api.registry import DeleteOptions
from jobman.local.api.resources import RESOURCES
from jobman.local.api.status import ApiError
from jobman.local.controllers.workqueue import Controller
from jobman.local.store import Change

Object = dict[str, Any]

NAMESPACES = "namespaces"
_INSIDE = tuple(r for r in RESOURCES if r.stored and r.namespaced)
# Jobs first: nothing makes new pods while the pods go. Events last: they tell of it.
_ORDER = sorted(_INSIDE, key=lambda r: (r.kind != "Job", r.kind == "Event"))


class NamespaceController(Controller[str]):
    """Empties a terminating namespace, then lets it go."""

    resources = tuple(dict.fromkeys((NAMESPACES, *(r.name for r in _INSIDE))))

    def keys_of(self, change: Change) -> list[str]:
        """The namespace itself; the namespace of what was deleted, if it is going."""
        key = change.record.key
        if key.resource == NAMESPACES:
            return [key.name] if change.type != "DELETED" else []
        return [key.namespace] if change.type == "DELETED" else []

    async def sync(self, key: str) -> float | None:
        """Delete what is inside; finalize when nothing is left."""
        namespace = self.registry.find(NAMESPACES, "", key)
        if namespace is None or "deletionTimestamp" not in namespace["metadata"]:
            return None
        left = 0
        for resource in _ORDER:
            for record in self.registry.store.list(resource.name, key):
                with contextlib.suppress(ApiError):
                    self.registry.delete(
                        resource.name, key, record.key.name, DeleteOptions(uid=record.uid)
                    )
            left += len(self.registry.store.list(resource.name, key))
        if left == 0:
            self.registry.modify(NAMESPACES, "", key, _finalize)
        return None


def _finalize(namespace: Object) -> None:
    namespace["spec"]["finalizers"] = []


class DefaultsController(Controller[str]):
    """Gives every namespace its default ServiceAccount and the cluster's CA."""

    resources = (NAMESPACES, "serviceaccounts", "configmaps")

    def keys_of(self, change: Change) -> list[str]:
        """A new namespace, or one that lost what it must have."""
        key = change.record.key
        if key.resource == NAMESPACES:
            return [key.name] if change.type == "ADDED" else []
        lost = change.type == "DELETED" and key.name in ("default", "kube-root-ca.crt")
        return [key.namespace] if lost else []

    async def sync(self, key: str) -> float | None:
        """Create what is not there."""
        namespace = self.registry.find(NAMESPACES, "", key)
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            return None
        account = {"metadata": {"name": "default"}}
        self._ensure("serviceaccounts", key, {"kind": "ServiceAccount", **account})
        bundle = {"kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}}
        self._ensure("configmaps", key, {**bundle, "data": {"ca.crt": ""}})
        return None

    def _ensure(self, resource: str, namespace: str, obj: Object) -> None:
        if self.registry.find(resource, namespace, obj["metadata"]["name"]) is None:
            self.registry.create(resource, namespace, {"apiVersion": "v1", **obj})
