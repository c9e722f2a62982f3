r"""Writing a container's log: CRI's line format, appended to one file, rotated by size.

Each line is `2026-01-02T03:04:05.123456789Z stdout F the line\n`; a piece that does not end its
line has P for F. Standard library only: it runs inside the process that holds a container.
"""
# ruff: noqa: PTH104, PTH110, PTH123

from __future__ import annotations

import contextlib
import errno
import os
import time

MAX_PIECE = 16 * 1024
DROPPED = ".dropped"
"""Ends the name of the empty file that is there once the log's beginning is no longer kept."""
STAMP_BYTES = 30
PREFIX_BYTES = STAMP_BYTES + len(b" stdout F ")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.ENFILE, errno.EMFILE)


def stamp(now_ns: int) -> bytes:
    """RFC 3339 in UTC with nine digits of fraction, always 30 bytes."""
    seconds, fraction = divmod(now_ns, 1_000_000_000)
    return b"%s.%09dZ" % (_second(seconds), fraction)


_last_second: tuple[int, bytes] = (-1, b"")


def _second(seconds: int) -> bytes:
    global _last_second  # noqa: PLW0603 - strftime once a second, not once a line
    if _last_second[0] != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _last_second = (seconds, text.encode())
    return _last_second[1]


class LineEncoder:
    """Bytes as they come from a pipe -> bytes of the log file; keeps an unfinished line back."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes, now_ns: int) -> bytes:
        """The complete lines, and full pieces of a long one, that `data` brings."""
        *lines, rest = (self._rest + data).split(b"\n")
        head = stamp(now_ns) + b" stdout "
        full = head + b"F "
        if lines and max(map(len, lines)) <= MAX_PIECE:
            encoded = full + (b"\n" + full).join(lines) + b"\n"
        else:
            encoded = b"".join(self._long_line(head, line) for line in lines)
        whole = len(rest) - len(rest) % MAX_PIECE
        pieces = (rest[at : at + MAX_PIECE] for at in range(0, whole, MAX_PIECE))
        self._rest = rest[whole:]
        return encoded + b"".join(head + b"P " + piece + b"\n" for piece in pieces)

    def finish(self, now_ns: int) -> bytes:
        """The end of the output: what is left is a piece with no newline of its own."""
        rest, self._rest = self._rest, b""
        return stamp(now_ns) + b" stdout P " + rest + b"\n" if rest else b""

    @staticmethod
    def _long_line(head: bytes, line: bytes) -> bytes:
        cut = max(len(line) - 1, 0) // MAX_PIECE * MAX_PIECE
        pieces = [line[at : at + MAX_PIECE] for at in range(0, cut, MAX_PIECE)]
        return (
            b"".join(head + b"P " + p + b"\n" for p in pieces) + head + b"F " + line[cut:] + b"\n"
        )


class LogWriter:
    """Appends to `path`; past `max_bytes` it becomes `path`.1, `.1` becomes `.2`, and so on.

    There is no file before there is something to write; at most `max_files` are kept, and `path`
    with DROPPED tells that there were more. A full disk loses nothing: what could not be written
    stays in `pending`, and the owner stops reading until `flush` has made room.
    """

    def __init__(self, path: str, *, max_bytes: int, max_files: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._encoder = LineEncoder()
        self.pending = b""
        self._fd = -1
        self._size = 0

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def feed(self, data: bytes) -> None:
        """Write the lines that `data` completes."""
        self.pending += self._encoder.feed(data, time.time_ns())
        self.flush()

    def finish(self) -> None:
        """Write the unfinished last line."""
        self.pending += self._encoder.finish(time.time_ns())
        self.flush()

    def flush(self) -> bool:
        """Write what is pending; False while the disk has no room for it."""
        while self.pending:
            try:
                if self._fd < 0:
                    self._open()
                written = os.write(self._fd, self.pending)
            except OSError as error:
                if error.errno in NO_ROOM:
                    return False
                self.pending = b""
                raise
            self.pending = self.pending[written:]
            self._size += written
        if self._size >= self._max_bytes:
            self._rotate()
        return True

    def drop_torn_line(self) -> None:
        """Give up what is pending, so that the file ends with a whole line."""
        self.pending = b""
        if self._fd < 0:
            return
        with open(self._path, "r+b") as file:
            start = max(self._size - MAX_PIECE - PREFIX_BYTES - 1, 0)
            file.seek(start)
            file.truncate(start + file.read().rfind(b"\n") + 1)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)

    def _rotate(self) -> None:
        os.close(self._fd)
        if os.path.exists(self._numbered(self._max_files - 1)):
            self._note_dropped()
        for number in range(self._max_files - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.rename(self._numbered(number - 1), self._numbered(number))
        self._open()

    def _note_dropped(self) -> None:
        with contextlib.suppress(OSError):
            os.close(os.open(self._path + DROPPED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _numbered(self, number: int) -> str:
        return self._path if number == 0 else f"{self._path}.{number}"
