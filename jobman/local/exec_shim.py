"""The holder of a command run inside a running container (kubectl exec).

It enters the container's namespaces, and ends with the container. Standard library only.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from jobman.local import processes, record
from jobman.local.launch import Launch, LaunchError, launch
from jobman.local.layout import CTL
from jobman.local.shim import detach

Report = Callable[[dict[str, Any]], None]


def run(
    directory: str, request: dict[str, Any], descriptors: list[int], report: Report
) -> NoReturn:
    """The whole life of the holder, in a process just forked. Never returns."""
    try:
        detach("exec-shim")
        ctl = os.open(f"{directory}/{CTL}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        pid = _launch(record.spec(directory), request, descriptors)
        for fd in descriptors:
            os.close(fd)
        waiter = _Waiter(ctl)
        report(_outcome(waiter.wait(pid)))
        waiter.wait(None)
    except LaunchError as error:
        report({"error": str(error)})
    except OSError as error:
        report({"error": f"{error.filename or 'container'}: {error.strerror}"})
    finally:
        os._exit(0)


def _launch(spec: dict[str, Any], request: dict[str, Any], descriptors: list[int]) -> int:
    streams = descriptors * 3 if request["tty"] else descriptors
    wanted = Launch(
        argv=request["argv"],
        env=spec["env"] | ({"TERM": "xterm"} if request["tty"] else {}),
        cwd=spec["cwd"],
        join_pid=request["pid"] if spec["mounts"] else None,
        tty=request["tty"],
    )
    return launch(wanted, streams[0], streams[1], streams[2])


class _Waiter:
    """Reaps; the container's end (nobody reads `ctl` any more) kills all that is left."""

    def __init__(self, ctl: int) -> None:
        self._ctl = ctl
        self._woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        self._poll.register(ctl, 0)

    def wait(self, wanted: int | None) -> int:
        """The wait status of the child `wanted`; with None, until no child is left."""
        while True:
            try:
                while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                    if reaped[0] == wanted:
                        return reaped[1]
            except ChildProcessError:
                return signal.SIGKILL
            for fd, _ in self._poll.poll():
                if fd == self._ctl:
                    processes.kill_children()
                    return signal.SIGKILL
                os.read(self._woken, 4096)


def _outcome(status: int) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(status)
    return {"exit": 128 - code if code < 0 else code}
