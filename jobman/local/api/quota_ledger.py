"""What the objects of a namespace take together, kept change by change for its quotas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobman.local.api.quota import Amounts, used_by
from jobman.local.api.quota_scopes import Traits, traits
from jobman.local.mirror import CompactedError
from jobman.local.store import Store
from jobman.values.quantity import ZERO

Object = dict[str, Any]


class Sums:
    """What objects of one resource take, added up for those that scopes cannot tell apart."""

    def __init__(self) -> None:
        self.rv = self.undone = -1
        self.of: dict[Traits, Amounts] = {}
        self.taken: dict[str, tuple[Traits, Amounts]] = {}

    def put(self, resource: str, name: str, obj: Object | None) -> None:
        """An object is this one now, or gone."""
        if before := self.taken.pop(name, None):
            total = self.of[before[0]]
            for what, amount in before[1].items():
                total[what] -= amount
        if obj is not None:
            kind, amounts = self.taken[name] = traits(resource, obj), used_by(resource, obj)
            total = self.of.setdefault(kind, {})
            for what, amount in amounts.items():
                total[what] = total.get(what, ZERO) + amount


class Ledger:
    """The sums of each resource and namespace that was asked for.

    They are those of the moment: what subscribers have not been told of yet is counted too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sums: dict[tuple[str, str], Sums] = {}

    def of(self, resource: str, namespace: str) -> Iterable[tuple[Traits, Amounts]]:
        """What the objects of a namespace take, by what scopes see of them."""
        sums, store = self._sums.get((resource, namespace)), self._store
        latest = self._latest(sums, resource, namespace) if sums else None
        if sums is None or latest is None:
            sums = self._sums[resource, namespace] = Sums()
            latest = {r.key.name: r.object() for r in store.list(resource, namespace)}
        for name, obj in latest.items():
            sums.put(resource, name, obj)
        sums.rv, sums.undone = store.rv, store.undone
        if not sums.taken:
            del self._sums[resource, namespace]
        return sums.of.items()

    def _latest(self, sums: Sums, resource: str, namespace: str) -> dict[str, Object | None] | None:
        """The objects that have changed since, those gone as None; None where that is forgotten."""
        if sums.undone != self._store.undone:
            return None
        try:
            changes = self._store.since(resource, sums.rv)
        except CompactedError:
            return None
        last = {c.record.key.name: c for c in changes if c.record.key.namespace == namespace}
        return {
            name: None if change.type == "DELETED" else change.record.object()
            for name, change in last.items()
        }
