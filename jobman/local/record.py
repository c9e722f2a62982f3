"""The file that claims a container's directory and tells who runs there, then how it ended.

Whoever makes the file `claim` alone may start a process there. Its first line are the facts of
the process (JSON: `pid`, `ticks`, `boot`, `startedAt`), once it is started; its second is the spec.
When the container is over, the file's text is how it ended, and it gets a second name, `exit`.

One file, since on some file systems a new one costs more than all else a short container does;
and room for all that is written later is taken at once, so that a full disk loses no exit code.
Standard library only.
"""
# ruff: noqa: PTH108, PTH123

from __future__ import annotations

import errno
import json
import os
from typing import Any

from jobman.local.layout import CLAIM, EXIT

# Facts of the process are shorter; so is nearly every text of the end, and it may be longer.
_FACTS_BYTES = 255
_LEAST_BYTES = 4096


class AlreadyClaimedError(Exception):
    """Another holder has, or had, this container."""


def claim(directory: str, spec: bytes) -> int:
    """Make the file, with the spec in it; a descriptor for the other functions.

    Raises AlreadyClaimedError, and OSError when there is no room: then nothing is left of it.
    """
    path = f"{directory}/{CLAIM}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        raise AlreadyClaimedError from None
    text = (b" " * _FACTS_BYTES + b"\n" + spec).ljust(_LEAST_BYTES)
    try:
        if os.write(fd, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    except OSError:
        give_up(fd, directory)
        raise
    return fd


def give_up(fd: int, directory: str) -> None:
    """Nothing was started: somebody else may claim the directory."""
    os.close(fd)
    os.unlink(f"{directory}/{CLAIM}")


def tell_process(fd: int, facts: dict[str, Any]) -> None:
    """The process has been started."""
    os.pwrite(fd, json.dumps(facts).encode(), 0)


def tell_end(fd: int, directory: str, facts: dict[str, Any]) -> None:
    """The container is over; `exit` is whole when it is there."""
    text = json.dumps(facts).encode()
    os.pwrite(fd, text, 0)
    os.ftruncate(fd, len(text))
    os.link(f"{directory}/{CLAIM}", f"{directory}/{EXIT}")


def process(directory: str) -> dict[str, Any]:
    """The facts of the process; empty where none was started."""
    try:
        with open(f"{directory}/{CLAIM}", "rb") as file:
            facts = json.loads(file.readline())
    except (FileNotFoundError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def spec(directory: str) -> dict[str, Any]:
    """What a running container was started as. Raises OSError where none runs."""
    with open(f"{directory}/{CLAIM}", "rb") as file:
        file.readline()
        text = file.read()
    if not text:
        raise ProcessLookupError(errno.ESRCH, "the container has ended", directory)
    found: dict[str, Any] = json.loads(text)
    return found
