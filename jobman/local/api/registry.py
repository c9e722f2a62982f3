"""The semantics behind the HTTP API, used by the controllers of this process too.

Every call is one step on one thread: what it reads is what it writes over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from jobman.local.api import (
    admission,
    apply,
    apply_rules,
    defaults,
    escalation,
    last_applied,
    managed_fields,
    metadata,
    schema,
    selectors,
    status,
    validation,
)
from jobman.local.api.deletion import DeleteOptions, is_over, marked
from jobman.local.api.patch import apply_patch
from jobman.local.api.quota_ledger import Ledger
from jobman.local.api.resources import Resource, resource_of
from jobman.local.api.schema import Mode
from jobman.local.api.users import SYSTEM, User
from jobman.local.store import ExistsError, StorageError, Store
from jobman.local.stored import Key, Record, Records
from jobman.local.turns import Turns

__all__ = ["DeleteOptions", "Registry", "Write", "Written"]

Object = dict[str, Any]
Objects = list[Object]
# A status that a creator may bring: nobody else writes it.
_STATUS_ON_CREATE = frozenset({"Node"})
APPLY = "application/apply-patch+yaml"
# How long one request that does much keeps others waiting.
_TURN_S = 0.010


class Write(msgspec.Struct, frozen=True):
    """How a write is asked for: by whom, for real or not, how strict about unknown fields.

    `shaped`: it was made here, of what was checked before, and is the writer's to give away.
    `manager` and `force` are of an apply; `managed` are the managedFields that it leaves.
    """

    user: User = SYSTEM
    dry_run: bool = False
    mode: Mode = "Ignore"
    shaped: bool = False
    manager: str = ""
    force: bool = False
    managed: tuple[Object, ...] = ()


class Written(msgspec.Struct, frozen=True):
    """What a write made, and the warnings that go with it.

    `body` is the object as it was encoded to be kept; empty where it was not.
    """

    object: Object
    warnings: tuple[str, ...] = ()
    created: bool = False
    body: bytes = b""


class Registry:
    """All objects with their rules. Refusals are ApiErrors."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.quota_ledger = Ledger(store)
        self.turns = Turns()

    def find(self, resource: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        record = self.store.get(Key(resource, namespace, name))
        return record.object() if record else None

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """The object. Raises a 404."""
        return self._record(resource_of(resource), namespace, name).object()

    def list(
        self, resource: str, namespace: str | None = None, selector: str | None = None
    ) -> Objects:
        """The objects of a namespace (None: of all) that a label selector takes."""
        records = self.store.list(resource, namespace)
        if selector is not None:
            accepts = selectors.labels(selector)
            records = [record for record in records if accepts(record.labels)]
        return [record.object() for record in records]

    def create(
        self,
        resource: str,
        namespace: str,
        obj: Mapping[str, Any],
        *,
        user: User = SYSTEM,
        dry_run: bool = False,
        shaped: bool = False,
    ) -> Object:
        """Create an object and return it as it is kept."""
        write = Write(user=user, dry_run=dry_run, shaped=shaped)
        return self.create_as(resource_of(resource), namespace, obj, write).object

    def create_as(self, resource: Resource, namespace: str, obj: Any, write: Write) -> Written:
        """Create: shape, namespace, identity, defaults, admission, rules, quota, store."""
        made, warnings = (obj, []) if write.shaped else schema.check(resource, obj, write.mode)
        metadata.check_namespace(resource, made, namespace)
        if resource.kind not in _STATUS_ON_CREATE:
            made.pop("status", None)
        metadata.begin(resource, made, dry_run=write.dry_run)
        managed_fields.write(made, write.managed)
        defaults.apply(resource.kind, made)
        if resource.kind == "Job":
            defaults.generate_selector(made)
        admission.mutate(self, resource, made, write.user)
        escalation.check(self, resource, made, write.user)
        causes = validation.validate_create(resource.kind, made)
        if causes:
            raise status.invalid(resource.kind, resource.group, made["metadata"]["name"], causes)
        admission.validate(self, resource, made)
        body = b""
        if not write.dry_run:
            body = self._stored(resource, made).body
        elif self.find(resource.name, namespace, made["metadata"]["name"]) is not None:
            raise status.already_exists(resource.plural, resource.group, made["metadata"]["name"])
        surprises = validation.warnings(resource.kind, made)
        return Written(made, (*warnings, *surprises), created=True, body=body)

    async def create_soon(
        self, resource: Resource, namespace: str, obj: Any, write: Write
    ) -> Written:
        """Like `create_as`; many who create at once share a write to the disk.

        A refusal waits for it too: what is in the way may be of the same moment.
        """
        try:
            with self.store.soon() as batch:
                return self.create_as(resource, namespace, obj, write)
        finally:
            try:
                await batch.kept()
            except StorageError as error:
                raise status.internal(str(error)) from error

    def update(
        self,
        resource: str,
        namespace: str,
        name: str,
        obj: Mapping[str, Any],
        *,
        user: User = SYSTEM,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Replace an object, or its status."""
        write = Write(user=user, dry_run=dry_run)
        return self.update_as(
            resource_of(resource), namespace, name, obj, write, subresource
        ).object

    def update_as(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        obj: Any,
        write: Write,
        subresource: str | None = None,
    ) -> Written:
        """Replace: shape, names, then as every change of an object."""
        new, warnings = schema.check(resource, obj, write.mode)
        metadata.check_namespace(resource, new, namespace)
        metadata.check_name(new, name)
        old = self.get(resource.name, namespace, name)
        kept = self._change(resource, old, new, write, subresource)
        return Written(kept, tuple(warnings))

    def patch_as(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        content_type: str,
        patch: Any,
        write: Write,
        subresource: str | None = None,
    ) -> Written:
        """Patch an object; an apply of one that is not there creates it."""
        old = self.find(resource.name, namespace, name)
        if content_type == APPLY and isinstance(patch, dict):
            apply_rules.check(resource, patch)
        if old is None and content_type == APPLY and isinstance(patch, dict) and not subresource:
            patch = apply.merge(resource.kind, {}, patch)
            metadata.check_new(resource, patch, name)
            checked, _ = schema.check(resource, patch, write.mode)
            managed = managed_fields.of_new(resource, checked, write.manager)
            body = {**patch, "metadata": {**(patch.get("metadata") or {}), "name": name}}
            return self.create_as(resource, namespace, body, replace(write, managed=managed))
        if old is None:
            raise status.not_found(resource.plural, resource.group, name)
        patched = apply_patch(content_type, resource.kind, old, patch)
        if content_type == APPLY:
            patched = managed_fields.without_dropped(resource, old, patched, patch, write.manager)
        new, warnings = schema.check_patched(resource, patched, write.mode)
        metadata.check_name(new, name)
        metadata.check_namespace(resource, new, namespace)
        if content_type == APPLY:
            last_applied.keep(new, patch, write.manager)
            managed = managed_fields.after_apply(
                resource, old, new, patch, write.manager, force=write.force
            )
            write = replace(write, managed=managed)
        kept = self._change(resource, old, new, write, subresource, is_patch=True)
        return Written(kept, tuple(warnings))

    def modify(
        self,
        resource: str,
        namespace: str,
        name: str,
        change: Callable[[Object], None],
    ) -> Object:
        """Read, let `change` work on it, write: for controllers, whose changes are trusted.

        Raises a 404.
        """
        kind = resource_of(resource)
        obj = self._record(kind, namespace, name).object()
        change(obj)
        return self._keep(kind, obj)

    def replace_status(
        self, resource: str, known: Object, merge: Callable[[Object], Object]
    ) -> Object | None:
        """Write the status of this very object, and return the object; None if it is no more.

        `known` is how the writer knows it, and stays as it is: it need not be read again where
        that is still true. `merge` makes the new status of the present one, and leaves that be.
        """
        kind = resource_of(resource)
        record = self.store.get(self._key(kind, known))
        if record is None or record.uid != known["metadata"]["uid"]:
            return None
        if known["metadata"]["resourceVersion"] == str(record.rv):
            obj = {**known, "metadata": dict(known["metadata"])}
        else:
            obj = record.object()
        obj["status"] = merge(obj.get("status", {}))
        return self._keep(kind, obj)

    def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        options: DeleteOptions | None = None,
        *,
        user: User = SYSTEM,  # noqa: ARG002 - who deletes is not recorded
    ) -> Object:
        """Delete an object; the answer is the object where it stays or is a pod, else a Status."""
        options = options or DeleteOptions()
        kind = resource_of(resource)
        obj = self.get(resource, namespace, name)
        metadata.check_preconditions(kind, obj, options.uid, options.resource_version)
        admission.may_delete(kind, obj)
        obj = marked(kind, obj, options)
        over = is_over(obj)
        if not options.dry_run:
            obj = self._keep(kind, obj, gone=over)
        if over and kind.kind != "Pod":
            uid = obj["metadata"]["uid"]
            return status.success(status.details_of(name, kind.group, kind.plural, uid=uid))
        return obj

    async def delete_collection(self, records: Records, options: DeleteOptions) -> None:
        """Delete each of the objects that is still there; others have their turn in between."""
        turn_ends = time.monotonic() + _TURN_S
        for record in records:
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + _TURN_S
            there = self.store.get(record.key)
            if there is not None and there.uid == record.uid:
                self.delete(*record.key, replace(options, uid=record.uid))

    def _record(self, resource: Resource, namespace: str, name: str) -> Record:
        record = self.store.get(Key(resource.name, namespace, name))
        if record is None:
            raise status.not_found(resource.plural, resource.group, name)
        return record

    def _change(
        self,
        resource: Resource,
        old: Object,
        new: Object,
        write: Write,
        subresource: str | None,
        *,
        is_patch: bool = False,
    ) -> Object:
        """An object's change by a client: what it may change, defaults, rules, store."""
        if subresource == "status":
            new = {**_only_status(old, new), "metadata": {**old["metadata"], **_version_of(new)}}
        elif resource.subresource("status") and "status" in old:
            new["status"] = old["status"]
        elif resource.subresource("status"):
            new.pop("status", None)
        metadata.carry_over(resource, old, new, is_patch=is_patch)
        defaults.apply(resource.kind, new)
        admission.mutate_change(resource, old, new)
        escalation.check(self, resource, new, write.user, old)
        managed_fields.write(new, write.managed or managed_fields.after_update(resource, old, new))
        if new.get("spec") != old.get("spec"):
            metadata.count_generation(new)
        rules = (
            validation.validate_status if subresource == "status" else validation.validate_update
        )
        causes = rules(resource.kind, old, new)
        if causes:
            raise status.invalid(resource.kind, resource.group, old["metadata"]["name"], causes)
        # what only comes in another order is no change
        kept = old if new == old else new
        return kept if write.dry_run else self._keep(resource, kept)

    def _stored(self, resource: Resource, obj: Object) -> Record:
        about = obj["metadata"]
        # where it stands after every change, so that one that changes nothing finds the same bytes
        obj["metadata"] = metadata.in_order({**about, "resourceVersion": ""})
        try:
            return self.store.create(self._key(resource, obj), obj)
        except ExistsError as error:
            deleting = "deletionTimestamp" in error.record.object()["metadata"]
            raise status.already_exists(
                resource.plural, resource.group, about["name"], deleting=deleting
            ) from None
        except StorageError as error:
            raise status.internal(str(error)) from error

    def _keep(self, resource: Resource, obj: Object, *, gone: bool | None = None) -> Object:
        """Write a changed object; one that is being deleted and held by nobody goes."""
        key = self._key(resource, obj)
        if gone is None:
            gone = "deletionTimestamp" in obj["metadata"] and is_over(obj)
        before = self.store.get(key) if gone else None
        try:
            if gone:
                self.store.delete(key, obj)
            else:
                self.store.update(key, obj)
        except StorageError as error:
            raise status.internal(str(error)) from error
        if before is not None:  # only a watch tells the deletion's own version
            obj["metadata"]["resourceVersion"] = str(before.rv)
        return obj

    def _key(self, resource: Resource, obj: Object) -> Key:
        about = obj["metadata"]
        return Key(resource.name, about.get("namespace", ""), about["name"])


def _only_status(old: Object, new: Object) -> Object:
    rest = {key: value for key, value in old.items() if key != "status"}
    rest["metadata"] = dict(old["metadata"])
    return {**rest, "status": new["status"]} if "status" in new else rest


def _version_of(obj: Object) -> Object:
    """The resourceVersion and uid that a writer demands."""
    about = obj["metadata"]
    return {key: about[key] for key in ("resourceVersion", "uid") if about.get(key)}
