"""The process from which every container's holder is forked: small, single-threaded, quick.

`zygote FD UMASK FILES` gives its children that umask and soft limit of open files, and serves
requests on a SEQPACKET socket until its other end closes. A request is one JSON object with an
`id`, which comes back in every answer to it:

start   {dir} + a file with the spec   -> {started: ns} | {ended} | {claimed} | {failed: text}
exec    {dir, argv, tty, pid} + 1 or 3 descriptors -> {exit: code, signal} | {error: text}
probe   {dir}                          -> {problem: text | null}, whether mount paths can be made

Holders go on when the zygote or the daemon ends. Standard library only.
"""

from __future__ import annotations

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

MAX_REQUEST = 1 << 20
MAX_DESCRIPTORS = 3


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
    serve(socket.socket(fileno=descriptor))


def serve(channel: socket.socket) -> None:
    """Fork one process per request, until the daemon closes its end."""
    while True:
        try:
            data, descriptors, _, _ = socket.recv_fds(channel, MAX_REQUEST, MAX_DESCRIPTORS)
        except ConnectionResetError:  # the daemon was killed with answers unread
            return
        if not data:
            return
        request = json.loads(data)
        if os.fork() == 0:
            _become(request, descriptors, channel)
        for fd in descriptors:
            os.close(fd)


def _become(request: dict[str, Any], descriptors: list[int], channel: socket.socket) -> NoReturn:
    """In the forked process: be the holder that the request asks for."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        report = _reporter(request["id"], channel)
        directory = request["dir"]
        match request["op"]:
            case "start":
                shim.hold(directory, descriptors[0], report)
            case "exec":
                exec_shim.run(directory, request, descriptors, report)
            case "probe":
                _probe(directory, report)
    finally:
        os._exit(1)


def _reporter(number: int, channel: socket.socket) -> Callable[[dict[str, Any]], None]:
    def report(facts: dict[str, Any]) -> None:
        try:
            channel.send(json.dumps({"id": number} | facts).encode())
        except OSError:
            pass  # the daemon is gone; its successor reads the container's directory
        finally:
            channel.close()

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
