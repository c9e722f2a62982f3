"""`python -m jobman.local.daemon --state DIR`: the embedded cluster's one process.

It leaves its starter at once and tells it by a descriptor when it can be used; everything heavy
is imported after that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop

from jobman.local.control import READY
from jobman.local.places import State

_LOG_MAX_BYTES = 5_000_000
_LOOK_FOR_CYCLES_EVERY = 20_000


def main() -> None:
    """Detach, take the lock, serve until SIGTERM."""
    arguments = _parse()
    if os.fork():
        os._exit(0)
    state = State(arguments.state)
    _bound_log(state.log)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    umask = os.umask(0o077)
    _take_lock(state.lock)
    try:
        uvloop.run(_serve(state, umask, _telling(arguments.ready_fd)))
    except Exception:
        logging.exception("the daemon ends")
        raise SystemExit(1) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            state.facts.unlink()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m jobman.local.daemon")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--ready-fd", type=int, default=None)
    return parser.parse_args()


def _bound_log(path: Path) -> None:
    """Keep one older log; this process writes to what its starter opened."""
    if path.exists() and path.stat().st_size > _LOG_MAX_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)


def _take_lock(path: Path) -> None:
    """Held until the process is no more, so that its release tells of that."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)


def _telling(ready_fd: int | None) -> Callable[[], bool]:
    """How to tell the starter; False where it is no more."""

    def tell() -> bool:
        if ready_fd is None:
            return True
        try:
            os.write(ready_fd, READY)
        except BrokenPipeError:
            return False
        finally:
            os.close(ready_fd)
        return True

    if ready_fd is not None:
        os.set_inheritable(ready_fd, False)
    return tell


async def _serve(state: State, umask: int, ready: Callable[[], bool]) -> None:
    from jobman.local.cluster import Cluster

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with Cluster(state, umask):
        gc.collect()
        gc.freeze()
        # Objects come and go as trees, freed at once: to look for cycles seldom is enough.
        gc.set_threshold(_LOOK_FOR_CYCLES_EVERY, 20, 20)
        # Of one whose starter was killed nobody knows: the next one waits for its end.
        if ready():
            await stopping.wait()
        # Who looks for a daemon from now on needs another one.
        state.facts.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
