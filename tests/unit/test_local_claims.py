"""Claims are bound, kept while pods use them, and then gone with their files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from plugins.local_registry import claim, pod

from jobman.local.api.admission import CLAIM_PROTECTION
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.claims import RESOURCE, ClaimKeeper
from jobman.local.stored import Change

Object = dict[str, Any]


@dataclass
class World:
    """A keeper at work, and what it does as it does it."""

    registry: Registry
    directory: Path
    changes: asyncio.Queue[Change]

    def find(self) -> Object | None:
        return self.registry.find(RESOURCE, "default", "data")

    def place(self, made: Object) -> Path:
        place = self.directory / str(made["metadata"]["uid"])
        place.mkdir(parents=True)
        (place / "file").touch()
        return place

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await self.changes.get()


@asynccontextmanager
async def keeping(registry: Registry, directory: Path) -> AsyncIterator[World]:
    world = World(registry, directory, asyncio.Queue())
    forget = registry.store.subscribe(world.changes.put_nowait, RESOURCE)
    task = asyncio.create_task(ClaimKeeper(registry, directory).run())
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        forget()


def is_bound(world: World, name: str = "data") -> bool:
    found = world.registry.find(RESOURCE, "default", name) or {}
    return bool(found.get("status", {}).get("phase") == "Bound")


def test_a_claim_is_bound_and_goes(registry: Registry, tmp_path: Path) -> None:
    async def body() -> None:
        async with keeping(registry, tmp_path / "claims") as world:
            made = registry.create(RESOURCE, "default", claim("data"))
            await world.until(lambda: is_bound(world))
            found = registry.get(RESOURCE, "default", "data")
            assert found["spec"]["volumeName"] == f"pvc-{made['metadata']['uid']}"
            assert found["status"]["capacity"] == {"storage": "1Gi"}
            place = world.place(made)
            registry.delete(RESOURCE, "default", "data")
            await world.until(lambda: world.find() is None)
            async with asyncio.timeout(10):
                while place.exists():
                    await asyncio.sleep(0)

    asyncio.run(body())


def test_a_claim_that_asks_for_more_gets_it(registry: Registry, tmp_path: Path) -> None:
    def ask(amount: str) -> None:
        made = registry.get(RESOURCE, "default", "data")
        made["spec"]["resources"]["requests"]["storage"] = amount
        registry.update(RESOURCE, "default", "data", made)

    def has(world: World, amount: str) -> bool:
        return bool((world.find() or {})["status"].get("capacity") == {"storage": amount})

    async def body() -> None:
        async with keeping(registry, tmp_path / "claims") as world:
            registry.create(RESOURCE, "default", claim("data"))
            await world.until(lambda: has(world, "1Gi"))
            for amount in ("1500Mi", "3Gi"):
                ask(amount)
                await world.until(lambda amount=amount: has(world, amount))  # type: ignore[misc]
            found = registry.get(RESOURCE, "default", "data")
            assert found["status"]["phase"] == "Bound"
            with pytest.raises(ApiError, match="can not be less than"):
                ask("2Gi")

    asyncio.run(body())


def test_a_claim_in_use_stays_until_its_last_pod_is_gone(
    registry: Registry, tmp_path: Path
) -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]

    async def body() -> None:
        async with keeping(registry, tmp_path / "claims") as world:
            made = registry.create(RESOURCE, "default", claim("data"))
            place = world.place(made)
            registry.create("pods", "default", pod("waits", volumes=volumes))
            registry.create("pods", "default", pod("runs", volumes=volumes, nodeName="n"))
            await world.until(lambda: is_bound(world))
            deleted = registry.delete(RESOURCE, "default", "data")
            assert deleted["metadata"]["finalizers"] == [CLAIM_PROTECTION]
            # a second claim that is bound tells that the keeper has looked
            registry.create(RESOURCE, "default", claim("other"))
            await world.until(lambda: is_bound(world, "other"))
            assert world.find() is not None
            assert (place / "file").exists()
            registry.delete("pods", "default", "runs", DeleteOptions(grace_s=0))
            await world.until(lambda: world.find() is None)

    asyncio.run(body())
