"""ResourceQuotas say what is used."""

from __future__ import annotations

from typing import Any

from jobman.local.api.quota import Amounts, used_by
from jobman.local.api.quota_scopes import expressions, takes
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
    """What objects take together, kept change by change."""

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


class _Count:
    """What the objects take that one quota counts."""

    def __init__(self, quota: Object) -> None:
        self.scopes = list(expressions(quota))
        self.usage = Usage()
        self._takes = takes(quota)

    def put(self, key: Key, obj: Object | None) -> bool:
        """An object is this one now, or gone; whether that changes the sums."""
        if obj is None or not self._takes(key.resource, obj):
            return self.usage.put(key, {})
        return self.usage.put(key, used_by(key.resource, obj))


class QuotaController(Controller[Key]):
    """Keeps count for each quota. A key is a quota's."""

    resources = _COUNTED

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._counts: dict[str, dict[Key, _Count]] = {}

    def begin(self) -> None:
        """Count anew where there are quotas."""
        self._counts.clear()
        for record in self.registry.store.list(QUOTAS):
            self._changed(Change("ADDED", record.rv, record, None))

    def keys_of(self, change: Change) -> list[Key]:
        """The quota itself, and those that count the object, or did."""
        key, found = change.record.key, []
        if key.resource == QUOTAS:
            found = self._quota_changed(change)
        quotas = self._counts.get(key.namespace)
        if not quotas:
            return found
        obj = None if change.type == "DELETED" else change.record.object()
        return found + [quota for quota, count in quotas.items() if count.put(key, obj)]

    def _quota_changed(self, change: Change) -> list[Key]:
        key = change.record.key
        quotas = self._counts.setdefault(key.namespace, {})
        if change.type == "DELETED":
            quotas.pop(key, None)
            return []
        quota = change.record.object()
        if key not in quotas or quotas[key].scopes != list(expressions(quota)):
            quotas[key] = self._count(key.namespace, quota)
        return [key]

    def _count(self, namespace: str, quota: Object) -> _Count:
        count = _Count(quota)
        for resource in _COUNTED:
            for record in self.registry.store.list(resource, namespace):
                count.put(record.key, record.object())
        return count

    async def sync(self, key: Key) -> float | None:
        """Write the quota's status."""
        count = self._counts.get(key.namespace, {}).get(key)
        record = self.registry.store.get(key)
        if count is None or record is None:
            return None
        hard = record.object().get("spec", {}).get("hard", {})
        told = {"hard": hard, "used": {name: count.usage.of(name) for name in hard}}

        def change(obj: Object) -> None:
            obj["status"] = told

        self.registry.modify(*key, change)
        return None
