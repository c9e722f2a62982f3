"""A ClusterRole with an aggregationRule has the rules of those that it selects by their labels."""

from __future__ import annotations

from typing import Any

import msgspec

from jobman.local.api import selectors
from jobman.local.api.authz import RBAC
from jobman.local.api.registry import Registry
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.workqueue import Controller
from jobman.local.stored import Change

Object = dict[str, Any]

ROLES = f"clusterroles.{RBAC}"


class RoleAggregation(Controller[str]):
    """Keeps their rules so, whoever edits them. A key is such a role's name."""

    resources = (ROLES,)

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._gathering: set[str] = set()

    def begin(self) -> None:
        """Learn anew which there are."""
        self._gathering.clear()
        super().begin()

    def keys_of(self, change: Change) -> list[str]:
        """All of them, since any may select the role, or have selected it."""
        name = change.record.key.name
        if change.type != "DELETED" and _selectors(change.record.object()):
            self._gathering.add(name)
        else:
            self._gathering.discard(name)
        return sorted(self._gathering)

    async def sync(self, key: str) -> float | None:
        """Write what it gathers."""
        gather(self.registry, key)
        return None


def gather(registry: Registry, name: str) -> None:
    """Give a role the rules of those that it selects, if it selects any."""
    role = registry.find(ROLES, "", name)
    if role is None or not _selectors(role):
        return
    found: dict[bytes, Object] = {}
    left = [record for record in registry.store.list(ROLES) if record.key.name != name]
    for selector in _selectors(role):
        selects = selectors.of_object(selector)
        for record in filter(lambda each: selects(each.labels), left):
            for rule in record.object().get("rules") or []:
                found.setdefault(msgspec.json.encode(rule, order="sorted"), rule)
        left = [record for record in left if not selects(record.labels)]
    rules = list(found.values())
    if rules != role.get("rules"):
        registry.modify(ROLES, "", name, lambda changed: changed.update(rules=rules))


def _selectors(role: Object) -> list[Object]:
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
