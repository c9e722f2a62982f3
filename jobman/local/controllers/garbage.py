"""Garbage collection: what depends on what was deleted goes too, or is set free.

Background: the owner is gone, then its dependents go. Foreground: the owner waits for those
that block it. Orphan: they lose the reference first. What is born with an owner that is not
there goes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import cache
from typing import Any

import msgspec

from jobman.local.api.deletion import FOREGROUND, ORPHAN
from jobman.local.api.metadata import drop_finalizer, drop_owners, stop_blocking
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.resources import RESOURCES, Resource
from jobman.local.api.status import ApiError
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.workqueue import Controller
from jobman.local.stored import Change, Key, Record

Object = dict[str, Any]


class Owner(msgspec.Struct, frozen=True):
    """An ownerReference."""

    apiVersion: str = ""  # noqa: N815
    kind: str = ""
    name: str = ""
    uid: str = ""
    blockOwnerDeletion: bool | None = None  # noqa: N815


class _Metadata(msgspec.Struct):
    ownerReferences: list[Owner] = []  # noqa: N815
    finalizers: list[str] = []
    deletionTimestamp: str = ""  # noqa: N815

    def waits_for_dependents(self) -> bool:
        """Whether it is being deleted in the foreground."""
        return bool(self.deletionTimestamp) and FOREGROUND in self.finalizers


class _Envelope(msgspec.Struct):
    metadata: _Metadata


_DECODER = msgspec.json.Decoder(_Envelope)
# Most objects have no owners: one look at the bytes tells.
_OWNED = b'"ownerReferences"'


class GarbageCollector(Controller[Key]):
    """Looks at every object that has owners, or is being deleted, or was just deleted."""

    resources = tuple(r.name for r in RESOURCES if r.stored and r.kind != "Event")

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._owners: dict[Key, tuple[str, ...]] = {}
        self._dependents: dict[str, set[Key]] = {}

    def begin(self) -> None:
        """Learn all references anew before the first is looked at."""
        self._owners.clear()
        self._dependents.clear()
        super().begin()

    # -- what happens ----------------------------------------------------------------------------

    def keys_of(self, change: Change) -> list[Key]:
        """The object itself where it may have work for us; its dependents once it is gone."""
        record, key = change.record, change.record.key
        if change.type == "DELETED":
            freed = self._learn(key, ())
            waiting = self._waiting(change, set(freed)) if freed else ()
            return [*sorted(self._dependents.get(record.uid, ())), *waiting]
        if not record.deleting and _OWNED not in record.body:
            if key in self._owners:
                self._learn(key, ())
            return []
        if _is_as_before(change):
            return []
        about = _metadata(record)
        before = self._learn(key, tuple(owner.uid for owner in about.ownerReferences))
        dropped = set(before).difference(self._owners.get(key, ()))
        keys = self._waiting(change, dropped) if dropped else []
        if about.deletionTimestamp or any(map(self._is_gone_for(key), about.ownerReferences)):
            keys.append(key)
        return keys

    def _learn(self, key: Key, uids: tuple[str, ...]) -> tuple[str, ...]:
        """Note an object's owners, and return those that it had."""
        before = self._owners.pop(key, ())
        for uid in before:
            dependents = self._dependents.get(uid, set())
            dependents.discard(key)
            if not dependents:
                self._dependents.pop(uid, None)
        for uid in uids:
            self._dependents.setdefault(uid, set()).add(key)
        if uids:
            self._owners[key] = uids
        return before

    def _waiting(self, change: Change, uids: Set[str]) -> list[Key]:
        """The places of the owners that the object had, those that wait for their dependents."""
        keys: dict[Key, None] = {}
        for record in (change.previous, change.record):
            for owner in _metadata(record).ownerReferences if record is not None else ():
                if owner.uid in uids:
                    found = self._record_of(owner, change.record.key.namespace)
                    if found is not None and found.deleting:
                        keys[found.key] = None
        return list(keys)

    def _record_of(self, owner: Owner, namespace: str) -> Record | None:
        """The owner, if it is there and is that very one."""
        resource = _resource_of(owner.apiVersion, owner.kind)
        if resource is None:
            return None
        place = namespace if resource.namespaced else ""
        record = self.registry.store.get(Key(resource.name, place, owner.name))
        return record if record is not None and record.uid == owner.uid else None

    def _is_gone_for(self, key: Key) -> Callable[[Owner], bool]:
        return lambda owner: self._is_gone(owner, key.namespace)

    def _is_gone(self, owner: Owner, namespace: str) -> bool:
        """Whether the owner is not there; of kinds that we do not know nobody can tell."""
        known = _resource_of(owner.apiVersion, owner.kind) is not None
        return known and self._record_of(owner, namespace) is None

    # -- what is done ----------------------------------------------------------------------------

    async def sync(self, key: Key) -> float | None:
        """Collect, set free, or let go of one object."""
        record = self.registry.store.get(key)
        if record is None:
            return None
        about = _metadata(record)
        if not about.deletionTimestamp:
            self._collect(record, about)
        elif ORPHAN in about.finalizers:
            self._set_free_dependents(record)
            self._let_go(record, ORPHAN)
        elif FOREGROUND in about.finalizers and not self._is_blocked(record):
            self._let_go(record, FOREGROUND)
        return None

    def _collect(self, record: Record, about: _Metadata) -> None:
        """Delete what has no owner any more; keep what has one, without the other references."""
        namespace = record.key.namespace
        gone = [o for o in about.ownerReferences if self._is_gone(o, namespace)]
        going = [o for o in about.ownerReferences if self._waits(o, namespace)]
        if not gone and not going:
            return
        if len(gone) + len(going) < len(about.ownerReferences):
            self._set_free(record.key, {owner.uid for owner in (*gone, *going)})
            return
        if going and self._has_going_dependents(record.uid):
            self._modify(record.key, stop_blocking)  # a circle: each would wait for the other
        blocking = going and self._has_blocking(record.uid)
        self._delete(record, "Foreground" if blocking else _asked_for(about))

    def _waits(self, owner: Owner, namespace: str) -> bool:
        record = self._record_of(owner, namespace)
        return record is not None and _metadata(record).waits_for_dependents()

    def _has_going_dependents(self, uid: str) -> bool:
        found = map(self.registry.store.get, self._dependents.get(uid, ()))
        return any(_metadata(record).waits_for_dependents() for record in found if record)

    def _has_blocking(self, uid: str) -> bool:
        return any(self._blocks(key, uid) for key in self._dependents.get(uid, ()))

    def _blocks(self, key: Key, uid: str) -> bool:
        record = self.registry.store.get(key)
        return record is not None and any(
            owner.uid == uid and owner.blockOwnerDeletion
            for owner in _metadata(record).ownerReferences
        )

    def _is_blocked(self, owner: Record) -> bool:
        """Delete the dependents; whether one that blocks the owner is left."""
        for key in sorted(self._dependents.get(owner.uid, ())):
            record = self.registry.store.get(key)
            if record is not None and not (about := _metadata(record)).deletionTimestamp:
                self._collect(record, about)
        return self._has_blocking(owner.uid)

    def _set_free_dependents(self, owner: Record) -> None:
        for key in sorted(self._dependents.get(owner.uid, ())):
            self._set_free(key, {owner.uid})

    def _set_free(self, key: Key, uids: set[str]) -> None:
        self._modify(key, lambda obj: drop_owners(obj, uids))

    def _let_go(self, record: Record, finalizer: str) -> None:
        self._modify(record.key, lambda obj: drop_finalizer(obj, finalizer))

    def _modify(self, key: Key, change: Callable[[Object], None]) -> None:
        try:
            self.registry.modify(*key, change)
        except ApiError as error:
            if error.code != 404:
                raise

    def _delete(self, record: Record, propagation: Any) -> None:
        options = DeleteOptions(propagation=propagation, uid=record.uid)
        try:
            self.registry.delete(*record.key, options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _is_as_before(change: Change) -> bool:
    """Whether nothing is new about the owners of an object that stays: the bytes tell of most."""
    previous = change.previous
    if previous is None or change.record.deleting:
        return False
    return _owners_text(change.record.body) == _owners_text(previous.body)


def _owners_text(body: bytes) -> bytes:
    """From `"ownerReferences"` to the list's end."""
    start = body.find(_OWNED)
    return body[start : body.find(b"]", start)] if start >= 0 else b""


def _metadata(record: Record) -> _Metadata:
    return _DECODER.decode(record.body).metadata


def _asked_for(about: _Metadata) -> str:
    """The propagation that finalizers on the object ask for."""
    if ORPHAN in about.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in about.finalizers else "Background"


@cache
def _resource_of(api_version: str, kind: str) -> Resource | None:
    return next(
        (r for r in RESOURCES if r.stored and (r.group_version, r.kind) == (api_version, kind)),
        None,
    )
