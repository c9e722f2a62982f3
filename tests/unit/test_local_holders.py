"""Holders hold one container after the other, and nothing of one reaches the next."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import select
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from plugins.containers import (
    ENV,
    alive,
    finished,
    run_and_kill,
    shell,
    started,
    supervised,
    written,
)

from jobman.local import holders, layout, shim, standing
from jobman.local.standing import Standing
from jobman.local.supervisor import Exit, Running, Spec, StartFailedError, Supervisor


def parent(pid: int) -> int:
    """Of a container's first process: the holder."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def held_by(found: Supervisor, directory: Path) -> int:
    """The holder of a container that waits to be killed, and is."""
    container = await started(found, directory, shell("sleep 1000"))
    holder = parent(container.main_pid)
    container.kill()
    await container.exit
    return holder


def descriptors(pid: int) -> list[str]:
    """What a process has open."""
    return sorted(str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())


def gone(*pids: int) -> bool:
    """Whether all have ended; waits for them."""
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(alive(pid) for pid in pids)


def test_a_holder_holds_one_container_after_the_other(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> list[int]:
        return [await held_by(found, tmp_path / str(number)) for number in range(3)]

    first, *others = supervised(tmp_path, body)
    assert others == [first, first]
    assert gone(first)


AUTOGROUP = Path("/proc/self/autogroup")


@contextlib.asynccontextmanager
async def running(found: Supervisor, directory: Path, script: str) -> AsyncIterator[int]:
    """The holder of a container, which is killed in the end."""
    container = await started(found, directory, shell(script))
    yield parent(container.main_pid)
    container.kill()
    await container.exit


def stands_back(holder: int) -> bool:
    return not Path(f"/proc/{holder}/autogroup").read_text().endswith(" nice 0\n")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not weigh by session")
def test_a_holder_stands_back_but_for_a_container_that_writes_much(tmp_path: Path) -> None:
    names = map(str, itertools.count())

    async def quiet(found: Supervisor) -> int:
        while True:  # the kernel refuses the wish where another has just had the same
            async with running(found, tmp_path / next(names), "sleep 1000") as holder:
                if stands_back(holder):
                    return holder

    async def loud(found: Supervisor) -> int:
        async with running(found, tmp_path / next(names), "yes") as holder:
            while stands_back(holder):
                await asyncio.sleep(0.01)
            return holder

    async def body(found: Supervisor) -> list[int]:
        return [await quiet(found), await loud(found), await quiet(found)]

    assert len(set(supervised(tmp_path, body))) == 1


@pytest.mark.parametrize("path", ["/nowhere", "/dev/full"])
def test_a_kernel_that_does_not_grant_the_wish_hinders_nothing(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(standing, "_PATH", path)
    mine = Standing()
    for _ in range(2):
        mine.back()
        mine.forward()


def test_each_has_its_own_log_exit_world_and_nothing_else(tmp_path: Path) -> None:
    script = "pwd; umask; echo $A$B; ls /proc/self/fd; exit {}"

    async def body(found: Supervisor) -> list[Exit]:
        first = shell("umask 0; cd /; printf unfinished; exit 3", cwd="/usr")
        second = Spec(["sh", "-c", script.format(4)], ENV | {"A": "a"}, cwd="/usr")
        third = Spec(["sh", "-c", script.format(5)], ENV | {"B": "b"}, cwd="/")
        specs = [first, second, third]
        return [await finished(found, tmp_path / str(n), spec) for n, spec in enumerate(specs)]

    ends = supervised(tmp_path, body)
    assert [ended.code for ended in ends] == [3, 4, 5]
    times = [ns for ended in ends for ns in (ended.started_ns, ended.finished_ns)]
    assert times == sorted(times)
    assert written(tmp_path / "0") == b"unfinished"
    assert written(tmp_path / "1").split() == b"/usr 0022 a 0 1 2 3".split()
    assert written(tmp_path / "2").split() == b"/ 0022 b 0 1 2 3".split()


def test_what_one_container_left_is_dead_before_the_next_begins(tmp_path: Path) -> None:
    left = tmp_path / "left"
    leaves = shell(f"setsid setsid sh -c 'echo $$ > {left}; exec sleep 1000' & sleep 0.2; exit 1")
    looks = shell(f"if kill -0 $(cat {left}); then echo alive; else echo dead; fi 2>/dev/null")

    async def body(found: Supervisor) -> None:
        await finished(found, tmp_path / "a", leaves)
        await finished(found, tmp_path / "b", looks)

    supervised(tmp_path, body)
    assert written(tmp_path / "b") == b"dead\n"


@pytest.mark.parametrize("is_deleted", [False, True])
def test_the_next_container_takes_over_the_fifo(tmp_path: Path, is_deleted: bool) -> None:
    """A new file may cost more than all else; where the old one is gone there is a new one."""

    async def body(found: Supervisor) -> tuple[int, int, Exit]:
        first = await started(found, tmp_path / "first", shell("sleep 1000"))
        fifo = (first.directory / layout.CTL).stat().st_ino
        first.kill()
        await first.exit
        if is_deleted:
            shutil.rmtree(first.directory)
        second = await started(found, tmp_path / "second", shell("exec sleep 1000"))
        taken = (second.directory / layout.CTL).stat().st_ino
        first.kill()
        second.terminate()
        return fifo, taken, await second.exit

    fifo, taken, ended = supervised(tmp_path, body)
    assert not (tmp_path / "first" / layout.CTL).exists()
    assert is_deleted or taken == fifo
    assert ended.code == 128 + signal.SIGTERM


def test_a_fifo_that_is_open_is_not_taken_over(tmp_path: Path) -> None:
    """A command in the container (kubectl exec) sees by it that the container has ended."""

    async def body(found: Supervisor) -> tuple[list[tuple[bool, int]], Exit]:
        first = await started(found, tmp_path / "first", shell("sleep 1000"))
        beside = os.open(first.directory / layout.CTL, os.O_WRONLY | os.O_NONBLOCK)
        poll = select.poll()
        poll.register(beside, 0)
        assert poll.poll(0) == []
        first.kill()
        await first.exit
        second = await started(found, tmp_path / "second", shell("exec sleep 1000"))
        seen = [(fd == beside, event) for fd, event in poll.poll(0)]
        os.close(beside)
        second.terminate()
        return seen, await second.exit

    seen, ended = supervised(tmp_path, body)
    assert seen == [(True, select.POLLERR)]
    assert ended.code == 128 + signal.SIGTERM


def test_a_container_that_runs_keeps_its_fifo(tmp_path: Path) -> None:
    """Whatever holder is asked for it once more."""

    async def body(found: Supervisor) -> Exit:
        runs = await started(found, tmp_path / "runs", shell("exec sleep 1000"))
        await finished(found, tmp_path / "ended", shell("true"))
        found.running.clear()  # as if nothing were known of it
        again = await found.start(runs.directory, shell("exit 1"))
        assert isinstance(again, Running)
        again.terminate()
        return await again.exit

    assert supervised(tmp_path, body).code == 128 + signal.SIGTERM


def test_a_holder_keeps_no_file_and_grows_little(tmp_path: Path) -> None:
    specs = [
        shell("true"),
        shell("head -c 100000 /dev/zero; exit 3"),
        shell("sleep 1000 & exec 1>&- 2>&-; exit 1"),
        Spec(["true"], ENV | {"LONG": "x" * 2 * shim.INLINE_BYTES}),
        Spec(["nosuchcmd"], ENV),
        Spec(["true"], ENV, cwd="/no/such"),
        Spec(["true"], ENV, mounts=[("/no/such", "/mnt", False)], new_root=str(tmp_path / "empty")),
    ]

    async def body(found: Supervisor) -> tuple[list[str], list[str], list[int]]:
        pid = await held_by(found, tmp_path / "first")
        before, sizes = descriptors(pid), []
        for number in range(5):
            for at, spec in enumerate(specs):
                await finished(found, tmp_path / f"{number}-{at}", spec)
            sizes.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]))
        assert await held_by(found, tmp_path / "last") == pid
        return before, descriptors(pid), sizes

    before, after, pages = supervised(tmp_path, body)
    assert after == before
    assert pages[-1] - pages[1] < 50


