"""Persistent volume claims: bound at once to a directory that is kept until the claim goes."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

from jobman.local import places
from jobman.local.api.registry import Registry
from jobman.local.store import Change
from jobman.local.volumes import claim_directory

Object = dict[str, Any]

RESOURCE = "persistentvolumeclaims"


class ClaimKeeper:
    """Binds claims, and deletes the directories of those that are gone."""

    def __init__(self, registry: Registry, directory: Path) -> None:
        self._registry = registry
        self._directory = directory
        self._gone: deque[Path] = deque()
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        forget = self._registry.store.subscribe(self._changed, RESOURCE)
        try:
            self._take_up()
            while True:
                await self._woken.wait()
                self._woken.clear()
                self._bind_all()
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
        if change.type == "DELETED":
            self._gone.append(claim_directory(self._directory, change.record.object()))
        if change.type != "MODIFIED":
            self._woken.set()

    def _bind_all(self) -> None:
        for claim in self._registry.list(RESOURCE):
            if claim.get("status", {}).get("phase") != "Bound":
                about = claim["metadata"]
                self._registry.modify(RESOURCE, about["namespace"], about["name"], _bind)


def _bind(claim: Object) -> None:
    spec = claim["spec"]
    claim["status"] = {
        "phase": "Bound",
        "accessModes": spec.get("accessModes", []),
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
    }
