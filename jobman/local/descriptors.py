"""Waiting for descriptors that do not block: pipes, terminals, sockets.

The loop's own transports for pipes are not for terminals, which are read and written at one end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable


async def readable(fd: int) -> None:
    """Until there is something to read, or the end."""
    loop = asyncio.get_running_loop()
    await _told(lambda tell: loop.add_reader(fd, tell), lambda: loop.remove_reader(fd))


async def writable(fd: int) -> None:
    """Until there is room, or nobody to read it any more."""
    loop = asyncio.get_running_loop()
    await _told(lambda tell: loop.add_writer(fd, tell), lambda: loop.remove_writer(fd))


async def read(fd: int, most: int) -> bytes:
    """What there is, at most so many bytes; none at the end. Raises OSError."""
    while True:
        try:
            return os.read(fd, most)
        except BlockingIOError:
            await readable(fd)


async def write(fd: int, data: bytes) -> None:
    """Write all of it. Raises OSError."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            await writable(fd)


async def _told(begin: Callable[[Callable[[], None]], object], end: Callable[[], object]) -> None:
    ready = asyncio.Event()
    begin(ready.set)
    try:
        await ready.wait()
    finally:
        end()
