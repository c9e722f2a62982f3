"""The file that claims a container's directory and tells who runs there, then how it ended.

Whoever makes the file `claim` alone may start a process there. Its first line tells the process,
once it is started, in the words of `Process`; its second is the spec (JSON). When the container is
over, the file's text is how it ended (JSON), and its name is `exit`: a directory without a `claim`
is free only if there is no `exit` either, looked for in this order.

One file, since on some file systems a new one costs more than all else a short container does;
and room for all that is written later is taken at once, so that a full disk loses no exit code.
Standard library only.
"""
# ruff: noqa: PTH104, PTH108, PTH110, PTH123

from __future__ import annotations

import errno
import json
import os
from typing import Any, NamedTuple

from jobman.local.layout import CLAIM, EXIT

# The process is told in fewer bytes, and nearly every end; where that is longer it needs room.
_PROCESS_BYTES = 127
_LEAST_BYTES = 4096


class Process(NamedTuple):
    """The first process of a container: `ticks` from the start of `boot` to its own, see /proc."""

    pid: int
    ticks: int
    boot: str
    started_ns: int


class AlreadyClaimedError(Exception):
    """Another holder has, or had, this container."""


def is_claimed(directory: str) -> bool:
    """Whether a process may have been started there."""
    return any(os.path.exists(f"{directory}/{name}") for name in (CLAIM, EXIT))


def claim(directory: str) -> int:
    """Make the file; a descriptor for the other functions. Raises AlreadyClaimedError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(f"{directory}/{CLAIM}", flags, 0o600)
    except FileExistsError:
        raise AlreadyClaimedError from None
    if os.path.exists(f"{directory}/{EXIT}"):
        give_up(fd, directory)
        raise AlreadyClaimedError
    return fd


def write_spec(fd: int, spec: bytes) -> None:
    """Write what is to be started, and take the room for the rest. Raises OSError."""
    text = (b" " * _PROCESS_BYTES + b"\n" + spec).ljust(_LEAST_BYTES)
    if os.write(fd, text) < len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def give_up(fd: int, directory: str) -> None:
    """Nothing was started: the directory is free again."""
    os.close(fd)
    os.unlink(f"{directory}/{CLAIM}")


def tell_process(fd: int, process: Process) -> None:
    """The process has been started."""
    pid, ticks, boot, started_ns = process
    os.pwrite(fd, b"%d %d %s %d" % (pid, ticks, boot.encode(), started_ns), 0)


def tell_end(fd: int, directory: str, facts: dict[str, Any]) -> bytes:
    """The container is over; `exit` is whole when it is there. Returns its text."""
    text = json.dumps(facts, ensure_ascii=False).encode(errors="replace")
    os.pwrite(fd, text, 0)
    os.ftruncate(fd, len(text))
    os.rename(f"{directory}/{CLAIM}", f"{directory}/{EXIT}")
    return text


def process(directory: str) -> Process | None:
    """The process that runs there; None where none was started, or it is over."""
    try:
        with open(f"{directory}/{CLAIM}", "rb") as file:
            pid, ticks, boot, started_ns = file.readline().split()
        return Process(int(pid), int(ticks), boot.decode(), int(started_ns))
    except (FileNotFoundError, ValueError):
        return None


def spec(directory: str) -> dict[str, Any]:
    """What a running container was started as. Raises ProcessLookupError where none runs."""
    try:
        with open(f"{directory}/{CLAIM}", "rb") as file:
            file.readline()
            found: dict[str, Any] = json.loads(file.read())
    except (FileNotFoundError, ValueError):
        raise ProcessLookupError(errno.ESRCH, "it has ended", "container") from None
    return found
