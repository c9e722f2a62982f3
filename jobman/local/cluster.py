"""The embedded cluster put together: store, API server, controllers, scheduler, kubelet."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from jobman import __version__
from jobman.local import certs, kubeconfig, node
from jobman.local.api.bodies import BODY_MAX
from jobman.local.api.registry import Registry
from jobman.local.certs import Certificates
from jobman.local.claims import ClaimKeeper
from jobman.local.controllers import all_controllers, basics
from jobman.local.controllers.events import EventRecorder
from jobman.local.devices import Devices
from jobman.local.kubelet import Kubelet
from jobman.local.listener import Listener
from jobman.local.machine_node import MachineNode
from jobman.local.moments import now
from jobman.local.node_agent import MachineAgent
from jobman.local.notify import DirectoryWatcher
from jobman.local.places import State
from jobman.local.scheduler import Scheduler
from jobman.local.server import Server
from jobman.local.simulated import Simulator
from jobman.local.store import Store
from jobman.local.supervisor import Supervisor
from jobman.local.users import Tokens, new_token, owner_name
from jobman.values.files import replace_file

log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_RESTART_S = 1.0
_SHUTDOWN_S = 2.0


class Part(Protocol):
    """A controller and the like: it can be started again at any time, and finds all it needs."""

    async def run(self) -> None:
        """Until cancelled."""


class Cluster:
    """Everything that runs in the daemon; entered, it serves until it is left.

    `umask` is that of containers.
    """

    def __init__(self, state: State, umask: int = 0o022) -> None:
        self._state = state
        self._umask = umask
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    async def _start(self) -> None:
        state = self._state
        store = Store(state.database)
        self._exit.callback(store.close)
        registry = Registry(store)
        basics.ensure(registry)
        certificates = certs.ensure(state.certificates, datetime.now(UTC))
        machine = MachineNode(registry, node.look(state.root), __version__)
        machine.register()
        supervisor = Supervisor(state.empty, self._umask)
        _allow_many_files()
        await supervisor.open()
        self._exit.push_async_callback(supervisor.close)
        agent = self._agent(machine, supervisor)
        tokens = self._tokens(registry, certificates)
        server = Server(registry, tokens=tokens, node_agent=agent, version=__version__)
        tokens.address = await self._listen(server, certificates)
        tokens.follow()
        self._run_parts(registry, machine, supervisor, certificates.ca.read_text())
        self._publish(tokens)

    def _agent(self, machine: MachineNode, supervisor: Supervisor) -> MachineAgent:
        watcher = DirectoryWatcher()
        self._exit.callback(watcher.close)
        return MachineAgent(self._state, machine.name, supervisor, watcher)

    def _tokens(self, registry: Registry, certificates: Certificates) -> Tokens:
        return Tokens(
            registry=registry,
            directory=self._state.users,
            owner=owner_name(),
            owner_token=new_token(),
            ca=certificates.ca.read_bytes(),
        )

    def _run_parts(
        self, registry: Registry, machine: MachineNode, supervisor: Supervisor, ca: str
    ) -> None:
        devices = Devices()
        kubelet = Kubelet(
            registry,
            state=self._state,
            node_name=machine.name,
            allocatable=machine.object["status"]["allocatable"],
            supervisor=supervisor,
            devices=devices,
            recorder=EventRecorder(registry, "kubelet", machine.name),
        )
        parts: list[Part] = [
            *all_controllers(registry, ca=ca),
            ClaimKeeper(registry, self._state.claims),
            kubelet,
            machine,
            Simulator(registry, machine.name, __version__),
            Scheduler(registry),
        ]
        for part in parts:
            self._run(_for_ever(part))
        self._run(_find_gpus(machine, devices))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._exit.push_async_callback(end)

    async def _listen(self, server: Server, certificates: Certificates) -> str:
        """Serve on a port that the system chooses; the server's URL."""
        listener = Listener(server.serve, body_max=BODY_MAX, shutdown_s=_SHUTDOWN_S)
        self._exit.push_async_callback(listener.stop)
        port = await listener.start(_HOST, certificates.server_context())
        return f"https://{_HOST}:{port}"

    def _publish(self, tokens: Tokens) -> None:
        """Write what clients need to find and use the daemon."""
        text = kubeconfig.text(
            address=tokens.address,
            ca=tokens.ca,
            user=kubeconfig.CLUSTER,
            token=tokens.owner_token,
        )
        replace_file(self._state.kubeconfig, text.encode())
        facts = {
            "pid": os.getpid(),
            "version": __version__,
            "address": tokens.address,
            "since": now(),
            "token": tokens.owner_token,
            "ca": tokens.ca.decode(),
        }
        replace_file(self._state.facts, json.dumps(facts).encode())


def _allow_many_files() -> None:
    """Each running container, watch and followed log takes a descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _for_ever(part: Part) -> None:
    """Run a part; one that fails is logged and started again."""
    while True:
        try:
            await part.run()
        except Exception:
            log.exception("%s ended; it is started again", type(part).__name__)
        await asyncio.sleep(_RESTART_S)


async def _find_gpus(machine: MachineNode, devices: Devices) -> None:
    while not devices.found.is_set():
        try:
            devices.indices = await machine.find_gpus()
            devices.found.set()
        except Exception:
            log.exception("the GPUs cannot be told on the Node; they are looked for again")
            await asyncio.sleep(_RESTART_S)
