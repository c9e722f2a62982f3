"""The holder of containers, one after the other: starts it, writes its log, records how it ended.

It is forked from the zygote, leads a session of its own and outlives the daemon. The daemon asks
for each container over the holder's channel and is told there how it ended, when all that it has
started is dead; then the next may come. With nobody at the other end a holder ends, after its
container if it has one. All that a later daemon must know is in the container's directory:

ctl         a FIFO that the shim alone reads: that it can be opened for writing means alive, that
            it closes means the end, and a byte written is a command (T: SIGTERM to the process
            group, K: kill all); a holder takes it along to its next container, unless
            somebody still has it open
claim       made by the first shim of this directory, which alone may start the process (record.py)
log         the output in CRI's line format, from the first on
exit        how it ended; whole when it is there

Standard library only, and sparing: each container pays for every step that is taken here, so
files are opened by plain calls rather than by way of pathlib.
"""
# ruff: noqa: PTH102, PTH108, PTH120

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from typing import Any, NoReturn

from jobman.local import layout, processes, record
from jobman.local.crilog import LogWriter
from jobman.local.launch import Launch, LaunchError, launch
from jobman.local.layout import CTL, KILL, LOG
from jobman.local.mounts import Mount
from jobman.local.standing import Standing

START_ERROR_CODE = 128
# A longer spec comes as a file: the message is to fit into any socket's buffer.
INLINE_BYTES = 1 << 15
# A longer end is left to be read from its file.
MOST_TOLD_BYTES = 1 << 11
# What a holder may have lost or kept of a container is gone with it after so many.
MOST_CONTAINERS = 256
# What a shell ends with whose command was killed.
_TOLD_KILLED = 128 + signal.SIGKILL

# So long the daemon is not told of a start: a short container's end is all that it hears then.
_SHORT_MS = 3
_READ_BYTES = 1 << 12
_PIPE_BYTES = 1 << 16
# Who finds more in it than half of what it takes will keep its writer waiting.
_MUCH_BYTES = _PIPE_BYTES // 2
_RETRY_MS = 1000
_PATH_BYTES = 4096


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

    def __init__(self, directory: str, text: bytes, woken: int, before: Shim | None) -> None:
        """`directory` is there; `text` is the spec; `woken` is readable when a child has ended.

        `before` is the holder's last container, which is over.
        """
        self._directory = directory
        self._woken = woken
        self._ctl = self._open_ctl(before)
        self._record = record.claim(directory)
        self._spec: dict[str, Any] = json.loads(text)
        try:
            record.write_spec(self._record, text)
        except OSError:
            record.give_up(self._record, directory)
            raise
        log = self._spec["log"]
        path = f"{directory}/{LOG}"
        self._log = LogWriter(path, max_bytes=log["maxBytes"], max_files=log["maxFiles"])
        self._output = -1
        self.started_ns = 0
        self._pid = 0
        self._error = ""
        self._status: int | None = None
        self._stopped = False
        self._oom_kills = processes.oom_kills()

    def _open_ctl(self, before: Shim | None) -> int:
        path = self._path_of_ctl
        with contextlib.suppress(FileExistsError):
            if before is None or not _is_moved(before._path_of_ctl, path):
                os.mkfifo(path, 0o600)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def _path_of_ctl(self) -> str:
        return f"{self._directory}/{CTL}"

    def start(self) -> None:
        """Start the process, or know why it cannot be started."""
        started_ns = time.time_ns()
        self._output, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self._launch(writer)
        except LaunchError as error:
            self._error = str(error)
        else:
            self.started_ns = started_ns
            self._tell_process()
        finally:
            os.close(writer)

    def _launch(self, output: int) -> None:
        spec = self._spec
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        wanted = Launch(
            argv=spec["argv"],
            env=spec["env"],
            cwd=spec["cwd"],
            mounts=[Mount(*mount) for mount in spec["mounts"]],
            new_root=spec["newRoot"],
        )
        try:
            self._pid = launch(wanted, null, output, output)
        finally:
            os.close(null)
        processes.offer_to_oom_killer(self._pid)

    def _tell_process(self) -> None:
        ticks = processes.start_ticks(self._pid) or 0
        told = record.Process(self._pid, ticks, processes.boot_id(), self.started_ns)
        record.tell_process(self._record, told)

    def is_over(self, within_ms: int) -> bool:
        """Whether nothing was started, or it has ended by then."""
        if self._pid and _happens(self._woken, select.POLLIN, within_ms):
            self._reap()
        return not self._pid or self._status is not None

    def hold(self, standing: Standing) -> bytes:
        """Hold what was started, if it was, to its end and write the exit file; its text."""
        if self._pid:
            self._attend(standing)
            processes.kill_children()
            self._finish_log()
        times = {"startedAt": self.started_ns, "finishedAt": time.time_ns()}
        return record.tell_end(self._record, self._directory, self._outcome() | times)

    def _attend(self, standing: Standing) -> None:
        """Until the process has ended: write the log, reap orphans, take commands."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.register(self._ctl, select.POLLIN)
        listening = False
        while self._status is None:
            room = self._log.flush()
            if listening != (room and self._output >= 0):
                listening = not listening
                if listening:
                    poll.register(self._output, select.POLLIN)
                else:
                    poll.unregister(self._output)
            for fd, _ in poll.poll(None if room else _RETRY_MS):
                if fd == self._ctl:
                    self._obey()
                elif fd == self._woken:
                    self._reap()
                elif (count := self._pump()) == 0:
                    poll.unregister(fd)
                    listening = False
                    self._close_output()
                elif count > _MUCH_BYTES:
                    standing.forward()

    def _pump(self) -> int:
        """Move what the pipe holds into the log; how many bytes, none at its end."""
        data = os.read(self._output, _PIPE_BYTES)
        if data:
            self._log.feed(data)
        return len(data)

    def _finish_log(self) -> None:
        """What is left in the pipe; with no room on the disk it is lost, the file stays whole."""
        if self._output >= 0:
            os.set_blocking(self._output, False)
            with contextlib.suppress(BlockingIOError):
                while self._log.flush() and self._pump():
                    pass
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
        """A child has ended, or more."""
        os.read(self._woken, _READ_BYTES)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._pid:
                    self._status = status

    def _outcome(self) -> dict[str, Any]:
        if not self._pid:
            return {"code": START_ERROR_CODE, "error": self._error}
        code = os.waitstatus_to_exitcode(self._status or 0)
        killed = code in (-signal.SIGKILL, _TOLD_KILLED) and not self._stopped
        return {
            "code": 128 - code if code < 0 else code,
            "signal": -code if code < 0 else None,
            "oom": killed and processes.oom_kills() > self._oom_kills,
        }

    def _close_output(self) -> None:
        if self._output >= 0:
            os.close(self._output)
            self._output = -1

    def close(self) -> None:
        """Let go of all files: whoever watches `ctl` sees that it has no reader any more."""
        self._close_output()
        self._log.close()
        os.close(self._record)
        os.close(self._ctl)


def hold(channel: socket.socket) -> NoReturn:
    """The whole life of a holder, in a process just forked. Never returns."""
    try:
        detach("container-shim")
        woken = _children_ended()
        shim, standing = None, Standing()
        for left in reversed(range(MOST_CONTAINERS)):
            standing.back()
            shim = _start_one(channel, woken, shim)
            text = shim.hold(standing)
            shim.close()
            word = layout.ENDED if left else layout.LAST
            channel.send(b"%s %s" % (word, text if len(text) <= MOST_TOLD_BYTES else b""))
    finally:
        os._exit(0)


def _children_ended() -> int:
    """A descriptor that becomes readable whenever a child ends."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return woken


