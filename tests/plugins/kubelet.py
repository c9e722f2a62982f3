"""A kubelet over a real registry and real processes, without a server or a scheduler."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobman.local import layout
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.controllers.events import EventRecorder
from jobman.local.devices import Devices
from jobman.local.kubelet import Kubelet
from jobman.local.places import State
from jobman.local.store import Store
from jobman.local.stored import Change
from jobman.local.supervisor import Supervisor

Object = dict[str, Any]

NODE = "node1"
NAMESPACE = "default"
ALLOCATABLE = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"}


@dataclass
class World:
    """One daemon's worth of kubelet; `seen` has every change of a pod, in order."""

    registry: Registry
    kubelet: Kubelet
    supervisor: Supervisor
    devices: Devices
    state: State
    seen: list[tuple[str, Object]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, change: Change) -> None:
        """Remember a change of a pod."""
        self.seen.append((change.type, change.record.object()))
        self._changed.set()

    def create(self, spec: Object, name: str = "p", **metadata: Any) -> Object:
        """A pod that is bound to the node."""
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, **metadata}}
        return self.registry.create("pods", NAMESPACE, {**pod, "spec": spec | {"nodeName": NODE}})

    def pod(self, name: str = "p") -> Object | None:
        return self.registry.find("pods", NAMESPACE, name)

    def delete(self, name: str = "p", grace_s: int | None = None) -> None:
        self.registry.delete("pods", NAMESPACE, name, DeleteOptions(grace_s=grace_s))

    async def until(self, holds: Callable[[Object], bool], name: str = "p") -> Object:
        """Wait for a pod to be as wanted."""
        while True:
            self._changed.clear()
            found = self.pod(name)
            if found is not None and holds(found):
                return found
            await self._changed.wait()

    async def until_gone(self, name: str = "p") -> None:
        while self.pod(name) is not None:
            self._changed.clear()
            await self._changed.wait()

    async def finished(self, name: str = "p") -> Object:
        """Wait for the pod's last phase."""
        return await self.until(lambda p: p["status"]["phase"] in ("Succeeded", "Failed"), name)

    def events(self) -> list[tuple[str, str, str]]:
        """(type, reason, message) of all events, oldest first."""
        return [(e["type"], e["reason"], e["message"]) for e in self.registry.list("events")]

    def log(self, pod: Object, container: str = "main", run: int = 0) -> Path:
        return self.state.pods / pod["metadata"]["uid"] / layout.run_directory(container, run)


@contextlib.asynccontextmanager
async def kubelet(place: Path, *, gpus: tuple[int, ...] | None = ()) -> AsyncIterator[World]:
    """A kubelet on the state in `place`, which outlives it, as its containers do.

    `gpus` None: they are still to be found.
    """
    state = State(place / "state")
    state.create()
    store = Store(state.database)
    registry = Registry(store)
    _arrange(registry)
    supervisor = Supervisor(state.empty)
    await supervisor.open()
    devices = Devices(gpus or ())
    if gpus is not None:
        devices.found.set()
    running = Kubelet(
        registry,
        state=state,
        node_name=NODE,
        allocatable=ALLOCATABLE,
        supervisor=supervisor,
        devices=devices,
        recorder=EventRecorder(registry, "kubelet", NODE),
    )
    world = World(registry, running, supervisor, devices, state)
    store.subscribe(world.note, "pods")
    task = asyncio.create_task(running.run())
    await asyncio.sleep(0)
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await supervisor.close()
        store.close()


def _arrange(registry: Registry) -> None:
    if registry.find("namespaces", "", NAMESPACE) is None:
        named: Object = {"metadata": {"name": NAMESPACE}}
        registry.create("namespaces", "", {"kind": "Namespace", "apiVersion": "v1"} | named)
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
        registry.create("serviceaccounts", NAMESPACE, account)


def run_kubelet(
    place: Path,
    body: Callable[[World], Awaitable[Any]],
    *,
    gpus: tuple[int, ...] = (),
    timeout_s: float = 20,
) -> Any:
    """Run `body` with a kubelet; afterwards nothing runs that it started."""

    async def run() -> Any:
        async with kubelet(place, gpus=gpus) as world:
            try:
                return await body(world)
            finally:
                for container in list(world.supervisor.running.values()):
                    container.kill()
                    await asyncio.wait([container.exit])

    return asyncio.run(asyncio.wait_for(run(), timeout_s))
