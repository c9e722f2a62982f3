"""Containers as process groups: started through the zygote, found again by their directories.

What a container is lies on disk (see shim.py), so a new daemon continues where a killed one
stopped: nothing runs twice, and no exit code is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from jobman.local import layout, processes, record
from jobman.local.holders import Holders
from jobman.local.zygote_process import StartFailedError, ZygoteProcess

__all__ = ["Exit", "Running", "Spec", "StartFailedError", "Supervisor", "bury", "void"]

LOST_CODE = 137
LOST_MESSAGE = "The container could not be located when the pod was terminated"


@dataclass(frozen=True)
class Spec:
    """What a container runs. `mounts` are (source, target, read-only)."""

    argv: Sequence[str]
    env: dict[str, str]
    cwd: str = "/"
    mounts: Sequence[tuple[str, str, bool]] = ()
    new_root: str = ""
    log_max_bytes: int = 10 * 1024 * 1024
    log_max_files: int = 5

    def encoded(self) -> bytes:
        """The text that a holder is given."""
        return json.dumps(
            {
                "argv": list(self.argv),
                "env": self.env,
                "cwd": self.cwd,
                "mounts": [list(mount) for mount in self.mounts],
                "newRoot": self.new_root,
                "log": {"maxBytes": self.log_max_bytes, "maxFiles": self.log_max_files},
            }
        ).encode()


class Exit(
    msgspec.Struct,
    frozen=True,
    rename={"started_ns": "startedAt", "finished_ns": "finishedAt"},
):
    """How a container ended; times in nanoseconds since 1970, `started_ns` 0 if it never ran."""

    code: int
    started_ns: int
    finished_ns: int
    oom: bool = False
    error: str | None = None
    lost: bool = False

    @classmethod
    def read(cls, directory: Path) -> Exit | None:
        """The exit file of a container, or None while there is none."""
        try:
            with open(f"{directory}/{layout.EXIT}", "rb") as file:  # noqa: PTH123 - one per container
                return _exit(file.read())
        except (FileNotFoundError, msgspec.DecodeError):  # the machine may have gone down meanwhile
            return None


_exit = msgspec.json.Decoder(Exit).decode


@dataclass(eq=False)
class Running:
    """A container whose holder lives; `exit` is set once, on the loop.

    The holder tells its end to the daemon that has asked for it. Another one, which has `found` it,
    watches its FIFO.
    """

    directory: Path
    _supervisor: Supervisor = field(repr=False)
    started_ns: int = 0
    exit: asyncio.Future[Exit] = field(init=False)
    _watched: int = -1

    def __post_init__(self) -> None:
        self.exit = asyncio.get_running_loop().create_future()

    def watch(self) -> bool:
        """Notice the end by the FIFO; False where no holder lives."""
        self._watched = _open_ctl(self.directory)
        if self._watched >= 0:
            asyncio.get_running_loop().add_reader(self._watched, self.over, b"")
        return self._watched >= 0

    def terminate(self) -> None:
        """SIGTERM to the container's process group."""
        self._command(layout.TERMINATE)

    def kill(self) -> None:
        """SIGKILL to everything the container started."""
        self._command(layout.KILL)

    def _command(self, word: bytes) -> None:
        ctl = _open_ctl(self.directory)
        if ctl >= 0:
            with contextlib.suppress(BrokenPipeError), os.fdopen(ctl, "wb", 0) as fifo:
                fifo.write(word)

    @property
    def main_pid(self) -> int:
        """The pid of the process the container started with; 0 if it is not told yet."""
        process = record.process(str(self.directory))
        return process.pid if process else 0

    def over(self, text: bytes) -> None:
        """It has ended; `text` is its exit file's, or empty where nobody tells it."""
        self.forget()
        if not self.exit.done():
            ended = _exit(text) if text else Exit.read(self.directory)
            self.exit.set_result(ended or bury(self.directory))

    def forget(self) -> None:
        """Stop watching; the container goes on."""
        if self._watched >= 0:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = -1
        self._supervisor.running.pop(self.directory, None)


