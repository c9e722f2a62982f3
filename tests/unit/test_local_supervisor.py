"""Containers as real processes: started, held, found again after a kill, ended to the last one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins.containers import (
    ENV,
    alive,
    finished,
    read_when_there,
    run_and_kill,
    shell,
    supervised,
    written,
)

from jobman.local import layout, processes, supervisor
from jobman.local.supervisor import Exit, Running, Spec, StartFailedError, Supervisor


@pytest.mark.parametrize(
    ("script", "code"),
    [("true", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -SEGV $$", 139)],
    ids=["0", "3", "killed", "segv"],
)
def test_the_exit_code_is_recorded(tmp_path: Path, script: str, code: int) -> None:
    before = time.time_ns()
    ended = supervised(tmp_path, lambda s: finished(s, tmp_path / "c", shell(script)))
    assert ended.code == code
    assert before <= ended.started_ns <= ended.finished_ns <= time.time_ns()
    assert Exit.read(tmp_path / "c") == ended
    assert not ended.oom


def test_the_words_the_environment_and_the_directory(tmp_path: Path) -> None:
    words = ["printf", "[%s]", "a b", "", "$HOME", "\\n", "ü"]
    supervised(tmp_path, lambda s: finished(s, tmp_path / "w", Spec(words, ENV)))
    assert written(tmp_path / "w").decode() == "[a b][][$HOME][\\n][ü]"
    env = {**ENV, "ONE": "1", "BYTES": os.fsdecode(b"\xff")}
    spec = Spec(["sh", "-c", "env -0 | sort -z; pwd"], env, cwd="/usr")
    supervised(tmp_path, lambda s: finished(s, tmp_path / "e", spec))
    *pairs, last = written(tmp_path / "e").split(b"\0")
    assert last == b"/usr\n"
    names = {pair.partition(b"=")[0] for pair in pairs} - {b"_", b"PWD", b"SHLVL", b"OLDPWD"}
    assert names == {b"PATH", b"ONE", b"BYTES"}
    assert b"BYTES=\xff" in pairs


def test_limits_are_the_containers_own(tmp_path: Path) -> None:
    script = "umask; ulimit -n; ulimit -Hn; sleep 0.1; cat /proc/self/oom_score_adj"

    async def run() -> None:
        found = Supervisor(tmp_path / "empty", umask=0o027, open_files=77)
        await found.open()
        await finished(found, tmp_path / "c", shell(script))
        await found.close()

    asyncio.run(run())
    umask, soft, hard, score = written(tmp_path / "c").split()
    assert (umask, soft, score) == (b"0027", b"77", b"800")
    assert int(hard) > 77


def test_output_is_kept_as_it_was_written(tmp_path: Path) -> None:
    spec = shell("printf 'out\\n'; printf 'err\\n' >&2; printf '\\377\\000\\r'; printf end")
    supervised(tmp_path, lambda s: finished(s, tmp_path / "c", spec))
    assert written(tmp_path / "c") == b"out\nerr\n\xff\x00\rend"
    spec = shell("head -c 3000000 /dev/zero | tr '\\0' x")
    supervised(tmp_path, lambda s: finished(s, tmp_path / "big", spec))
    assert written(tmp_path / "big") == b"x" * 3_000_000


@pytest.mark.parametrize(
    ("argv", "cwd", "error"),
    [
        (["/no/such"], "/", 'exec: "/no/such": stat /no/such: no such file or directory'),
        (["nosuchcmd"], "/", 'exec: "nosuchcmd": executable file not found in $PATH'),
        (["long" * 1000], "/", f'exec: "{"long" * 1000}": executable file not found in $PATH'),
        (["/etc"], "/", 'exec: "/etc": permission denied'),
        (["true", "a\0b"], "/", "exec true: invalid argument"),
        (["true", "x" * 3_000_000], "/", "exec true: argument list too long"),
        (["/etc/passwd"], "/", 'exec: "/etc/passwd": permission denied'),
        (
            ["true"],
            "/no/such",
            'chdir to cwd ("/no/such") set in config.json failed: no such file or directory',
        ),
        (
            ["true"],
            "/etc/passwd",
            'chdir to cwd ("/etc/passwd") set in config.json failed: not a directory',
        ),
    ],
    ids=[
        "path",
        "name",
        "long-name",
        "directory",
        "nul",
        "too-long",
        "not-executable",
        "cwd",
        "cwd-is-a-file",
    ],
)
def test_what_cannot_be_started_says_why(
    tmp_path: Path, argv: list[str], cwd: str, error: str
) -> None:
    spec = Spec(argv, ENV, cwd=cwd)
    ended = supervised(tmp_path, lambda s: finished(s, tmp_path / "c", spec))
    assert (ended.code, ended.error, ended.started_ns) == (128, error, 0)
    assert written(tmp_path / "c") == b""


def test_nothing_is_left_of_a_container(tmp_path: Path) -> None:
    """Children in sessions of their own, and one that comes back when it is killed."""
    pids = tmp_path / "pids"
    script = f"""
        setsid setsid sleep 1000 & setsid sh -c 'sleep 1000 & wait' &
        env -i {sys.executable} -c "import os,time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: time.sleep(1000)
            os._exit(0)
        " &
        sleep 1000 & echo $! > {pids}
        exec sleep 1000
    """

    async def body(found: Supervisor) -> list[int]:
        container = await found.start(tmp_path / "c", shell(textwrap.dedent(script)))
        assert isinstance(container, Running)
        await read_when_there(pids)
        holder = Path(f"/proc/{container.main_pid}/stat").read_text().rpartition(")")[2].split()[1]
        below = [int(holder)]
        for pid in below:
            below += processes.children(pid)
        container.kill()
        assert (await container.exit).code == 137
        return below

    below = supervised(tmp_path, body)
    assert len(below) >= 6
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in below) and time.monotonic() < deadline:
        time.sleep(0.01)  # the holder itself is reaped by whoever is its parent now
    assert not [pid for pid in below if alive(pid)]


def test_what_a_container_left_in_the_background_ends_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    spec = shell(f"setsid sleep 1000 & echo $! > {pid_file}; exit 5")
    ended = supervised(tmp_path, lambda s: finished(s, tmp_path / "c", spec))
    assert ended.code == 5
    assert not alive(int(pid_file.read_text()))


def test_sigterm_reaches_the_whole_group(tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 7' TERM; echo up; sleep 1000 & wait"

    async def body(found: Supervisor) -> Exit:
        container = await found.start(tmp_path / "c", shell(script))
        assert isinstance(container, Running)
        while b"up" not in written(tmp_path / "c"):
            await asyncio.sleep(0.005)
        container.terminate()
        return await container.exit

    assert supervised(tmp_path, body).code == 7
    assert written(tmp_path / "c") == b"up\nbye\n"


@pytest.mark.parametrize("is_removed", [False, True], ids=["ended", "removed"])
def test_what_has_ended_is_not_asked_to_end(tmp_path: Path, is_removed: bool) -> None:
    async def body(found: Supervisor) -> Exit:
        container = await found.start(tmp_path / "c", shell("sleep 0.1; exit 3"))
        assert isinstance(container, Running)
        ended = await container.exit
        if is_removed:
            shutil.rmtree(tmp_path / "c")
        container.terminate()
        container.kill()
        return ended

    assert supervised(tmp_path, body).code == 3


def test_one_directory_never_runs_twice(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    spec = shell(f"echo run >> {runs}; sleep 0.2")

    async def body(found: Supervisor) -> list[Any]:
        first = await found.start(tmp_path / "c", spec)
        again = await asyncio.gather(*(found.start(tmp_path / "c", spec) for _ in range(5)))
        assert isinstance(first, Running)
        await first.exit
        return [*again, await found.start(tmp_path / "c", spec)]

    *same, last = supervised(tmp_path, body)
    assert all(isinstance(container, Running) for container in same)
    assert isinstance(last, Exit)
    assert runs.read_text() == "run\n"


def test_a_voided_container_never_runs(tmp_path: Path) -> None:
    assert supervisor.void(tmp_path / "c")
    assert not supervisor.void(tmp_path / "c")
    spec = shell(f"touch {tmp_path}/ran")
    ended = supervised(tmp_path, lambda s: finished(s, tmp_path / "c", spec))
    assert ended.lost
    assert not (tmp_path / "ran").exists()


DAEMON = """
import asyncio, os, sys
from pathlib import Path
from jobman.local.supervisor import Spec, Supervisor

