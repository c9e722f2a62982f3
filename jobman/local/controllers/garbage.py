"""Garbage collection: what depends on what was deleted goes too, or is set free.

Background: the owner is gone, then its dependents go. Foreground: the owner waits for them.
Orphan: they lose the reference first. What is born with an owner that is not there goes at once.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import Any

from jobman.local.api.deletion import FOREGROUND, ORPHAN
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.resources import RESOURCES
from jobman.local.api.status import ApiError
from jobman.local.controllers.workqueue import Controller
from jobman.local.store import Change, Key

Object = dict[str, Any]


class GarbageCollector(Controller[Key]):
    """Looks at every object that has owners, or is being deleted, or was just deleted."""

    resources = tuple(r.name for r in RESOURCES if r.stored and r.kind != "Event")

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._alive: dict[str, Key] = {}
        self._dependents: defaultdict[str, set[Key]] = defaultdict(set)

    def keys_of(self, change: Change) -> list[Key]:
        """The object itself where it may have work for us; its dependents once it is gone."""
        record, key = change.record, change.record.key
        owners = _owner_uids(record.object())
        if change.type == "DELETED":
            self._alive.pop(record.uid, None)
            for uid in owners:
                self._dependents[uid].discard(key)
            return [*self._dependents.pop(record.uid, ()), *self._waiting_owners(owners)]
        self._alive[record.uid] = key
        for uid in owners:
            self._dependents[uid].add(key)
        deleted = "deletionTimestamp" in record.object()["metadata"]
        return [key] if owners or deleted else []

    def _waiting_owners(self, uids: list[str]) -> list[Key]:
        """Owners that may wait for the last of their dependents."""
        return [self._alive[uid] for uid in uids if uid in self._alive]

    def sync(self, key: Key) -> float | None:
        """Collect, set free, or let go one object."""
        obj = self.registry.find(*key)
        if obj is None:
            return None
        finalizers = obj["metadata"].get("finalizers", [])
        if "deletionTimestamp" in obj["metadata"]:
            if ORPHAN in finalizers:
                self._set_free(obj)
                self._let_go(key, ORPHAN)
            elif FOREGROUND in finalizers and not self._delete_dependents(obj):
                self._let_go(key, FOREGROUND)
        elif self._is_garbage(obj):
            self._delete(key, obj["metadata"]["uid"])
        return None

    def _is_garbage(self, obj: Object) -> bool:
        """Whether all of its owners are gone."""
        owners = _owner_uids(obj)
        return bool(owners) and not any(uid in self._alive for uid in owners)

    def _set_free(self, owner: Object) -> None:
        uid = owner["metadata"]["uid"]

        def change(obj: Object) -> None:
            about = obj["metadata"]
            left = [ref for ref in about.get("ownerReferences", []) if ref.get("uid") != uid]
            about["ownerReferences"] = left
            if not left:
                del about["ownerReferences"]

        for key in self._dependents.pop(uid, set()):
            with contextlib.suppress(ApiError):
                self.registry.modify(*key, change)

    def _delete_dependents(self, owner: Object) -> bool:
        """Delete what is not deleted yet; whether something that blocks the owner is left."""
        uid, blocked = owner["metadata"]["uid"], False
        for key in tuple(self._dependents.get(uid, ())):
            dependent = self.registry.find(*key)
            if dependent is None:
                continue
            blocked = blocked or _blocks(dependent, uid)
            if "deletionTimestamp" not in dependent["metadata"]:
                self._delete(key, dependent["metadata"]["uid"])
        return blocked and any(
            _blocks(found, uid)
            for key in self._dependents.get(uid, ())
            if (found := self.registry.find(*key)) is not None
        )

    def _delete(self, key: Key, uid: str) -> None:
        with contextlib.suppress(ApiError):
            self.registry.delete(*key, DeleteOptions(uid=uid))

    def _let_go(self, key: Key, finalizer: str) -> None:
        def change(obj: Object) -> None:
            left = [f for f in obj["metadata"].get("finalizers", []) if f != finalizer]
            obj["metadata"]["finalizers"] = left
            if not left:
                del obj["metadata"]["finalizers"]

        with contextlib.suppress(ApiError):
            self.registry.modify(*key, change)


def _owner_uids(obj: Object) -> list[str]:
    return [ref.get("uid", "") for ref in obj["metadata"].get("ownerReferences", [])]


def _blocks(obj: Object, owner_uid: str) -> bool:
    return any(
        ref.get("uid") == owner_uid and ref.get("blockOwnerDeletion")
        for ref in obj["metadata"].get("ownerReferences", [])
    )
