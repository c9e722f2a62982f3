"""The holder of one container: starts its process, writes its log, records how it ended.

It is forked from the zygote, leads a session of its own and outlives the daemon. All that a later
daemon must know is in the container's directory:

spec.json   what to start, as the daemon has given it
ctl         a FIFO that the shim alone reads: open for writing means alive, its closing means the
            end, and a byte written is a command (T: SIGTERM to the process group, K: kill all)
claim       made by the first shim of this directory, which alone may start the process: pids
log         the output in CRI's line format
exit        how it ended; renamed into place, so it is whole when it is there

Standard library only, and sparing: each container pays for every page that is touched here, so
files are opened by plain calls rather than by way of pathlib.
"""
# ruff: noqa: PTH102, PTH104, PTH108, PTH120

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from jobman.local import processes
from jobman.local.crilog import LogWriter
from jobman.local.launch import Launch, LaunchError, launch
from jobman.local.layout import CLAIM, CTL, EXIT, KILL, LOG, SPEC
from jobman.local.mounts import Mount

START_ERROR_CODE = 128
# What a shell ends with whose command was killed.
_TOLD_KILLED = 128 + signal.SIGKILL

_READ_BYTES = 1 << 16
_EXIT_BYTES = 4096
_RETRY_MS = 1000
# containers/NAME/NUMBER
_DIRECTORIES_MOST = 3

Report = Callable[[dict[str, Any]], None]


class AlreadyClaimedError(Exception):
    """Another shim has, or had, this container."""


def deafen() -> None:
    """Ignore what terminals and users send; a holder inherits it from its zygote."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)


def detach(name: str) -> None:
    """Leave the zygote: a session of one's own, and the parent of orphans."""
    os.setsid()
    processes.set_name(name)
    processes.adopt_orphans()


