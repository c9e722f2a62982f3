"""Reading a container's log: tail, since, timestamps, a limit of bytes, and following it.

The file is CRI's (see crilog.py). Only the newest file is read: what was rotated away is gone for
readers, as it is with a kubelet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from jobman.local import layout
from jobman.local.crilog import PREFIX_BYTES, STAMP_BYTES, stamp
from jobman.local.notify import DirectoryWatcher

_BLOCK_BYTES = 1 << 18
_FLAG_AT = PREFIX_BYTES - 2


@dataclass(frozen=True)
class Wanted:
    """Which part of a log: the last `tail` lines, lines at or after `since_ns`, so many bytes."""

    follow: bool = False
    tail: int | None = None
    since_ns: int | None = None
    timestamps: bool = False
    limit_bytes: int | None = None


class LineDecoder:
    """Lines of the file -> the bytes the container wrote, with timestamps where wanted."""

    def __init__(self, wanted: Wanted) -> None:
        self._since = stamp(wanted.since_ns) if wanted.since_ns is not None else None
        self._timestamps = wanted.timestamps
        self._left = wanted.limit_bytes
        self._in_line = False

    def is_full(self) -> bool:
        """Whether the limit of bytes is reached."""
        return self._left is not None and self._left <= 0

    def decode(self, lines: list[bytes]) -> bytes:
        """The output of whole lines, without their newlines."""
        if self._since is not None:
            lines = self._from_since(lines)
        out = b"".join(self._stamped(lines) if self._timestamps else _plain(lines))
        if self._left is not None:
            out = out[: self._left]
            self._left -= len(out)
        return out

    def _from_since(self, lines: list[bytes]) -> list[bytes]:
        since = self._since or b""
        for number, line in enumerate(lines):
            if line[:STAMP_BYTES] >= since:
                self._since = None
                return lines[number:]
            self._in_line = _is_partial(line)
        return []

    def _stamped(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            if not self._in_line:
                yield line[:STAMP_BYTES] + b" "
            yield line[PREFIX_BYTES:]
            self._in_line = _is_partial(line)
            if not self._in_line:
                yield b"\n"


def _plain(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line[PREFIX_BYTES:]
        if not _is_partial(line):
            yield b"\n"


def _is_partial(line: bytes) -> bool:
    return line[_FLAG_AT : _FLAG_AT + 1] != b"F"


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines of the file begin."""
    end = file.seek(0, os.SEEK_END)
    missing = lines + 1
    at = end
    while at > 0:
        start = max(at - _BLOCK_BYTES, 0)
        file.seek(start)
        block = file.read(at - start)
        found = block.count(b"\n")
        if found >= missing:
            return start + _nth_newline_from_end(block, missing) + 1
        missing -= found
        at = start
    return 0


def _nth_newline_from_end(block: bytes, number: int) -> int:
    at = len(block)
    for _ in range(number):
        at = block.rfind(b"\n", 0, at)
    return at


class _Reader:
    """One log file, which comes with the first output, and what of its last line is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self.reopen()

    def skip_to_tail(self, lines: int) -> None:
        if self._file is not None:
            self._file.seek(tail_offset(self._file, lines))

    def lines(self) -> list[bytes]:
        """The next whole lines; none at the present end of the file."""
        while self._file is not None and (data := self._file.read(_BLOCK_BYTES)):
            lines: list[bytes]
            *lines, self._rest = (self._rest + data).split(b"\n")
            if lines:
                return lines
        return []

    def rotated(self) -> bool:
        """Whether a new file has come, or taken this one's place; then go on with that."""
        try:
            new = self._path.stat().st_ino
        except FileNotFoundError:
            return False
        return self._file is None or new != os.fstat(self._file.fileno()).st_ino

    def reopen(self) -> None:
        self.close()
        self._rest = b""
        with contextlib.suppress(FileNotFoundError):
            self._file = self._path.open("rb", buffering=0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


async def read(directory: Path, wanted: Wanted, watcher: DirectoryWatcher) -> AsyncIterator[bytes]:
    """The log of the container of `directory`, in chunks; a follow ends with the container."""
    if not wanted.follow:
        for chunk in _now(directory, wanted):
            yield chunk
        return
    with watcher.changes(directory) as changed:
        reader, decoder = _open(directory, wanted)
        try:
            while not decoder.is_full():
                changed.clear()
                ended = (directory / layout.EXIT).exists() or not directory.exists()
                while not decoder.is_full() and (lines := reader.lines()):
                    if out := decoder.decode(lines):
                        yield out
                if reader.rotated():
                    if not (lines := reader.lines()):
                        reader.reopen()
                    elif out := decoder.decode(lines):
                        yield out
                    changed.set()
                elif ended:
                    return
                await changed.wait()
        finally:
            reader.close()


def _now(directory: Path, wanted: Wanted) -> Iterator[bytes]:
    reader, decoder = _open(directory, wanted)
    try:
        while not decoder.is_full() and (lines := reader.lines()):
            if out := decoder.decode(lines):
                yield out
    finally:
        reader.close()


def _open(directory: Path, wanted: Wanted) -> tuple[_Reader, LineDecoder]:
    reader = _Reader(directory / layout.LOG)
    if wanted.tail is not None:
        reader.skip_to_tail(wanted.tail)
    return reader, LineDecoder(wanted)


def tail_text(path: Path, lines: int) -> bytes:
    """The last `lines` lines of a log, as the container wrote them; nothing if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(tail_offset(file, lines))
            return LineDecoder(Wanted()).decode(file.read().split(b"\n")[:-1])
    except FileNotFoundError:
        return b""