async def main():
    place = Path(sys.argv[1])
    found = Supervisor(place / "empty")
    await found.open()
    for number in range(int(sys.argv[2])):
        script = f"echo start; while [ ! -e {place}/go ]; do sleep 0.02; done; exit {number}"
        await found.start(place / str(number), Spec(["sh", "-c", script], dict(os.environ)))
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def killed_daemon(tmp_path: Path) -> Iterator[Path]:
    """Containers 0 to 3, which wait for the file `go`; what started them was killed."""
    run_and_kill(DAEMON, str(tmp_path), "4")
    yield tmp_path
    (tmp_path / "go").touch()
    supervised(tmp_path, _all_ended)


async def _all_ended(found: Supervisor) -> list[int]:
    place = found.new_root.parent
    codes = []
    for number in range(4):
        container = found.find(place / str(number))
        codes.append((await container.exit if isinstance(container, Running) else container).code)
    return codes


def test_a_new_daemon_finds_what_runs(killed_daemon: Path) -> None:
    async def body(found: Supervisor) -> list[int]:
        states = [found.find(killed_daemon / str(number)) for number in range(4)]
        assert all(isinstance(state, Running) for state in states)
        (killed_daemon / "go").touch()
        return await _all_ended(found)

    assert supervised(killed_daemon, body) == [0, 1, 2, 3]
    assert written(killed_daemon / "2") == b"start\n"


