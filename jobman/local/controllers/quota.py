"""ResourceQuotas say what is used."""

from __future__ import annotations

from typing import Any

from jobman.local.api import quota
from jobman.local.controllers.workqueue import Controller
from jobman.local.store import Change

Object = dict[str, Any]
QUOTAS = "resourcequotas"


class QuotaController(Controller[str]):
    """Counts a namespace anew when something in it comes, goes or ends."""

    resources = (
        QUOTAS,
        "pods",
        "jobs.batch",
        "configmaps",
        "secrets",
        "persistentvolumeclaims",
        "serviceaccounts",
    )

    def keys_of(self, change: Change) -> list[str]:
        """The namespace, where it has a quota that the change may matter to."""
        key = change.record.key
        if key.resource != QUOTAS:
            matters = change.type != "MODIFIED" or key.resource == "pods"
            if not matters or not self.registry.store.list(QUOTAS, key.namespace, limit=1):
                return []
        return [key.namespace]

    async def sync(self, key: str) -> float | None:
        """Write the status of each quota of the namespace."""
        for found in self.registry.list(QUOTAS, key):
            hard = found.get("spec", {}).get("hard", {})
            used = quota.usage(self.registry, key, hard)
            status = {"hard": hard, "used": used}

            def change(obj: Object, status: Object = status) -> None:
                obj["status"] = status

            self.registry.modify(
                QUOTAS, key, found["metadata"]["name"], change, subresource="status"
            )
        return None
