"""The holders of containers as the daemon sees them: forked when needed, used again when idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator

from jobman.local import layout
from jobman.local.shim import INLINE_BYTES, MOST_TOLD_BYTES
from jobman.local.zygote_process import StartFailedError, ZygoteProcess

MOST_IDLE = 8
# More starts at once are no quicker, and would each need a holder of its own.
MOST_STARTING = 4
_PATIENCE_S = 0.1
_MESSAGE_BYTES = 2 * MOST_TOLD_BYTES

Answer = tuple[bytes, bytes]
Over = Callable[[bytes], None]


class Holders:
    """Has each container started by a holder that holds no other, and is told there how it ended.

    One that has ended its container is kept for the next: a fork costs more than all else that
    belongs to a short container. A holder whose channel closes ends, after its container.
    """

    def __init__(self, zygote: ZygoteProcess) -> None:
        self._zygote = zygote
        self._all: set[_Holder] = set()
        self._idle: list[_Holder] = []
        self._turns = asyncio.Semaphore(MOST_STARTING)

    async def start(self, directory: str, spec: bytes, over: Over) -> Answer:
        """Start a container; a word of layout.py and what follows it.

        Nothing is known when both are empty: the holder has ended. One that was started will be
        `over`, maybe before this returns: that is called once, with the text of its exit file, or
        with nothing where the holder does not tell it. Raises StartFailedError when nothing was
        started.
        """
        try:
            async with _Turn(self._turns):
                return await self._start(directory, spec, over)
        except OSError as error:
            raise StartFailedError(f"{directory}: no holder: {error.strerror}") from error

    async def _start(self, directory: str, spec: bytes, over: Over) -> Answer:
        while self._idle:
            with contextlib.suppress(BrokenPipeError):  # this one was killed
                return await self._idle.pop().start(directory, spec, over)
        holder = await self._new()
        return await holder.start(directory, spec, over)

    async def _new(self) -> _Holder:
        holder = _Holder(await self._zygote.fork({"op": "hold"}), self)
        self._all.add(holder)
        return holder

    def rest(self, holder: _Holder) -> None:
        """The holder has nothing to hold."""
        if len(self._idle) < MOST_IDLE:
            self._idle.append(holder)
        else:
            holder.close()

    def forget(self, holder: _Holder) -> None:
        """The holder has ended, or will."""
        self._all.discard(holder)
        with contextlib.suppress(ValueError):
            self._idle.remove(holder)

    def close(self) -> None:
        """Let go of all: the idle ones end now, the others with their containers."""
        for holder in list(self._all):
            holder.close()


class _Turn:
    """One of the few starts at a time; one that takes long, on a hung disk, keeps none waiting."""

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns = turns
        self._is_over = False

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._turns.release()

    async def __aenter__(self) -> None:
        await self._turns.acquire()
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._end)

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()
        self._end()


class _Holder:
    """One process and the channel to it."""

    def __init__(self, channel: socket.socket, pool: Holders) -> None:
        self._channel = channel
        self._pool = pool
        self._answer: asyncio.Future[Answer] | None = None
        self._over: Over
        self._holds = False
        asyncio.get_running_loop().add_reader(channel, self._receive)

    async def start(self, directory: str, spec: bytes, over: Over) -> Answer:
        self._answer = asyncio.get_running_loop().create_future()
        self._over = over
        try:
            self._send(os.fsencode(directory) + b"\0", spec)
        except OSError:
            self.close()
            raise
        return await self._answer

    def _send(self, head: bytes, spec: bytes) -> None:
        if len(spec) <= INLINE_BYTES:
            self._channel.send(head + spec)
        else:
            with _in_memory(spec) as given:
                socket.send_fds(self._channel, [head], [given])

    def _receive(self) -> None:
        try:
            message = self._channel.recv(_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            message = b""
        word, _, rest = message.partition(b" ")
        self._tell((word, rest))
        is_over = word in (layout.ENDED, layout.LAST) or (self._holds and not message)
        self._holds = word == layout.STARTED
        if word == layout.ENDED:
            self._pool.rest(self)
        elif not message:
            self.close()
        if is_over:
            self._over(rest)

    def _tell(self, answer: Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def close(self) -> None:
        """Let go of it: it ends, after its container if it has one."""
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._pool.forget(self)
        self._tell((b"", b""))


@contextlib.contextmanager
def _in_memory(text: bytes) -> Iterator[int]:
    """A descriptor to read the text from, of whatever size."""
    fd = os.memfd_create("spec", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(text)
        yield fd
    finally:
        os.close(fd)