class Shim:
    """One container, from its claim to its exit file."""

    def __init__(self, directory: str, spec_fd: int) -> None:
        self._directory = directory
        _make_directory(directory, _DIRECTORIES_MOST)
        self._ctl = self._open_ctl()
        self._claim = self._make_claim()
        self._spec = self._take_spec(spec_fd)
        self._exit_fd = self._reserve_exit()
        log = self._spec["log"]
        path = f"{directory}/{LOG}"
        self._log = LogWriter(path, max_bytes=log["maxBytes"], max_files=log["maxFiles"])
        self._pid = 0
        self._status: int | None = None
        self._stopped = False
        self._oom_kills = processes.oom_kills()

    def _open_ctl(self) -> int:
        path = f"{self._directory}/{CTL}"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _make_claim(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(f"{self._directory}/{CLAIM}", flags, 0o600)
        except FileExistsError:
            raise AlreadyClaimedError from None

    def _take_spec(self, spec_fd: int) -> dict[str, Any]:
        """Keep it beside the container, for the commands that are run in there later."""
        with open(spec_fd, "rb", buffering=0) as given:
            given.seek(0)
            text = given.read()
        with open(f"{self._directory}/{SPEC}", "wb", opener=_private) as kept:
            kept.write(text)
        spec: dict[str, Any] = json.loads(text)
        return spec

    def _reserve_exit(self) -> int:
        """Room for the exit file, so that a disk that fills up cannot take the exit code."""
        path = f"{self._directory}/{EXIT}.tmp"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.write(fd, b" " * _EXIT_BYTES)
        return fd

    def run(self, report: Report) -> None:
        """Start the process, hold it to its end and write the exit file."""
        started_ns = time.time_ns()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self._start(writer)
        except LaunchError as error:
            self._write_exit({"code": START_ERROR_CODE, "error": str(error), "startedAt": 0})
            report({"ended": True})
            return
        finally:
            os.close(writer)
        self._write_claim(started_ns)
        report({"started": started_ns})
        self._hold(reader)
        self._write_exit(self._outcome() | {"startedAt": started_ns})

    def _start(self, output: int) -> None:
        spec = self._spec
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        wanted = Launch(
            argv=spec["argv"],
            env=spec["env"],
            cwd=spec["cwd"],
            mounts=[Mount(*mount) for mount in spec["mounts"]],
            new_root=spec["newRoot"],
        )
        self._pid = launch(wanted, null, output, output)
        processes.offer_to_oom_killer(self._pid)
        os.close(null)

    def _write_claim(self, started_ns: int) -> None:
        facts = {
            "pid": self._pid,
            "ticks": processes.start_ticks(self._pid),
            "boot": processes.boot_id(),
            "startedAt": started_ns,
        }
        os.write(self._claim, json.dumps(facts).encode())

    def _hold(self, output: int) -> None:
        """Until the process has ended: write the log, reap orphans, take commands."""
        os.set_blocking(output, False)
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._reap()
        while self._status is None:
            poll = select.poll()
            poll.register(woken, select.POLLIN)
            poll.register(self._ctl, select.POLLIN)
            room = self._log.flush()
            if room and output >= 0:
                poll.register(output, select.POLLIN)
            ready = [fd for fd, _ in poll.poll(None if room else _RETRY_MS)]
            if output in ready and not self._pump(output):
                os.close(output)
                output = -1
            if self._ctl in ready:
                self._obey()
            if woken in ready:
                os.read(woken, _READ_BYTES)
                self._reap()
        processes.kill_children()
        self._finish_log(output)

    def _pump(self, output: int) -> bool:
        """Move what the pipe holds into the log; False at its end."""
        try:
            data = os.read(output, _READ_BYTES)
        except BlockingIOError:
            return True
        if data:
            self._log.feed(data)
        return bool(data)

    def _finish_log(self, output: int) -> None:
        """What is left in the pipe; with no room on the disk it is lost, the file stays whole."""
        with contextlib.suppress(BlockingIOError):
            while output >= 0 and self._log.flush() and (data := os.read(output, _READ_BYTES)):
                self._log.feed(data)
        self._log.finish()
        if self._log.pending:
            self._log.drop_torn_line()

    def _obey(self) -> None:
        for command in os.read(self._ctl, _READ_BYTES):
            self._stopped = True
            if bytes([command]) == KILL:
                processes.kill_children()
                self._status = signal.SIGKILL if self._status is None else self._status
            elif self._status is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._pid, signal.SIGTERM)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._pid:
                    self._status = status

    def _outcome(self) -> dict[str, Any]:
        code = os.waitstatus_to_exitcode(self._status or 0)
        killed = code in (-signal.SIGKILL, _TOLD_KILLED) and not self._stopped
        return {
            "code": 128 - code if code < 0 else code,
            "signal": -code if code < 0 else None,
            "oom": killed and processes.oom_kills() > self._oom_kills,
        }

    def _write_exit(self, facts: dict[str, Any]) -> None:
        text = json.dumps(facts | {"finishedAt": time.time_ns()}).encode()
        os.pwrite(self._exit_fd, text, 0)
        os.ftruncate(self._exit_fd, len(text))
        os.rename(f"{self._directory}/{EXIT}.tmp", f"{self._directory}/{EXIT}")


def hold(directory: str, spec_fd: int, report: Report) -> NoReturn:
    """The whole life of a shim, in a process just forked. Never returns."""
    try:
        detach("container-shim")
        try:
            shim = Shim(directory, spec_fd)
        except AlreadyClaimedError:
            report({"claimed": True})
            os._exit(0)
        except OSError as error:
            _unclaim(directory)
            report({"failed": f"{error.filename or directory}: {error.strerror}"})
            os._exit(1)
        shim.run(report)
        os._exit(0)
    finally:
        os._exit(1)


def _unclaim(directory: str) -> None:
    """Nothing was started: the next shim may try."""
    for name in (f"{EXIT}.tmp", CLAIM):
        with contextlib.suppress(OSError):
            os.unlink(f"{directory}/{name}")


def _make_directory(path: str, most: int) -> None:
    """With its parents, but not for a pod that is no more: `most` directories at once."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        if most == 1:
            raise
        _make_directory(os.path.dirname(path), most - 1)
        os.mkdir(path, 0o700)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
