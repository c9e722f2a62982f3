"""The zygote as the daemon sees it: started when it is needed, asked to fork."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobman.local.descriptors import writable
from jobman.local.zygote import MAX_MESSAGE

log = logging.getLogger(__name__)

_MAIN = (
    "import sys; sys.path.insert(0, sys.argv.pop()); from jobman.local.zygote import main; main()"
)
_PACKAGES = str(Path(__file__).parents[2])


class StartFailedError(Exception):
    """Nothing was started, and it may be tried again (no room, no processes left)."""


class ZygoteProcess:
    """One zygote at a time; what it has forked goes on without it.

    `umask` and `open_files` (a soft limit) are what the forked processes get.
    """

    def __init__(self, umask: int, open_files: int) -> None:
        self._arguments = (umask, open_files)
        self._channel: socket.socket | None = None
        self.process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """End it."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        self._disconnect()
        if self.process is not None:
            await self.process.wait()

    async def ask(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        """Have a process forked and return the one thing that it answers.

        Raises StartFailedError when it ends without.
        """
        with await self.fork(request, descriptors) as channel:
            try:
                data = await asyncio.get_running_loop().sock_recv(channel, MAX_MESSAGE)
            except ConnectionResetError:
                data = b""
        if not data:
            raise StartFailedError("the process that was asked ended without an answer")
        answer: dict[str, Any] = json.loads(data)
        return answer

    async def fork(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> socket.socket:
        """Ask for a process; its channel, which ends when it does.

        Raises StartFailedError when there is no zygote to ask.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            with theirs:
                await self._send(json.dumps(request).encode(), [theirs.fileno(), *descriptors])
        except BaseException:
            ours.close()
            raise
        return ours

    async def _send(self, message: bytes, descriptors: list[int]) -> None:
        async with self._turn:
            channel = self._channel or await self._start()
            while True:
                try:
                    socket.send_fds(channel, [message], descriptors)
                except BlockingIOError:
                    await writable(channel.fileno())
                except OSError as error:
                    why = f"the zygote does not answer: {error.strerror}"
                    raise StartFailedError(why) from error
                else:
                    return

    async def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_MESSAGE)
        with theirs:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _MAIN),
                *map(str, (theirs.fileno(), *self._arguments, _PACKAGES)),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,
            )
        self._channel = ours
        self._watcher = asyncio.create_task(self._watch(self.process))
        return ours

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """A zygote that ends leaves its containers alone; the next request starts another."""
        code = await process.wait()
        log.warning("the zygote ended with %s", code)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
