"""A disk that fills up: writes are refused, nothing is corrupted, and it goes on with room again.

The disk is a small tmpfs in a mount namespace of a process of the test's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, errno, json, os, sys
from pathlib import Path
from jobman.local import mounts
from jobman.local.api.status import ApiError

place = Path(sys.argv[1])
mounts.unshare()
mounts._mount("disk", str(place), "tmpfs", 0, "size=4m")

from plugins.kubelet import NAMESPACE, kubelet
from jobman.local.logfile import tail_text


def fill():
    with (place / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC


def spec(script):
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}
    return {"restartPolicy": "Never", "containers": [container]}


async def main():
    said = {}
    async with kubelet(place) as world:
        go = Path(sys.argv[2])
        words = "echo before; while [ ! -e '%s' ]; do sleep 0.02; done; " % go
        words += "head -c 300000 /dev/zero | tr '\\\\0' x; echo; echo after; exit 7"
        world.create(spec(words))
        await world.until(lambda pod: pod["status"]["phase"] == "Running")
        words = "while [ ! -e '%s.silent' ]; do sleep 0.02; done; exit 5" % go
        silent = world.create(spec(words), "s")
        await world.until(lambda pod: pod["status"]["phase"] == "Running", "s")
        fill()
        (held,) = (c for d, c in world.supervisor.running.items() if d == world.log(silent))
        go.with_suffix(".silent").touch()
        said["ended"] = [(await held.exit).code, (await held.exit).lost]
        try:
            for number in range(1000):
                world.create(spec("true"), "refused-%d" % number)
        except ApiError as error:
            said["refused"] = [error.code, number > 900]
        held = len(world.registry.list("pods"))
        go.touch()
        await asyncio.sleep(0.3)
        said["read"] = len(world.registry.list("pods")) == held
        (place / "filler").unlink()
        pod = await world.finished()
        (told,) = pod["status"]["containerStatuses"]
        said["code"] = told["state"]["terminated"]["exitCode"]
        text = tail_text(world.log(pod) / "log", 10**6)
        said["log"] = text == b"before\\n" + b"x" * 300000 + b"\\nafter\\n"
        world.create(spec("exit 3"), "later")
        said["later"] = (await world.finished("later"))["status"]["phase"]
    async with kubelet(place) as world:
        said["kept"] = world.pod("later") is not None
    print(json.dumps(said))


asyncio.run(asyncio.wait_for(main(), 100))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    tests = Path(__file__).parents[1]
    code = f"import sys; sys.path.insert(0, {str(tests)!r})\n{SCRIPT}"
    command = [sys.executable, "-c", code, str(tmp_path / "disk"), str(tmp_path / "go")]
    if problem := _problem():
        pytest.skip(f"no mount namespace here: {problem}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "ended": [5, False],
        "refused": [500, False],
        "read": True,
        "code": 7,
        "log": True,
        "later": "Failed",
        "kept": True,
    }


def _problem() -> str | None:
    """Why this process may not make a mount namespace, tried in another one."""
    code = "from jobman.local import mounts; mounts.unshare()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None
