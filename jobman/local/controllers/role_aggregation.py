"""A ClusterRole with an aggregationRule has the rules of those that it selects by their labels."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

import msgspec

from jobman.local.api import selectors
from jobman.local.api.authz import RBAC
from jobman.local.api.registry import Registry
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.workqueue import Controller
from jobman.local.stored import Change, Record, Records

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
    rules = _gathered(role, registry.store.list(ROLES))
    if rules != role.get("rules"):
        registry.modify(ROLES, "", name, lambda changed: changed.update(rules=rules))


def _gathered(role: Object, records: Records) -> list[Object]:
    """The rules of those that it selects; one that gathers stands for those that it selects itself.

    What such a one has is not asked: in a ring each would hand its rules on, round and round.
    """
    found: dict[bytes, Object] = {}
    seen = {role["metadata"]["name"]}
    open_ = [_selected(role, records, seen)]
    while open_:
        record = next(open_[-1], None)
        if record is None:
            open_.pop()
            continue
        seen.add(record.key.name)
        each = record.object()
        if _selectors(each):
            open_.append(_selected(each, records, seen))
            continue
        for rule in each.get("rules") or []:
            found.setdefault(msgspec.json.encode(rule, order="sorted"), rule)
    return list(found.values())


def _selected(role: Object, records: Records, seen: Set[str]) -> Iterator[Record]:
    for selector in _selectors(role):
        selects = selectors.of_object(selector)
        for record in records:
            if record.key.name not in seen and selects(record.labels):
                yield record


def _selectors(role: Object) -> list[Object]:
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
