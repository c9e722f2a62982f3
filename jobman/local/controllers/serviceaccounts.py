"""What every namespace has: its default ServiceAccount, and the cluster's CA."""

from __future__ import annotations

from typing import Any

from jobman.local.api.registry import Registry
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.workqueue import Controller
from jobman.local.stored import Change, Key

Object = dict[str, Any]

NAMESPACES = "namespaces"
ACCOUNT, BUNDLE = "default", "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal"
    " endpoints such as the internal service IP or kubernetes.default.svc. No other usage is"
    " guaranteed across distributions of Kubernetes clusters."
)


class NamespaceDefaults(Controller[str]):
    """Makes both in each namespace, and again when somebody deletes them."""

    resources = (NAMESPACES, "serviceaccounts", "configmaps")

    def __init__(self, registry: Registry, ca: str, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._ca = ca

    def keys_of(self, change: Change) -> list[str]:
        """A namespace that is new, or lost what it must have, or had it changed."""
        key = change.record.key
        if key.resource == NAMESPACES:
            return [key.name] if change.type == "ADDED" else []
        needed = key.name == (BUNDLE if key.resource == "configmaps" else ACCOUNT)
        return [key.namespace] if needed and change.type != "ADDED" else []

    async def sync(self, key: str) -> float | None:
        """Make what is not there, and the CA as it is."""
        record = self.registry.store.get(Key(NAMESPACES, "", key))
        if record is None or record.deleting:
            return None
        account = _object("ServiceAccount", ACCOUNT)
        if self.registry.find("serviceaccounts", key, ACCOUNT) is None:
            self.registry.create("serviceaccounts", key, account)
        self._publish_ca(key)
        return None

    def _publish_ca(self, namespace: str) -> None:
        data = {"ca.crt": self._ca}
        found = self.registry.find("configmaps", namespace, BUNDLE)
        if found is None:
            made = _object("ConfigMap", BUNDLE)
            made["metadata"]["annotations"] = {"kubernetes.io/description": _DESCRIPTION}
            self.registry.create("configmaps", namespace, {**made, "data": data})
        elif found.get("data") != data:
            self.registry.modify("configmaps", namespace, BUNDLE, lambda o: o.update(data=data))


def _object(kind: str, name: str) -> Object:
    return {"kind": kind, "apiVersion": "v1", "metadata": {"name": name}}
