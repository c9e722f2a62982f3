"""ResourceQuotas say what is used."""

from __future__ import annotations

from typing import Any

from jobman.local.api.quota import Amounts, used_by
from jobman.local.api.registry import Registry
from jobman.local.api.resources import RESOURCES
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.workqueue import Controller
from jobman.local.stored import Change, Key
from jobman.values.quantity import ZERO

Object = dict[str, Any]

QUOTAS = "resourcequotas"
_COUNTED = tuple(r.name for r in RESOURCES if r.stored and r.namespaced)


class Usage:
    """What the objects of one namespace take, kept change by change."""

    def __init__(self) -> None:
        self._of: dict[Key, Amounts] = {}
        self._total: Amounts = {}

    def put(self, key: Key, amounts: Amounts) -> bool:
        """An object takes these amounts now; whether that is a change."""
        before = self._of.get(key, {})
        if before == amounts:
            return False
        for name, amount in before.items():
            self._total[name] -= amount
        for name, amount in amounts.items():
            self._total[name] = self._total.get(name, ZERO) + amount
        if amounts:
            self._of[key] = amounts
        else:
            self._of.pop(key, None)
        return True

    def of(self, name: str) -> str:
        """The sum for one name, canonically."""
        return str(self._total.get(name, ZERO))


class QuotaController(Controller[str]):
    """Keeps count of the namespaces that have quotas."""

    resources = _COUNTED

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._usage: dict[str, Usage] = {}

    def begin(self) -> None:
        """Count anew where there are quotas."""
        self._usage.clear()
        for record in self.registry.store.list(QUOTAS):
            self._changed(Change("ADDED", record.rv, record, None))

    def keys_of(self, change: Change) -> list[str]:
        """The namespace, if it has a quota and uses more or less than before."""
        key = change.record.key
        is_quota = key.resource == QUOTAS
        if is_quota and change.type != "DELETED" and key.namespace not in self._usage:
            self._count(key.namespace)
        elif is_quota and not self.registry.store.list(QUOTAS, key.namespace, limit=1):
            self._usage.pop(key.namespace, None)
        usage = self._usage.get(key.namespace)
        if usage is None:
            return []
        gone = change.type == "DELETED"
        amounts = {} if gone else used_by(key.resource, change.record.object())
        return [key.namespace] if usage.put(key, amounts) or is_quota else []

    def _count(self, namespace: str) -> None:
        usage = self._usage[namespace] = Usage()
        for resource in _COUNTED:
            for record in self.registry.store.list(resource, namespace):
                usage.put(record.key, used_by(resource, record.object()))

    async def sync(self, key: str) -> float | None:
        """Write the status of each quota of the namespace."""
        usage = self._usage.get(key)
        if usage is None:
            return None
        for record in self.registry.store.list(QUOTAS, key):
            hard = record.object().get("spec", {}).get("hard", {})
            told = {"hard": hard, "used": {name: usage.of(name) for name in hard}}

            def change(obj: Object, told: Object = told) -> None:
                obj["status"] = told

            self.registry.modify(*record.key, change)
        return None
