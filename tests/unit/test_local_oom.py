"""What the kernel ends for want of memory is told apart from what was killed otherwise."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobman.local import processes

LIMIT_BYTES = 200 * 2**20
EATS = f"{sys.executable} -c 'x = bytearray({4 * LIMIT_BYTES})'"
# The supervisor and all that it starts live in the cgroup: they count what is killed in there.
SUPERVISOR = """
import asyncio, json, os, sys
from pathlib import Path

place, cage, script = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
(cage / "cgroup.procs").write_text(str(os.getpid()))

from jobman.local.supervisor import Exit, Spec, Supervisor

async def main():
    found = Supervisor(place / "empty")
    await found.open()
    container = await found.start(place / "0", Spec(["sh", "-c", script], dict(os.environ)))
    ended = container if isinstance(container, Exit) else await container.exit
    await found.close()
    print(json.dumps([ended.code, ended.oom]))

asyncio.run(main())
"""


@pytest.fixture
def cage() -> Iterator[Path]:
    """A cgroup with little memory."""
    for counter in processes.oom_counters():
        made = Path(counter).parent / f"jobman-test-{os.getpid()}"
        limit = "memory.max" if made.parent.joinpath("cgroup.controllers").exists() else ""
        with contextlib.suppress(OSError):
            made.mkdir()
            try:
                (made / (limit or "memory.limit_in_bytes")).write_text(str(LIMIT_BYTES))
                yield made
            finally:
                made.rmdir()
            return
    pytest.skip("no memory cgroup can be made here")


@pytest.mark.parametrize(
    ("script", "code", "oom"),
    [
        (f"exec {EATS}", 137, True),
        (f"{EATS}; exit $?", 137, True),
        ("kill -9 $$", 137, False),
        ("exit 137", 137, False),
        (f"{EATS}; exit 3", 3, False),
    ],
    ids=["itself", "its child", "killed", "told", "got over it"],
)
def test_who_ran_out_of_memory(
    cage: Path, tmp_path: Path, script: str, code: int, oom: bool
) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), str(cage), script]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    assert json.loads(told) == [code, oom]