@dataclass
class Supervisor:
    """Starts containers and finds them again.

    `new_root` is an empty directory for mounts; `umask` and `open_files` (a soft limit) are what
    containers get, whatever the daemon has taken for itself.
    """

    new_root: Path
    umask: int = 0o022
    open_files: int = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    running: dict[Path, Running] = field(default_factory=dict)
    mount_problem: str | None = None
    zygote: ZygoteProcess = field(init=False)
    holders: Holders = field(init=False)

    def __post_init__(self) -> None:
        self.zygote = ZygoteProcess(self.umask, self.open_files)
        self.holders = Holders(self.zygote)

    async def open(self) -> None:
        """Start the zygote and see whether mount paths can be made here."""
        self.new_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        answer = await self.zygote.ask({"op": "probe", "dir": str(self.new_root)})
        self.mount_problem = answer["problem"]

    async def close(self) -> None:
        """End the zygote and the holders that hold nothing; containers go on."""
        self.holders.close()
        await self.zygote.close()
        for container in list(self.running.values()):
            container.forget()

    async def start(self, directory: Path, spec: Spec) -> Running | Exit:
        """Start the container of `directory`, which is made, and its pod's directory above.

        At most one process ever comes of one directory: asking again finds the first.
        Raises StartFailedError when nothing was started.
        """
        asked = Running(directory, self)
        word, rest = await self.holders.start(str(directory), spec.encoded(), asked.over)
        if word == layout.FAILED:
            raise StartFailedError(os.fsdecode(rest))
        if asked.exit.done():
            return asked.exit.result()
        if word == layout.STARTED:
            asked.started_ns = int(rest)
            return self.running.setdefault(directory, asked)
        found = self.find(directory)
        if found is None:
            raise StartFailedError(f"{directory}: the container's holder ended before it began")
        return found

    def find(self, directory: Path) -> Running | Exit | None:
        """The container of `directory` as it is now; None if it was never started."""
        if directory in self.running:
            return self.running[directory]
        if not record.is_claimed(str(directory)):
            return None
        return Exit.read(directory) or self._watch(directory)

    def _watch(self, directory: Path) -> Running | Exit:
        """A container that another has started."""
        found = Running(directory, self)
        if not found.watch():
            return Exit.read(directory) or bury(directory)
        process = record.process(str(directory))
        found.started_ns = process.started_ns if process else time.time_ns()
        self.running[directory] = found
        return found

    async def execute(
        self, container: Running, argv: Sequence[str], descriptors: Sequence[int], *, tty: bool
    ) -> dict[str, Any]:
        """Run a command inside the container on 3 descriptors (1 with `tty`).

        Returns {"exit": code} or {"error": text}.
        """
        request = {
            "op": "exec",
            "dir": str(container.directory),
            "argv": list(argv),
            "tty": tty,
            "pid": container.main_pid,
        }
        return await self.zygote.ask(request, descriptors)


def _open_ctl(directory: Path) -> int:
    """The writing end of the holder's FIFO; -1 when no holder lives."""
    try:
        return os.open(f"{directory}/{layout.CTL}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return -1
        raise


def bury(directory: Path) -> Exit:
    """The holder is dead and left no exit file: end what it held and say that it is lost."""
    process = record.process(str(directory))
    if process is not None and _is_or_was(process):
        processes.kill_leftovers(process.pid)
    started_ns = process.started_ns if process else 0
    lost = Exit(LOST_CODE, started_ns, time.time_ns(), lost=True)
    temporary = directory / f"{layout.EXIT}.tmp"
    temporary.write_bytes(msgspec.json.encode(lost))
    temporary.replace(directory / layout.EXIT)
    return lost


def _is_or_was(process: record.Process) -> bool:
    """Whether nothing else has its pid."""
    same_boot = process.boot == processes.boot_id()
    return same_boot and processes.start_ticks(process.pid) in (process.ticks, None)


def void(directory: Path) -> bool:
    """Make sure that a container never started never will be; False if it was claimed."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(record.claim(str(directory)))
    except record.AlreadyClaimedError:
        return False
    return True
