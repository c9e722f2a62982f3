"""A deleted namespace is emptied, and then goes."""

from __future__ import annotations

import asyncio
from typing import Any

from jobman.local.api.registry import DeleteOptions
from jobman.local.api.resources import RESOURCES
from jobman.local.api.status import ApiError
from jobman.local.controllers.workqueue import Controller
from jobman.local.moments import stamp
from jobman.local.stored import Change, Key, Record

Object = dict[str, Any]

NAMESPACES = "namespaces"
KEEPER = "kubernetes"
_INSIDE = tuple(r for r in RESOURCES if r.stored and r.namespaced)
# Jobs first: nothing makes new pods while the pods go. Events last: they tell of it.
_ORDER = tuple(sorted(_INSIDE, key=lambda r: (r.kind != "Job", r.kind == "Event", r.name)))
_STEPS_IN_A_ROW = 50

_FOUND = ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered")
_PARSED = ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions")
_DELETED = ("NamespaceDeletionContentFailure", "ContentDeleted")


class NamespaceController(Controller[Key]):
    """Empties terminating namespaces; looks again whenever something in them has gone."""

    resources = (NAMESPACES, *(r.name for r in _INSIDE))

    def keys_of(self, change: Change) -> list[Key]:
        """A terminating namespace: itself, or that of what was deleted."""
        key = change.record.key
        if key.resource == NAMESPACES:
            return [key] if change.type != "DELETED" and change.record.deleting else []
        if change.type == "MODIFIED" or (change.type == "ADDED" and change.previous is None):
            return []
        home = Key(NAMESPACES, "", key.namespace)
        record = self.registry.store.get(home)
        return [home] if record is not None and record.deleting else []

    async def sync(self, key: Key) -> float | None:
        """Delete what is inside; finalize when nothing is left."""
        record = self.registry.store.get(key)
        if record is None or not record.deleting:
            return None
        await self._empty(key.name)
        remaining = self._remaining(key.name)
        now = stamp(self.clock.now())

        def tell(namespace: Object) -> None:
            status = namespace.setdefault("status", {})
            status["conditions"] = _conditions(remaining, status.get("conditions", []), now)

        self.registry.modify(*key, tell)
        if not remaining:
            self.registry.modify(*key, _finalize)
        return None

    async def _empty(self, namespace: str) -> None:
        count = 0
        for resource in _ORDER:
            for record in self.registry.store.list(resource.name, namespace):
                if not record.deleting:
                    self._delete(record)
                    count += 1
                if count % _STEPS_IN_A_ROW == _STEPS_IN_A_ROW - 1:
                    await asyncio.sleep(0)

    def _delete(self, record: Record) -> None:
        try:
            self.registry.delete(*record.key, DeleteOptions(uid=record.uid))
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _remaining(self, namespace: str) -> dict[str, list[Record]]:
        """What is still there, by resource."""
        found = {r.name: self.registry.store.list(r.name, namespace) for r in _ORDER}
        return {name: records for name, records in found.items() if records}


def _finalize(namespace: Object) -> None:
    left = [name for name in namespace["spec"].get("finalizers", []) if name != KEEPER]
    namespace["spec"]["finalizers"] = left


def _conditions(remaining: dict[str, list[Record]], before: list[Object], now: str) -> list[Object]:
    """How the emptying goes, in Kubernetes' words."""
    since = {(c.get("type"), c.get("status")): c.get("lastTransitionTime") for c in before}
    told = [
        (*_FOUND, "All resources successfully discovered", False),
        (*_PARSED, "All legacy kube types successfully parsed", False),
        (*_DELETED, "All content successfully deleted, may be waiting on finalization", False),
        _content(remaining),
        _finalizers(remaining),
    ]
    conditions = []
    for kind, reason, message, holds in told:
        value = "True" if holds else "False"
        conditions.append(
            {
                "type": kind,
                "status": value,
                "lastTransitionTime": since.get((kind, value)) or now,
                "reason": reason,
                "message": message,
            }
        )
    return conditions


def _content(remaining: dict[str, list[Record]]) -> tuple[str, str, str, bool]:
    kind = "NamespaceContentRemaining"
    if not remaining:
        return kind, "ContentRemoved", "All content successfully removed", False
    counts = [
        f"{_dotted(name)} has {len(records)} resource instances"
        for name, records in sorted(remaining.items())
    ]
    return (
        kind,
        "SomeResourcesRemain",
        f"Some resources are remaining: {', '.join(counts)}",
        True,
    )


def _finalizers(remaining: dict[str, list[Record]]) -> tuple[str, str, str, bool]:
    kind = "NamespaceFinalizersRemaining"
    counts: dict[str, int] = {}
    for records in remaining.values():
        for record in records:
            if b'"finalizers"' in record.body:
                for name in record.object()["metadata"].get("finalizers", []):
                    counts[name] = counts.get(name, 0) + 1
    if not counts:
        done = "All content-preserving finalizers finished"
        return kind, "ContentHasNoFinalizers", done, False
    listed = ", ".join(f"{name} in {n} resource instances" for name, n in sorted(counts.items()))
    text = f"Some content in the namespace has finalizers remaining: {listed}"
    return kind, "SomeFinalizersRemain", text, True


def _dotted(resource: str) -> str:
    """`pods.`, `jobs.batch`: a group's name always follows the dot."""
    return resource if "." in resource else f"{resource}."
