"""Starting, finding and stopping the embedded cluster's daemon.

Standard library only: `jobman submit` passes here before anything heavy is imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from jobman import __version__
from jobman.errors import JobmanError, NotFoundError, UnreachableError, UsageError
from jobman.local import layout
from jobman.local.places import State, state_dir
from jobman.local.running import DaemonFacts, released, running

__all__ = ["DaemonFacts", "ensure_started", "find", "reset", "state_dir", "status", "stop"]

READY = b"ready"
ARRANGED = "local.jobman/arranged"
"""An annotation of the ConfigMap that asks for simulated nodes: they are as it says."""
STOP_TIMEOUT_S = 20
USER_NAME_MAX = 100
"""Bytes: the name is written in hex in that of the kubeconfig's file."""
_LOG_TAIL_LINES = 15
_KEPT_VARIABLES = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
)


def ensure_started(
    state: Path | None = None, *, timeout_s: float = 20, options: Sequence[str] = ()
) -> Path:
    """Start the daemon unless it runs, and return its kubeconfig.

    Any number of callers at once get one daemon; one of another version is replaced, and its
    jobs go on. `options` are more words for a daemon that has to be started. Raises
    UnreachableError with the end of the daemon's log when it cannot start.
    """
    place = _trusted(state)
    daemon = running(place)
    if daemon is not None and daemon.version == __version__:
        return place.kubeconfig
    with _locked(place):
        daemon = running(place)
        if daemon is not None and daemon.version == __version__:
            return place.kubeconfig
        if daemon is not None:
            _end(place, daemon)
        _start(place, timeout_s, options)
    return place.kubeconfig


def find(state: Path | None = None) -> Path | None:
    """The kubeconfig of the running daemon, or None; starts nothing."""
    place = _trusted(state)
    return place.kubeconfig if running(place) is not None else None


def status(state: Path | None = None) -> DaemonFacts | None:
    """What the running daemon says of itself, or None."""
    return running(_trusted(state))


def stop(state: Path | None = None, *, kill: bool = False) -> int:
    """Stop the daemon; containers go on, unless `kill`. Returns how many still run.

    Raises NotFoundError when there is neither a daemon nor, with `kill`, a container.
    """
    place = _trusted(state)
    if not place.root.is_dir():
        raise NotFoundError("the embedded cluster is not running")
    with _locked(place):
        daemon = running(place)
        _end(place, daemon)
        containers = _living(place)
        if daemon is None and not (kill and containers):
            _let_go(containers)
            raise NotFoundError("the embedded cluster is not running")
        return _kill(containers) if kill else _let_go(containers)


def reset(state: Path | None = None) -> None:
    """Stop the daemon, end every container and delete all state."""
    place = _trusted(state)
    if not place.root.is_dir():
        return
    with _locked(place):
        _end(place, running(place))
        _kill(_living(place))
        place.delete()


def _trusted(state: Path | None) -> State:
    """The state at `state`, or at its usual place; ConfigError where it may be somebody else's."""
    place = State(state or state_dir(os.environ))
    place.check()
    return place