def test_the_daemon_opens_nothing_for_a_container(tmp_path: Path) -> None:
    mine = Path("/proc/self/fd")

    async def body(found: Supervisor) -> list[int]:
        await held_by(found, tmp_path / "first")
        counts = [len(list(mine.iterdir()))]
        container = await started(found, tmp_path / "c", shell("sleep 1000"))
        counts.append(len(list(mine.iterdir())))
        container.terminate()
        assert (await container.exit).code == 143
        return [*counts, len(list(mine.iterdir()))]

    before, *others = supervised(tmp_path, body)
    assert others == [before, before]


def test_an_end_is_told_without_a_file_being_watched(tmp_path: Path) -> None:
    spec = shell(f"rm {tmp_path}/c/ctl; sleep 0.1; exit 3")
    ended = supervised(tmp_path, lambda s: finished(s, tmp_path / "c", spec))
    assert ended.code == 3
    assert Exit.read(tmp_path / "c") == ended


def test_a_daemon_that_was_busy_hears_of_the_start_and_of_the_end(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> Running | Exit:
        await held_by(found, tmp_path / "first")
        start = asyncio.create_task(found.start(tmp_path / "c", shell("sleep 0.1; exit 3")))
        await asyncio.sleep(0)  # it is asked for
        while not (tmp_path / "c" / layout.EXIT).exists():
            time.sleep(0.01)
        container = await start
        ended = container if isinstance(container, Exit) else await container.exit
        assert not found.running
        return ended

    ended = supervised(tmp_path, body)
    assert (ended.code, ended.lost) == (3, False)


@pytest.mark.parametrize("is_made", [True, False], ids=["there", "deleted"])
def test_for_a_daemon_that_is_gone_no_pod_comes_back(tmp_path: Path, is_made: bool) -> None:
    """What it has asked for last is started where its pod is, for its successor to find."""
    directory = tmp_path / "pod" / "main.0"
    if is_made:
        directory.parent.mkdir()

    async def body(found: Supervisor) -> int | None:
        holder = await held_by(found, tmp_path / "first")
        os.kill(holder, signal.SIGSTOP)
        start = asyncio.create_task(found.start(directory, shell("exit 3")))
        await asyncio.sleep(0)  # it is asked for
        found.holders.close()
        os.kill(holder, signal.SIGCONT)
        assert gone(holder)
        with contextlib.suppress(StartFailedError):
            ended = await start
            return ended.code if isinstance(ended, Exit) else None
        return None

    assert supervised(tmp_path, body) == (3 if is_made else None)
    assert directory.parent.exists() == is_made


def test_many_end_at_once_and_few_holders_are_kept(tmp_path: Path) -> None:
    count = holders.MOST_IDLE + 4

    async def body(found: Supervisor) -> tuple[set[int], set[int]]:
        starts = [started(found, tmp_path / str(n), shell("sleep 1000")) for n in range(count)]
        containers = await asyncio.gather(*starts)
        pids = {parent(container.main_pid) for container in containers}
        for container in containers:
            container.kill()
        await asyncio.gather(*(container.exit for container in containers))
        again = [started(found, tmp_path / f"{n}b", shell("sleep 1000")) for n in range(count)]
        return pids, {parent(each.main_pid) for each in await asyncio.gather(*again)}

    first, second = supervised(tmp_path, body)
    assert len(first) == len(second) == count
    assert len(first & second) == holders.MOST_IDLE
    assert gone(*first, *second)


def test_short_ones_that_begin_at_once_share_holders(tmp_path: Path) -> None:
    places = [tmp_path / str(number) for number in range(60)]

    async def body(found: Supervisor) -> None:
        await asyncio.gather(*(finished(found, place, shell("echo $PPID")) for place in places))

    supervised(tmp_path, body)
    assert len({written(place) for place in places}) < len(places)


def test_starts_that_hang_keep_none_waiting(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> tuple[Exit, list[Running]]:
        await held_by(found, tmp_path / "first")
        assert found.zygote.process is not None
        found.zygote.process.send_signal(signal.SIGSTOP)
        try:
            names = [f"hung-{number}" for number in range(holders.MOST_STARTING + 1)]
            starts = [started(found, tmp_path / name, shell("sleep 1000")) for name in names]
            begun, *hung = [asyncio.create_task(start) for start in starts]
            (await begun).kill()
            await (await begun).exit
            ended = await finished(found, tmp_path / "next", shell("exit 3"))
            assert not any(task.done() for task in hung)
        finally:
            found.zygote.process.send_signal(signal.SIGCONT)
        return ended, await asyncio.gather(*hung)

    ended, late = supervised(tmp_path, body)
    assert ended.code == 3
    assert len(late) == holders.MOST_STARTING


def test_a_holder_ends_after_many_containers(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> tuple[int, int]:
        first = await held_by(found, tmp_path / "first")
        for number in range(shim.MOST_CONTAINERS - 2):
            await finished(found, tmp_path / str(number), Spec(["true"], ENV))
        assert await held_by(found, tmp_path / "last") == first
        assert gone(first)
        return first, await held_by(found, tmp_path / "next")

    first, second = supervised(tmp_path, body)
    assert first != second


def test_a_killed_holder_loses_the_container_it_holds_and_no_other(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> tuple[list[Exit], int]:
        earlier = [await finished(found, tmp_path / str(n), shell(f"exit {n}")) for n in range(2)]
        lasting = await started(found, tmp_path / "lasting", shell("sleep 1000 & exec sleep 1000"))
        other = await started(found, tmp_path / "other", shell("sleep 0.3; exit 4"))
        pid = lasting.main_pid
        os.kill(parent(pid), signal.SIGKILL)
        ends = [*earlier, await lasting.exit, await other.exit]
        ends.append(await finished(found, tmp_path / "next", shell("exit 5")))
        assert [Exit.read(tmp_path / str(n)) for n in range(2)] == earlier
        return ends, pid

    ends, pid = supervised(tmp_path, body)
    assert [(ended.code, ended.lost) for ended in ends] == [
        (0, False),
        (1, False),
        (137, True),
        (4, False),
        (5, False),
    ]
    assert not alive(pid)


def test_an_idle_holder_that_was_killed_is_replaced(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> tuple[int, int]:
        first = await held_by(found, tmp_path / "a")
        os.kill(first, signal.SIGKILL)
        assert gone(first)
        await asyncio.sleep(0)
        return first, await held_by(found, tmp_path / "b")

    first, second = supervised(tmp_path, body)
    assert first != second


def test_without_a_zygote_all_holders_end_with_the_daemon(tmp_path: Path) -> None:
    async def body(found: Supervisor) -> tuple[list[int], Exit]:
        busy = await started(found, tmp_path / "busy", shell("sleep 0.5; exit 6"))
        idle = await held_by(found, tmp_path / "idle")
        assert found.zygote.process is not None
        found.zygote.process.kill()
        await found.zygote.process.wait()
        holder = parent(busy.main_pid)
        assert await held_by(found, tmp_path / "later") == idle
        return [holder, idle], await busy.exit

    pids, ended = supervised(tmp_path, body)
    assert ended.code == 6
    assert gone(*pids)


DAEMON = """
import asyncio, os, sys
from pathlib import Path
from jobman.local.supervisor import Running, Spec, Supervisor

async def main():
    place = Path(sys.argv[1])
    found = Supervisor(place / "empty")
    await found.open()
    script = f"echo $PPID; while [ ! -e {place}/go ]; do sleep 0.02; done; exit 7"
    busy = await found.start(place / "busy", Spec(["sh", "-c", script], dict(os.environ)))
    idle = await found.start(place / "idle", Spec(["sh", "-c", "echo $PPID"], dict(os.environ)))
    if isinstance(idle, Running):
        await idle.exit
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def killed_daemon(tmp_path: Path) -> Iterator[Path]:
    """Two containers: `busy` waits for the file `go`, `idle` has ended; the daemon was killed."""
    run_and_kill(DAEMON, str(tmp_path))
    yield tmp_path
    (tmp_path / "go").touch()


def test_without_a_daemon_the_idle_end_and_the_busy_finish(killed_daemon: Path) -> None:
    idle, busy = (int(written(killed_daemon / name)) for name in ("idle", "busy"))
    assert idle != busy
    assert gone(idle)
    assert alive(busy)

    async def body(found: Supervisor) -> int:
        container = found.find(killed_daemon / "busy")
        assert isinstance(container, Running)
        (killed_daemon / "go").touch()
        return (await container.exit).code

    assert supervised(killed_daemon, body) == 7
    assert gone(busy)
