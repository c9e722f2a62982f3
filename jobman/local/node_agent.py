"""This machine's side of the API: logs of its containers, and commands in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from jobman.local import exec_, layout, logs, simulated
from jobman.local.api.agent import Channels, ExecOptions, LogOptions
from jobman.local.api.status import PlainError
from jobman.local.notify import DirectoryWatcher
from jobman.local.places import State
from jobman.local.supervisor import Running, Supervisor

Object = dict[str, Any]


class MachineAgent:
    """The NodeAgent of the node `node_name`; a pod of another node has nobody to ask."""

    def __init__(
        self, state: State, node_name: str, supervisor: Supervisor, watcher: DirectoryWatcher
    ) -> None:
        self._state = state
        self._node_name = node_name
        self._supervisor = supervisor
        self._watcher = watcher

    async def log(self, pod: Object, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """The log in pieces as they come. Raises ApiError before the first one."""
        if pod["spec"].get("nodeName", "").startswith(simulated.PREFIX):
            return  # no process, no output
        self.check(pod)
        directory = self._state.pods / pod["metadata"]["uid"]
        async for chunk in logs.read(directory, pod, container, options, self._watcher):
            yield chunk

    def lacks_head(self, pod: Object, container: str, options: LogOptions) -> bool:
        """Whether the beginning of that log was rotated away."""
        if pod["spec"].get("nodeName") != self._node_name:
            return False
        directory = self._state.pods / pod["metadata"]["uid"]
        return logs.lacks_head(directory, pod, container, options)

    async def exec(
        self, pod: Object, container: str, options: ExecOptions, channels: Channels
    ) -> int:
        """Run a command in a running container and return its exit code."""
        self.check(pod)
        running = self._running(pod, container)
        if running is None:
            raise PlainError(500, f'container not found ("{container}")')
        return await exec_.execute(self._supervisor, running, options, channels)

    def check(self, pod: Object) -> None:
        """Whether the pod is here. Raises ApiError for one that is not."""
        if pod["spec"].get("nodeName") != self._node_name:
            raise logs.no_address()

    def _running(self, pod: Object, container: str) -> Running | None:
        """The container's present run."""
        place = self._state.pods / pod["metadata"]["uid"]
        for directory, running in self._supervisor.running.items():
            if directory.parent == place and layout.run_of(directory.name)[0] == container:
                return running
        return None
