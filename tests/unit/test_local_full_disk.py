"""A disk that fills up: writes are refused, nothing is corrupted, and it goes on with room again.

The disk is a small tmpfs in a mount namespace of a process of the test's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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

STARTS = """
import json, sys
from pathlib import Path
from jobman.errors import JobmanError
from jobman.local import control, mounts

place = Path(sys.argv[1])
mounts.unshare()
mounts._mount("disk", str(place), "tmpfs", 0, "size=6m")
state, filler = place / "state", place / "filler"


def start():
    try:
        control.ensure_started(state)
    except JobmanError as error:
        return [error.exit_code, error.message, error.hint]
    control.stop(state)
    return "started"


def full(left):
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            file.truncate(file.tell() - left)
    said = start()
    filler.unlink()
    return said


said = {"first": full(0), "filling": full(40960), "room": start(), "again": full(0)}
said["room again"] = start()
(place / "fixed").mkdir()
mounts._mount(str(place), str(place / "fixed"), None, mounts.MS_BIND)
read_only = mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_RDONLY
mounts._mount(None, str(place / "fixed"), None, read_only)
state = place / "fixed" / "state"
said["read-only"] = start()
print(json.dumps(said))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    assert _told(SCRIPT, tmp_path) == {
        "ended": [5, False],
        "refused": [500, False],
        "read": True,
        "code": 7,
        "log": True,
        "later": "Failed",
        "kept": True,
    }


def test_a_start_on_a_full_disk(tmp_path: Path) -> None:
    told = _told(STARTS, tmp_path)
    problem = f"the embedded cluster cannot keep its state in {tmp_path / 'disk'}"
    elsewhere = "set JOBMAN_LOCAL_STATE to a directory of yours on a local disk"
    full = [
        5,
        f"{problem}/state: No space left on device",
        f"make room there: its jobs and what it keeps stay; or {elsewhere}",
    ]
    assert told == {
        "first": full,
        "filling": full,
        "room": "started",
        "again": full,
        "room again": "started",
        "read-only": [2, f"{problem}/fixed/state: Read-only file system", elsewhere],
    }


def _told(script: str, place: Path) -> Any:
    """What the script prints, given an empty directory for its disk."""
    if problem := _problem():
        pytest.skip(f"no mount namespace here: {problem}")
    (place / "disk").mkdir()
    tests = Path(__file__).parents[1]
    code = f"import sys; sys.path.insert(0, {str(tests)!r})\n{script}"
    command = [sys.executable, "-c", code, str(place / "disk"), str(place / "go")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _problem() -> str | None:
    """Why this process may not make a mount namespace, tried in another one."""
    code = "from jobman.local import mounts; mounts.unshare()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None