def test_a_new_daemon_ends_what_it_has_found(killed_daemon: Path) -> None:
    async def body(found: Supervisor) -> list[Exit]:
        killed, told = (found.find(killed_daemon / name) for name in "12")
        assert isinstance(killed, Running)
        assert isinstance(told, Running)
        killed.kill()
        told.terminate()
        return [await killed.exit, await told.exit]

    ends = supervised(killed_daemon, body)
    assert [(ended.code, ended.lost) for ended in ends] == [(137, False), (143, False)]
    assert [Exit.read(killed_daemon / name) for name in "12"] == ends


def test_a_new_daemon_reads_what_has_ended(killed_daemon: Path) -> None:
    (killed_daemon / "go").touch()
    deadline = time.monotonic() + 30
    exits = [killed_daemon / str(number) / layout.EXIT for number in range(4)]
    while not all(path.exists() for path in exits) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert supervised(killed_daemon, _all_ended) == [0, 1, 2, 3]


def test_a_holder_that_was_killed_loses_its_code_and_nothing_else(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> tuple[Exit, int, Exit]:
        other = await found.start(tmp_path / "other", shell("sleep 0.3; exit 4"))
        container = await found.start(tmp_path / "c", shell("sleep 1000 & exec sleep 1000"))
        assert isinstance(container, Running)
        assert isinstance(other, Running)
        pid = container.main_pid
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        os.kill(int(fields[1]), signal.SIGKILL)
        return await container.exit, pid, await other.exit

    ended, pid, other = supervised(tmp_path, body)
    assert (ended.code, ended.lost) == (137, True)
    assert not alive(pid)
    assert other.code == 4


def test_a_zygote_that_was_killed_is_replaced(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> list[Any]:
        running = await found.start(tmp_path / "a", shell("sleep 0.2; exit 6"))
        assert isinstance(running, Running)
        assert found.zygote.process is not None
        found.zygote.process.kill()
        await found.zygote.process.wait()
        after = None
        while after is None:
            with contextlib.suppress(StartFailedError):
                after = await finished(found, tmp_path / "b", shell("exit 7"))
        return [await running.exit, after]

    assert [ended.code for ended in supervised(tmp_path, body)] == [6, 7]


def test_no_room_starts_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "c" / layout.CTL).mkdir(parents=True)  # in the way of the FIFO

    async def body(found: Supervisor) -> Exit:
        with pytest.raises(StartFailedError):
            await found.start(tmp_path / "c", shell("exit 2"))
        (tmp_path / "c" / layout.CTL).rmdir()
        return await finished(found, tmp_path / "c", shell("exit 2"))

    assert supervised(tmp_path, body).code == 2


def test_commands_in_a_running_container(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> tuple[Any, Any, bytes]:
        container = await found.start(tmp_path / "c", shell("sleep 1000"))
        assert isinstance(container, Running)
        reader, writer = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        streams = [null, writer, writer]
        good = await found.execute(container, ["sh", "-c", "echo in; exit 9"], streams, tty=False)
        bad = await found.execute(container, ["nosuchcmd"], streams, tty=False)
        said = os.read(reader, 100)
        lasting = asyncio.create_task(
            found.execute(container, ["sleep", "1000"], streams, tty=False)
        )
        await asyncio.sleep(0.1)
        container.kill()
        ended = await lasting
        for fd in (reader, writer, null):
            os.close(fd)
        return good, bad | ended, said

    good, others, said = supervised(tmp_path, body)
    assert good["exit"] == 9
    assert said == b"in\n"
    assert others["error"] == 'exec: "nosuchcmd": executable file not found in $PATH'
    assert others["exit"] == 137


def test_the_directory_of_a_pod_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "pod" / "main.0"
    ended = supervised(tmp_path, lambda s: finished(s, directory, shell("exit 3")))
    assert ended.code == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in (directory.parent, directory)} == {0o700}


def test_no_pod_without_its_place(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> None:
        with pytest.raises(StartFailedError, match="No such file"):
            await found.start(tmp_path / "pods" / "pod" / "main.0", shell("true"))

    supervised(tmp_path, body)
    assert not (tmp_path / "pods").exists()
