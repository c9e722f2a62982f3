"""Facts about processes from /proc, and ending a whole tree of them. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

_prctl = ctypes.CDLL(None).prctl
_READ_BYTES = 1 << 14
_OOM_SCORE = b"800"


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def set_name(name: str) -> None:
    """What `ps` calls this process; at most 15 characters."""
    _prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


@cache
def boot_id() -> str:
    """Which start of this machine it is: pids mean nothing beyond it."""
    return read_once("/proc/sys/kernel/random/boot_id").decode().strip()


def read_once(path: str) -> bytes:
    """A small file of /proc or /sys, by a single read: a holder's start is made of these."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _READ_BYTES)
    finally:
        os.close(fd)


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since the boot; None when there is none.

    Together with the pid it names a process for good.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on (state, ppid, pgrp, session, …)."""
    try:
        text = read_once(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(b")")[2].decode().split()


def children(pid: int) -> list[int]:
    """The direct children of `pid`."""
    try:
        return [int(word) for word in read_once(f"/proc/{pid}/task/{pid}/children").split()]
    except (FileNotFoundError, ProcessLookupError):
        return [other for other, fields in _all() if int(fields[1]) == pid]


def _all() -> list[tuple[int, list[str]]]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [(pid, fields) for pid in pids if (fields := _stat(pid))]


def kill_children() -> None:
    """SIGKILL every descendant of this process, an adopter of orphans, until none is left."""
    while _has_children():
        for pid in (found := children(os.getpid())):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0 if found else os.WNOHANG)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _has_children() -> bool:
    """Whether there is any, ended or not: a look at /proc costs many times as much."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill_leftovers(leader: int) -> int:
    """SIGKILL the session that `leader` began and its descendants, whose holder is gone.

    The caller has made sure that `leader` is, or was, the process it means. Returns how many
    processes were signalled.
    """
    signalled: set[int] = set()
    while found := _kin(leader) - signalled:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        signalled |= found
    return len(signalled)


def _kin(leader: int) -> set[int]:
    """Living processes of the session of `leader`, and all below them."""
    living = {pid: fields for pid, fields in _all() if fields[0] not in "ZX"}
    kin = {pid for pid, fields in living.items() if pid == leader or int(fields[3]) == leader}
    while more := {p for p, f in living.items() if int(f[1]) in kin and p not in kin}:
        kin |= more
    return kin


def offer_to_oom_killer(pid: int) -> None:
    """When memory runs out, let the kernel end the container before what holds and serves it."""
    with contextlib.suppress(OSError):
        fd = os.open(f"/proc/{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, _OOM_SCORE)
        finally:
            os.close(fd)


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory, as narrowly as can be seen."""
    counter = _oom_counter()
    if counter is None:
        return 0
    try:
        return _oom_kills_of(counter) or 0
    except OSError:  # the cgroup is no more
        return 0


def _oom_kills_of(counter: int) -> int | None:
    for line in os.pread(counter, _READ_BYTES, 0).splitlines():
        if line.startswith(b"oom_kill "):
            return int(line.split()[1])
    return None


@cache
def _oom_counter() -> int | None:
    """The first file that counts, open; a holder inherits what its zygote has found."""
    for path in oom_counters():
        with contextlib.suppress(OSError):
            counter = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if _oom_kills_of(counter) is not None:
                return counter
            os.close(counter)
    return None


def oom_counters() -> Iterator[str]:
    """Where this process' cgroups count what was killed for want of memory."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            yield f"/sys/fs/cgroup{path}/memory.events"
        elif "memory" in controllers.split(","):
            yield f"/sys/fs/cgroup/memory{path}/memory.oom_control"