def _start_one(channel: socket.socket, woken: int, before: Shim | None) -> Shim:
    """The next container that is asked for. Ends this process where there is none to hold."""
    message, descriptors, _, _ = socket.recv_fds(channel, _PATH_BYTES + INLINE_BYTES, 1)
    path, _, text = message.partition(b"\0")
    if not path:
        os._exit(0)
    directory = os.fsdecode(path)
    for fd in descriptors:
        text = _whole(fd)
    try:
        _make(directory, channel)
        shim = Shim(directory, text, woken, before)
    except record.AlreadyClaimedError:
        channel.send(layout.CLAIMED)
        os._exit(0)
    except OSError as error:
        why = f"{error.filename or directory}: {error.strerror}"
        channel.send(b"%s %s" % (layout.FAILED, os.fsencode(why)))
        os._exit(1)
    shim.start()
    if not shim.is_over(_SHORT_MS):
        with contextlib.suppress(OSError):  # the daemon is gone; its successor reads the directory
            channel.send(b"%s %d" % (layout.STARTED, shim.started_ns))
    return shim


def _is_moved(fifo: str, path: str) -> bool:
    """Give a FIFO another place, where a new one costs more. Raises FileExistsError."""
    try:
        os.link(fifo, path)
        os.unlink(fifo)
    except FileExistsError:
        raise
    except OSError:  # deleted with its pod, or no links here
        return False
    if _has_writer(path):  # a command in the last container, which is to see the end of that
        os.unlink(path)
        return False
    return True


def _has_writer(fifo: str) -> bool:
    """Whether somebody has a FIFO that nobody reads open for writing."""
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, 1) != b""
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def _make(directory: str, channel: socket.socket) -> None:
    """Make a container's directory, and its pod's where there is none. Raises OSError.

    For a daemon that is gone the pod's is not made: the next one may have deleted it with the pod.
    """
    with contextlib.suppress(FileExistsError):
        try:
            os.mkdir(directory, 0o700)
        except FileNotFoundError:
            if _is_left_alone(channel):
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.dirname(directory), 0o700)
            os.mkdir(directory, 0o700)


def _is_left_alone(channel: socket.socket) -> bool:
    """Whether the other end is closed."""
    return _happens(channel.fileno(), 0, within_ms=0)


def _happens(fd: int, event: int, within_ms: int) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(within_ms))


def _whole(fd: int) -> bytes:
    with open(fd, "rb", buffering=0) as file:
        file.seek(0)
        return file.read()
