"""Being told when something in a directory changes: inotify, by way of ctypes.

Where the system gives no more watches (fs.inotify.max_user_instances, max_user_watches), a timer
of FALLBACK_S stands in for it.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FALLBACK_S = 0.25

_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE_SELF = 0x2, 0x80, 0x100, 0x400
_MASK = _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE_SELF
_HEADER = struct.Struct("iIII")
_BUFFER_BYTES = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


class DirectoryWatcher:
    """One inotify instance for all the directories that somebody waits on."""

    def __init__(self) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waiting: dict[int, set[asyncio.Event]] = {}
        if self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._read)

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    @contextmanager
    def changes(self, directory: Path) -> Iterator[asyncio.Event]:
        """An event that is set whenever something in `directory` may have changed."""
        event = asyncio.Event()
        watch = self._add(directory)
        if watch is None:
            ticking = asyncio.create_task(_tick(event))
            try:
                yield event
            finally:
                ticking.cancel()
            return
        self._waiting.setdefault(watch, set()).add(event)
        try:
            yield event
        finally:
            self._remove(watch, event)

    def _add(self, directory: Path) -> int | None:
        if self._fd < 0:
            return None
        watch: int = _libc.inotify_add_watch(self._fd, os.fsencode(directory), _MASK)
        if watch >= 0:
            return watch
        number = ctypes.get_errno()
        if number in (errno.ENOSPC, errno.ENOMEM):
            return None
        raise OSError(number, os.strerror(number), str(directory))

    def _remove(self, watch: int, event: asyncio.Event) -> None:
        events = self._waiting.get(watch, set())
        events.discard(event)
        if not events and self._waiting.pop(watch, None) is not None and self._fd >= 0:
            _libc.inotify_rm_watch(self._fd, watch)

    def _read(self) -> None:
        data = os.read(self._fd, _BUFFER_BYTES)
        at = 0
        while at < len(data):
            watch, _, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size + length
            for event in self._waiting.get(watch, ()):
                event.set()


async def _tick(event: asyncio.Event) -> None:
    while True:
        await asyncio.sleep(FALLBACK_S)
        event.set()
