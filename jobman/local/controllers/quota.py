"""ResourceQuotas say what is used."""

from __future__ import annotations

from typing import Any

from jobman.local.api.quota import usage
from jobman.local.api.quota_scopes import takes
from jobman.local.api.registry import Registry
from jobman.local.api.resources import RESOURCES
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.workqueue import Controller
from jobman.local.stored import Change, Key

Object = dict[str, Any]

QUOTAS = "resourcequotas"
_COUNTED = tuple(r.name for r in RESOURCES if r.stored and r.namespaced)


class QuotaController(Controller[Key]):
    """Tells for each quota what is used. A key is a quota's."""

    resources = _COUNTED

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._quotas: dict[str, set[Key]] = {}

    def begin(self) -> None:
        """Look at all quotas."""
        self._quotas.clear()
        for record in self.registry.store.list(QUOTAS):
            self._changed(Change("ADDED", record.rv, record, None))

    def keys_of(self, change: Change) -> list[Key]:
        """The quotas of the namespace: what they count may be another amount now."""
        key = change.record.key
        if key.resource == QUOTAS:
            quotas = self._quotas.setdefault(key.namespace, set())
            if change.type != "DELETED":
                quotas.add(key)
            else:
                quotas.discard(key)
            if not quotas:
                del self._quotas[key.namespace]
            if change.type == "MODIFIED":
                return [key]
        return list(self._quotas.get(key.namespace, ()))

    async def sync(self, key: Key) -> float | None:
        """Write the quota's status."""
        record = self.registry.store.get(key)
        if record is None:
            return None
        quota = record.object()
        hard = quota.get("spec", {}).get("hard", {})
        used = usage(self.registry, key.namespace, hard, takes(quota))

        def change(obj: Object) -> None:
            obj["status"] = {"hard": hard, "used": used}

        self.registry.modify(*key, change)
        return None
