"""Containers under a supervisor of the test's own; none is left when the test is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from jobman.local import layout
from jobman.local.logfile import tail_text
from jobman.local.supervisor import Exit, Running, Spec, Supervisor

ENV = {"PATH": os.environ["PATH"]}


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Supervisor]:
    """A supervisor; afterwards its containers are killed."""
    found = Supervisor(directory / "empty")
    await found.open()
    try:
        yield found
    finally:
        for container in list(found.running.values()):
            container.kill()
            await container.exit
        await found.close()


def supervised(
    directory: Path, body: Callable[[Supervisor], Awaitable[Any]], timeout_s: float = 60
) -> Any:
    """What `body` returns, run with a supervisor."""

    async def run() -> Any:
        async with opened(directory) as found:
            return await body(found)

    return asyncio.run(asyncio.wait_for(run(), timeout_s))


def run_and_kill(daemon: str, *words: str) -> None:
    """Run a script until it says that it is ready; then it is killed."""
    command = [sys.executable, "-c", daemon, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENV) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)


async def started(found: Supervisor, directory: Path, spec: Spec) -> Running:
    """A container that does not end at once."""
    container = await found.start(directory, spec)
    assert isinstance(container, Running)
    return container


async def finished(found: Supervisor, directory: Path, spec: Spec) -> Exit:
    """How a container has ended."""
    container = await found.start(directory, spec)
    return container if isinstance(container, Exit) else await container.exit


def shell(script: str, **more: Any) -> Spec:
    """What runs a script."""
    return Spec(["sh", "-c", script], ENV, **more)


def written(directory: Path) -> bytes:
    """The end of what a container has written."""
    return tail_text(directory / layout.LOG, 1000)


def alive(pid: int) -> bool:
    """Whether the process runs; one that is only waiting to be reaped does not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended while it was read
        return False
    return fields[0] not in "XZ"


async def read_when_there(path: Path) -> str:
    """The text of a file that another process is about to write."""
    while not path.exists() or not path.read_text().endswith("\n"):
        await asyncio.sleep(0.005)
    return path.read_text()
