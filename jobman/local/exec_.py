"""A command in a running container, with its streams or a terminal of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Coroutine, Iterator
from typing import Any

from jobman.local import descriptors
from jobman.local.api.agent import Channels, ExecError, ExecOptions
from jobman.local.supervisor import Running, StartFailedError, Supervisor

STDOUT, STDERR = 1, 2
_CHUNK_BYTES = 1 << 15
_DRAIN_S = 2.0
_NOT_STARTED = (
    "error executing command in container: failed to exec in container: failed to start exec: "
    "OCI runtime exec failed: exec failed: {}: unknown"
)


async def execute(
    supervisor: Supervisor, container: Running, options: ExecOptions, channels: Channels
) -> int:
    """Run the command to its end and return its exit code. Raises ExecError."""
    if not options.command:
        raise ExecError(_NOT_STARTED.format("args must not be empty"))
    session = _Terminal(channels) if options.tty else _Pipes(options, channels)
    try:
        answer = await session.run(supervisor, container, options)
    except StartFailedError as error:
        raise ExecError(str(error)) from error
    if problem := answer.get("error"):
        raise ExecError(_NOT_STARTED.format(f"unable to start container process: {problem}"))
    return int(answer["exit"])


class _Session:
    """The streams of one command: `child` ends go to it, the others are pumped."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self.child: list[int] = []
        self.outputs: list[tuple[int, int]] = []
        self.input: int | None = None

    async def run(
        self, supervisor: Supervisor, container: Running, options: ExecOptions
    ) -> dict[str, Any]:
        """Start the command, carry its streams, and return what the supervisor answers."""
        readers = [asyncio.create_task(self._pump_out(*output)) for output in self.outputs]
        helpers = [asyncio.create_task(helper) for helper in self.helpers()]
        try:
            try:
                answer = await supervisor.execute(
                    container, options.command, self.child, tty=options.tty
                )
            finally:
                self._close_child()
            if readers:
                await asyncio.wait(readers, timeout=_DRAIN_S)
            return answer
        finally:
            for task in (*helpers, *readers):
                task.cancel()
            await asyncio.gather(*helpers, *readers, return_exceptions=True)

    def helpers(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on while the command runs, beside its output."""
        return [self._pump_in(self.input)] if self.input is not None else []

    def _close_child(self) -> None:
        """Let go of the child's ends, so that the end of its output shows."""
        for fd in self.child:
            os.close(fd)
        self.child = []

    async def _pump_out(self, fd: int, channel: int) -> None:
        with _unblocked(fd):
            while data := await descriptors.read(fd, _CHUNK_BYTES):
                await self._channels.write(channel, data)

    async def _pump_in(self, fd: int) -> None:
        with _unblocked(fd):
            while data := await self._channels.read_stdin():
                await descriptors.write(fd, data)


@contextlib.contextmanager
def _unblocked(fd: int) -> Iterator[None]:
    """Close it at the end, which may be that nobody is at its other one any more."""
    os.set_blocking(fd, False)
    try:
        with contextlib.suppress(OSError):
            yield
    finally:
        os.close(fd)


class _Pipes(_Session):
    """A pipe for each stream that is wanted, /dev/null for the others."""

    def __init__(self, options: ExecOptions, channels: Channels) -> None:
        super().__init__(channels)
        if options.stdin:
            reader, self.input = os.pipe()
            self.child.append(reader)
        else:
            self.child.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        for wanted, channel in ((options.stdout, STDOUT), (options.stderr, STDERR)):
            if not wanted:
                self.child.append(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
                continue
            reader, writer = os.pipe()
            self.child.append(writer)
            self.outputs.append((reader, channel))


class _Terminal(_Session):
    """One pseudo-terminal: everything the command writes comes out on stdout."""

    def __init__(self, channels: Channels) -> None:
        super().__init__(channels)
        self._master, slave = os.openpty()
        self.child.append(slave)
        self.outputs.append((os.dup(self._master), STDOUT))
        self.input = os.dup(self._master)

    def helpers(self) -> list[Coroutine[Any, Any, None]]:
        """Input, and the size of the caller's window."""
        return [*super().helpers(), self._follow_size()]

    async def _follow_size(self) -> None:
        try:
            while True:
                columns, rows = await self._channels.resized()
                size = struct.pack("HHHH", rows, columns, 0, 0)
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        finally:
            os.close(self._master)
