"""What the kernel ends for want of memory is told apart from what was killed otherwise."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

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


def caged() -> Path | None:
    """A new cgroup with little memory, where one can be made."""
    for counter in processes.oom_counters():
        made = Path(counter).parent / f"jobman-test-{uuid4().hex[:8]}"
        limit = "memory.max" if Path(counter).name == "memory.events" else "memory.limit_in_bytes"
        if not Path(counter).exists():
            continue
        with contextlib.suppress(OSError):
            made.mkdir()
            try:
                (made / limit).write_text(str(LIMIT_BYTES))
            except OSError:
                made.rmdir()
                raise
            return made
    return None


@pytest.fixture
def cage() -> Iterator[Path]:
    """A cgroup with little memory; it goes when all that was started in it has ended."""
    made = caged()
    if made is None:
        pytest.skip("no memory cgroup can be made here")
    yield made
    deadline = time.monotonic() + 30
    while (made / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    made.rmdir()


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
