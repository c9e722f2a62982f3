"""Persistent volume claims: bound at once to a directory that is kept until the claim goes."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

from jobman.local import places
from jobman.local.api.admission import CLAIM_PROTECTION
from jobman.local.api.registry import Registry
from jobman.local.stored import Change
from jobman.local.volumes import claim_directory
from jobman.values.quantity import parse

Object = dict[str, Any]

RESOURCE = "persistentvolumeclaims"


class ClaimKeeper:
    """Binds claims, grows them, and deletes the directories of those that are gone.

    A claim goes only when no pod that has a node names it any more.
    """

    def __init__(self, registry: Registry, directory: Path) -> None:
        self._registry = registry
        self._directory = directory
        self._gone: deque[Path] = deque()
        self._held = False
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        forget = self._registry.store.subscribe(self._changed, RESOURCE, "pods")
        try:
            self._take_up()
            while True:
                await self._woken.wait()
                self._woken.clear()
                self._look()
                while self._gone:
                    await asyncio.to_thread(places.remove_tree, self._gone.popleft())
        finally:
            forget()

    def _take_up(self) -> None:
        claims = self._registry.list(RESOURCE)
        kept = {claim_directory(self._directory, claim) for claim in claims}
        if self._directory.is_dir():
            self._gone.extend(path for path in self._directory.iterdir() if path not in kept)
        self._woken.set()

    def _changed(self, change: Change) -> None:
        if change.record.key.resource == "pods":
            if self._held and change.type == "DELETED":
                self._woken.set()
            return
        if change.type == "DELETED":
            self._gone.append(claim_directory(self._directory, change.record.object()))
        self._woken.set()

    def _look(self) -> None:
        self._held = False
        for claim in self._registry.list(RESOURCE):
            about = claim["metadata"]
            if "deletionTimestamp" not in about:
                if claim.get("status", {}).get("phase") != "Bound" or _asks_for_more(claim):
                    self._registry.modify(RESOURCE, about["namespace"], about["name"], _bind)
            elif self._is_used(about["namespace"], about["name"]):
                self._held = True
            elif CLAIM_PROTECTION in about.get("finalizers", []):
                self._registry.modify(RESOURCE, about["namespace"], about["name"], _release)

    def _is_used(self, namespace: str, name: str) -> bool:
        mark = f'"claimName":"{name}"'.encode()
        pods = self._registry.store.list("pods", namespace)
        return any(record.node and mark in record.body for record in pods)


def _asks_for_more(claim: Object) -> bool:
    has = (claim["status"].get("capacity") or {}).get("storage", "0")
    asked = claim["spec"]["resources"]["requests"]["storage"]
    return parse(asked) > parse(has, allow_negative=True)


def _bind(claim: Object) -> None:
    """It has what it asks for: a directory has no size of its own."""
    spec = claim["spec"]
    spec.setdefault("volumeName", f"pvc-{claim['metadata']['uid']}")
    claim["status"] = claim.get("status", {}) | {
        "phase": "Bound",
        "accessModes": spec.get("accessModes", []),
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
    }


def _release(claim: Object) -> None:
    claim["metadata"]["finalizers"].remove(CLAIM_PROTECTION)
