"""Reading a container's log: tail, since, timestamps, a limit of bytes, and following it.

The file is CRI's (see crilog.py). Only the newest file is read: what was rotated away is gone for
readers, as it is with a kubelet. A follow goes through the rotated files too, as far as they are
kept: a kubelet looks for long logs now and then, but here a fast one is rotated before a follow has
begun.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from jobman.local import layout
from jobman.local.api.agent import LinesLostError
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

    @property
    def rotated(self) -> bool:
        """Whether rotated files are wanted too."""
        return self.follow and self.tail is None


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

    def __init__(self, path: Path, *, from_oldest: bool) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        if from_oldest:
            self.advance()
        else:
            self._open(path)

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
        """Whether a new file has come, or taken this one's place."""
        try:
            new = self._path.stat().st_ino
        except FileNotFoundError:
            return False
        return new != self._inode()

    def advance(self) -> None:
        """Go on with the next file, from none with the oldest, where there is one.

        Raises LinesLostError when the present one is no longer kept, so that nobody knows the next.
        """
        mine = self._inode()
        while True:
            files = self._kept()
            if self._kept() != files:
                continue  # a rotation moves them while they are looked at
            inodes = [inode for _, inode in files]
            if not files or inodes[-1] == mine:
                return
            if mine is not None and mine not in inodes:
                raise LinesLostError
            after = 0 if mine is None else inodes.index(mine) + 1
            if self._open(*files[after]):
                return

    def _inode(self) -> int | None:
        return os.fstat(self._file.fileno()).st_ino if self._file is not None else None

    def _kept(self) -> list[tuple[Path, int]]:
        """The files of the log, oldest first, with their inodes."""
        numbered = {}
        rotated = self._path.parent.glob(f"{self._path.name}.[0-9]*")
        for path in (self._path, *rotated):
            with contextlib.suppress(FileNotFoundError):
                numbered[int(path.suffix[1:] or 0)] = (path, path.stat().st_ino)
        return [numbered[number] for number in sorted(numbered, reverse=True)]

    def _open(self, path: Path, inode: int | None = None) -> bool:
        """Read this file from now on; False where it is not there, or not that of `inode`."""
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError:
            return False
        if inode not in (None, os.fstat(file.fileno()).st_ino):
            file.close()
            return False
        self.close()
        self._file, self._rest = file, b""
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


async def read(directory: Path, wanted: Wanted, watcher: DirectoryWatcher) -> AsyncIterator[bytes]:
    """The log of the container of `directory`, in chunks; a follow ends with the container.

    Raises LinesLostError when a follow lags so far behind that what comes next is gone.
    """
    if not wanted.follow:
        for chunk in _now(directory, wanted):
            yield chunk
        return
    with watcher.changes(directory) as changed:
        reader, decoder = _open(directory, wanted)
        try:
            while True:
                changed.clear()
                ended = (directory / layout.EXIT).exists() or not directory.exists()
                while not decoder.is_full() and (lines := reader.lines()):
                    if out := decoder.decode(lines):
                        yield out
                if reader.rotated():
                    if not (lines := reader.lines()):
                        reader.advance()
                    elif out := decoder.decode(lines):
                        yield out
                    changed.set()
                elif ended:
                    return
                if decoder.is_full():
                    return  # whether or not more ever comes
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
    reader = _Reader(directory / layout.LOG, from_oldest=wanted.rotated)
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
