"""Starting one process of a container: its directory, its mounts, its session, its streams.

Errors are told in the words of runc. Standard library only.
"""
# ruff: noqa: PTH113, PTH116

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import termios
from collections.abc import Sequence
from typing import NamedTuple

from jobman.local import mounts
from jobman.local.mounts import Mount

# Signals that Python or the holder changed; a container starts with the system's defaults.
_DEFAULTED = [
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
]


class LaunchError(Exception):
    """The process could not be started; the text is runc's."""


class Launch(NamedTuple):
    """What to start and in which world.

    `env` is the whole environment; `mounts` need a mount namespace; `join_pid` is a process whose
    namespaces are entered; `tty`: the streams are one terminal, which becomes the controlling one.
    """

    argv: Sequence[str]
    env: dict[str, str]
    cwd: str = "/"
    mounts: Sequence[Mount] = ()
    new_root: str = ""
    join_pid: int | None = None
    tty: bool = False


def launch(wanted: Launch, stdin: int, stdout: int, stderr: int) -> int:
    """Start it as the leader of a new session and return its pid. Raises LaunchError."""
    if wanted.mounts or wanted.join_pid or wanted.tty:
        return _launch_by_fork(wanted, stdin, stdout, stderr)
    _enter_directory(wanted.cwd)
    program = _resolve(wanted.argv[0], wanted.env)
    streams = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate((stdin, stdout, stderr))]
    try:
        return os.posix_spawn(
            program,
            list(wanted.argv),
            wanted.env,
            file_actions=streams,
            setsid=True,
            setsigmask=[],
            setsigdef=_DEFAULTED,
        )
    except (OSError, ValueError) as error:
        raise LaunchError(_exec_problem(wanted.argv[0], error)) from error
    finally:
        os.chdir("/")


def _launch_by_fork(wanted: Launch, stdin: int, stdout: int, stderr: int) -> int:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _become(wanted, (stdin, stdout, stderr), writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        problem = pipe.read()
    if problem:
        os.waitpid(pid, 0)
        raise LaunchError(json.loads(problem))
    return pid


def _become(wanted: Launch, streams: tuple[int, int, int], report: int) -> None:
    """In the child: never returns. A problem goes to `report`, which exec closes."""
    try:
        _set_up(wanted, streams)
        program = _resolve(wanted.argv[0], wanted.env)
        try:
            os.execve(program, list(wanted.argv), wanted.env)
        except (OSError, ValueError) as error:
            raise LaunchError(_exec_problem(wanted.argv[0], error)) from error
    except LaunchError as error:
        os.write(report, json.dumps(str(error)).encode())
    except OSError as error:
        os.write(report, json.dumps(f"error during container init: {_told(error)}").encode())
    finally:
        os._exit(1)


def _set_up(wanted: Launch, streams: tuple[int, int, int]) -> None:
    os.setsid()
    if wanted.join_pid:
        mounts.join(wanted.join_pid)
    if wanted.mounts:
        mounts.enter(wanted.mounts, wanted.new_root)
    _enter_directory(wanted.cwd)
    for at, fd in enumerate(streams):
        os.dup2(fd, at)
    if wanted.tty:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in _DEFAULTED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _enter_directory(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        what = f'chdir to cwd ("{cwd}") set in config.json failed: {_words(error)}'
        raise LaunchError(what) from error


def _resolve(word: str, env: dict[str, str]) -> str:
    """The program's path, looked up on the container's own PATH."""
    if "/" in word:
        try:
            mode = os.stat(word).st_mode
        except OSError as error:
            raise LaunchError(f'exec: "{word}": stat {word}: {_words(error)}') from error
        if stat.S_ISDIR(mode) or not os.access(word, os.X_OK):
            raise LaunchError(f'exec: "{word}": permission denied')
        return word
    for directory in env.get("PATH", os.defpath).split(":"):
        path = f"{directory or '.'}/{word}"
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise LaunchError(f'exec: "{word}": executable file not found in $PATH')


def _exec_problem(word: str, error: OSError | ValueError) -> str:
    """What exec says; a ValueError is a NUL in a word."""
    return f"exec {word}: {_words(error) if isinstance(error, OSError) else 'invalid argument'}"


def _told(error: OSError) -> str:
    return f"{error.filename}: {_words(error)}" if error.filename else _words(error)


def _words(error: OSError) -> str:
    """Go's wording of an errno: the C text in small letters."""
    return (error.strerror or str(error)).lower()
