"""The process from which every container's holder is forked: small, single-threaded, quick.

`zygote FD UMASK FILES` gives its children that umask and soft limit of open files, and serves
requests on a SEQPACKET socket until its other end closes. A request is one JSON object with an
`op`; its first descriptor is the channel of the process that is forked for it:

hold                                   to be a container's holder, see shim.py
exec    {dir, argv, tty, pid} + 1 or 3 descriptors -> {exit: code} | {error: text}
probe   {dir}                          -> {problem: text | null}, whether mount paths can be made

Holders go on when the zygote or the daemon ends. Standard library only.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from jobman.local import exec_shim, mounts, processes, shim

MAX_MESSAGE = 1 << 20
MAX_DESCRIPTORS = 4


def main() -> None:
    """Serve on the inherited descriptor named on the command line."""
    descriptor, umask, open_files = map(int, sys.argv[1:4])
    os.umask(umask)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, hard))
    processes.set_name("zygote")
    shim.deafen()
    processes.boot_id()
    processes.oom_kills()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the holders
    gc.disable()
    gc.freeze()
    os.set_inheritable(descriptor, False)
    serve(socket.socket(fileno=descriptor))


def serve(requests: socket.socket) -> None:
    """Fork one process per request, until the daemon closes its end."""
    while True:
        try:
            data, descriptors, _, _ = socket.recv_fds(requests, MAX_MESSAGE, MAX_DESCRIPTORS)
        except ConnectionResetError:  # the daemon was killed
            return
        if not data:
            return
        with contextlib.suppress(OSError):  # no more processes: who asked sees the channel's end
            if os.fork() == 0:
                requests.close()
                _become(data, descriptors)
        for fd in descriptors:
            os.close(fd)


def _become(message: bytes, descriptors: list[int]) -> NoReturn:
    """In the forked process: be what the request asks for."""
    try:
        request = json.loads(message)
        for fd in descriptors:
            os.set_inheritable(fd, False)
        channel = socket.socket(fileno=descriptors.pop(0))
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        match request["op"]:
            case "hold":
                shim.hold(channel)
            case "exec":
                exec_shim.run(request["dir"], request, descriptors, _reporter(channel))
            case "probe":
                _probe(request["dir"], _reporter(channel))
    finally:
        os._exit(1)


def _reporter(channel: socket.socket) -> Callable[[dict[str, Any]], None]:
    def report(facts: dict[str, Any]) -> None:
        with channel, contextlib.suppress(OSError):  # the daemon may be gone
            channel.send(json.dumps(facts).encode())

    return report


def _probe(directory: str, report: Callable[[dict[str, Any]], None]) -> None:
    """Do all that a container with a mount path of its own needs, once."""
    target = f"/mount-probe-{os.getpid()}/here"
    try:
        mounts.enter([mounts.Mount(directory, target)], directory)
    except OSError as error:
        report({"problem": f"{error.filename or 'unshare'}: {error.strerror}"})
    else:
        report({"problem": None})


if __name__ == "__main__":
    main()
