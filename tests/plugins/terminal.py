"""A command on a terminal: what it shows, what is typed to it, the terminal's size."""

from __future__ import annotations

import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path


class Terminal:
    """A process of `jobman` whose three streams are one terminal."""

    def __init__(self, process: int, terminal: int) -> None:
        self.seen = b""
        self._process = process
        self._terminal = terminal

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, text)

    def wait_for(self, text: bytes, timeout_s: float = 60) -> None:
        """Return when `text` has been shown."""
        end = time.monotonic() + timeout_s
        while text not in self.seen:
            ready, _, _ = select.select([self._terminal], [], [], max(end - time.monotonic(), 0))
            assert ready, self.seen
            assert self._read(), self.seen

    def finish(self) -> int:
        """The exit code, when the command has ended; all that it showed is in `seen`."""
        while self._read():
            pass
        _, status = os.waitpid(self._process, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bytes:
        """What has come; empty at the end, which Linux tells as an error."""
        try:
            data = os.read(self._terminal, 4096)
        except OSError:
            return b""
        self.seen += data
        return data


@contextmanager
def on_terminal(words: list[str], env: Mapping[str, str], cwd: Path) -> Iterator[Terminal]:
    """Run `jobman` with these words on a terminal of its own."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(cwd)
        os.execve(sys.executable, [sys.executable, "-m", "jobman", *words], dict(env))
    try:
        yield Terminal(process, terminal)
    finally:
        os.close(terminal)
