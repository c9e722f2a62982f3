"""Whether a daemon runs, and what it says of itself.

Standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from jobman.local.places import State

# Of /proc/PID/stat: fields after the name, and the kernel's PF_EXITING.
_STATE, _FLAGS, _SIGNALS_PENDING = 0, 6, 28
_EXITING, _KILLED = 0x4, 1 << 8


@dataclass(frozen=True)
class DaemonFacts:
    """What a running daemon says of itself; `since` is RFC 3339."""

    pid: int
    version: str
    address: str
    since: str
    token: str
    ca: str


def running(place: State) -> DaemonFacts | None:
    """The daemon that holds the lock, if it is ready and not about to end."""
    try:
        fd = os.open(place.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        facts = _read_facts(place)
        return None if facts is None or _ends(facts.pid) else facts
    else:
        return None
    finally:
        os.close(fd)


def released(place: State, timeout_s: float) -> bool:
    """Wait until no daemon holds the lock."""
    fd = os.open(place.lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def wait() -> None:
        fcntl.flock(fd, fcntl.LOCK_SH)
        os.close(fd)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    waiter.join(timeout_s)
    return not waiter.is_alive()


def _read_facts(place: State) -> DaemonFacts | None:
    try:
        return DaemonFacts(**json.loads(place.facts.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _ends(pid: int) -> bool:
    """Whether a process that holds the lock is being killed: it keeps the lock for a moment.

    One that is not to be seen lives in another namespace.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    fields = stat.rpartition(b")")[2].split()
    if fields[_STATE] in (b"Z", b"X"):
        return True
    return bool(int(fields[_FLAGS]) & _EXITING or int(fields[_SIGNALS_PENDING]) & _KILLED)