@contextmanager
def _locked(place: State) -> Iterator[None]:
    """Hold the lock of those who start and stop, waiting for whoever has it.

    A reset deletes it with all else: who has waited for one takes the lock that is there then.
    """
    is_there = False
    while not is_there:
        place.create()
        try:
            fd = os.open(place.start_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise place.unfit(error) from error
        with os.fdopen(fd) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            is_there = _is_at(file.fileno(), place.start_lock)
            if is_there:
                yield


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _start(place: State, timeout_s: float, options: Sequence[str]) -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with os.fdopen(reader, "rb", buffering=0) as told:
        words = ["--state", str(place.root), "--ready-fd", str(writer), *options]
        try:
            with _log_of(place) as log:
                starter = subprocess.Popen(
                    [sys.executable, "-P", "-m", "jobman.local.daemon", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=_daemon_environment(os.environ),
                    pass_fds=[writer],
                    start_new_session=True,
                )
        finally:
            os.close(writer)
        starter.wait()
        _await_ready(place, told.fileno(), timeout_s, group=starter.pid)


def _log_of(place: State) -> BinaryIO:
    try:
        return open(place.log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))
    except OSError as error:
        raise place.unfit(error) from error


def _daemon_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What Python and the system's tools need to run, and nothing of the caller's shell."""
    return {name: environ[name] for name in _KEPT_VARIABLES if name in environ}


def _await_ready(place: State, told: int, timeout_s: float, *, group: int) -> None:
    deadline = time.monotonic() + timeout_s
    said = b""
    while READY not in said:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([told], [], [], left_s)[0]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            raise _cannot_start(place, f"it was not ready within {timeout_s:g} s")
        data = os.read(told, 1024)
        if not data:
            raise _cannot_start(place, "it ended while starting")
        said += data


def _cannot_start(place: State, why: str) -> JobmanError:
    """The error to raise; where the disk is the reason it is raised here."""
    place.check_room()
    lines = place.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    shown = "".join(f"\n  {line}" for line in lines)
    return UnreachableError(
        f"the embedded cluster cannot start: {why}; the end of {place.log}:{shown}",
        hint="`jobman local reset` deletes its state and all jobs in it",
    )


def _end(place: State, daemon: DaemonFacts | None) -> None:
    """SIGTERM to the daemon and, if it does not let go of its lock in time, SIGKILL.

    One that ends of itself (None) has that time, too.
    """
    if daemon is None:
        released(place, STOP_TIMEOUT_S)
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(daemon.pid, number)
        if released(place, STOP_TIMEOUT_S):
            return
    raise UnreachableError(f"the embedded cluster's daemon (pid {daemon.pid}) does not end")


def _living(place: State) -> list[int]:
    """Open ends of the control FIFOs of all containers that run."""
    found = []
    for directory in place.container_directories():
        with contextlib.suppress(OSError):
            found.append(
                os.open(directory / layout.CTL, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            )
    return found


def _let_go(containers: list[int]) -> int:
    for fd in containers:
        os.close(fd)
    return len(containers)


def _kill(containers: list[int]) -> int:
    """End the containers and wait until their holders are gone; how many are left."""
    poll = select.poll()
    for fd in containers:
        with contextlib.suppress(OSError):
            os.write(fd, layout.KILL)
        poll.register(fd, 0)
    left = set(containers)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while left and (left_s := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(left_s * 1000):
            poll.unregister(fd)
            left.discard(fd)
    _let_go(containers)
    return len(left)


def make_user(state: Path, name: str, groups: Sequence[str]) -> Path:
    """Make a user of the running cluster; the path of the kubeconfig it has then.

    Raises NotFoundError when no daemon runs, UsageError for a name that cannot be one.
    """
    _check_user(name, groups)
    daemon = running(_trusted(state))
    if daemon is None:
        raise NotFoundError("the embedded cluster is not running")
    secret = "user-" + name.encode().hex()
    body = {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": secret, "namespace": "kube-system"},
        "type": "local.jobman/user",
        "stringData": {"name": name, "groups": ",".join(groups)},
    }
    path = "/api/v1/namespaces/kube-system/secrets"
    ask(daemon, f"{path}/{secret}", method="DELETE")
    answer = ask(daemon, path, method="POST", body=body)
    if answer.get("kind") == "Status":
        raise UsageError(f"{name!r} cannot be made a user: {answer.get('message')}")
    return State(state).users / f"{secret}.kubeconfig"


def _check_user(name: str, groups: Sequence[str]) -> None:
    """Raises UsageError for what cannot be written down."""
    for text in (name, *groups):
        if not text.isprintable():
            raise UsageError(f"{text!r} is no name of a user or a group: it is not printable")
    if len(name.encode()) > USER_NAME_MAX:
        raise UsageError(f"the name of a user is at most {USER_NAME_MAX} bytes long")
    for group in groups:
        if "," in group:
            raise UsageError(f"{group!r} is no name of a group: --group is given once for each")


def simulate(state: Path, data: Mapping[str, str]) -> None:
    """Have simulated nodes in the running cluster: `nodes`, `cpu`, `memory`, `gpus`, `gpu_product`.

    Returns when they are so, and keeps nodes that are there. Raises NotFoundError when no daemon
    runs.
    """
    daemon = running(_trusted(state))
    if daemon is None:
        raise NotFoundError("the embedded cluster is not running")
    path = "/api/v1/namespaces/kube-system/configmaps"
    body = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "simulated-nodes", "namespace": "kube-system"},
        "data": dict(data),
    }
    answer = ask(daemon, f"{path}/simulated-nodes", method="PUT", body=body)
    if answer.get("code") == 404:
        answer = ask(daemon, path, method="POST", body=body)
    if answer.get("kind") == "Status":
        raise UsageError(f"these nodes cannot be simulated: {answer.get('message')}")
    query = "watch=1&fieldSelector=metadata.name%3Dsimulated-nodes&timeoutSeconds=60"
    ask(daemon, f"{path}?{query}", timeout_s=90, read=_until_arranged)


def _until_arranged(answer: Any) -> bytes:
    """The line that tells of it; nothing where the watch ends before that."""
    return next((line for line in answer if ARRANGED.encode() in line), b"")


def ask(
    daemon: DaemonFacts,
    path: str,
    *,
    method: str = "GET",
    body: Any = None,
    timeout_s: float = 10,
    read: Callable[[Any], bytes] = lambda answer: answer.read(),
) -> Any:
    """One request to the daemon's API; what `read` takes of the answer, decoded; None for nothing.

    Raises UnreachableError.
    """
    import http.client
    import ssl

    context = ssl.create_default_context(cadata=daemon.ca)
    host, _, port = daemon.address.removeprefix("https://").partition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=timeout_s, context=context)
    headers = {
        "Authorization": f"Bearer {daemon.token}",
        "Content-Type": "application/json",
    }
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, body=data, headers=headers)
        return json.loads(read(connection.getresponse()) or b"null")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(f"{daemon.address} does not answer: {error}") from error
    finally:
        connection.close()
