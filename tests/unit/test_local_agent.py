"""This machine's side of the API: which log is meant, and commands with streams or a terminal."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from plugins.kubelet import World, run_kubelet

from jobman.local import logs
from jobman.local.api.agent import ExecError, ExecOptions, LogOptions
from jobman.local.api.status import ApiError, PlainError
from jobman.local.logfile import LineDecoder, Wanted
from jobman.local.node_agent import MachineAgent
from jobman.local.notify import DirectoryWatcher

RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED = {"terminated": {"exitCode": 1}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def pod(state: dict[str, Any] | None, last: dict[str, Any], restarts: int) -> dict[str, Any]:
    told = {"name": "main", "state": state, "lastState": last, "restartCount": restarts}
    status = {} if state is None else {"containerStatuses": [told]}
    return {"metadata": {"name": "p", "uid": "u"}, "status": status}


@pytest.mark.parametrize(
    ("state", "last", "restarts", "previous", "number"),
    [
        (RUNNING, {}, 0, False, 0),
        (ENDED, {}, 0, False, 0),
        (RUNNING, ENDED, 3, False, 3),
        (RUNNING, ENDED, 3, True, 2),
        (ENDED, ENDED, 3, True, 2),
        (waiting("CrashLoopBackOff"), ENDED, 3, False, 3),
        (waiting("CrashLoopBackOff"), ENDED, 3, True, 3),
        (waiting("RunContainerError"), ENDED, 0, False, 0),
    ],
)
def test_which_run_is_meant(
    state: dict[str, Any], last: dict[str, Any], restarts: int, previous: bool, number: int
) -> None:
    assert logs.run_number(pod(state, last, restarts), "main", previous=previous) == number


@pytest.mark.parametrize(
    ("state", "previous", "message"),
    [
        (None, False, 'container "main" in pod "p" is waiting to start: ContainerCreating'),
        (
            waiting("PodInitializing"),
            False,
            'container "main" in pod "p" is waiting to start: PodInitializing',
        ),
        (
            waiting("CreateContainerConfigError"),
            False,
            'container "main" in pod "p" is waiting to start: CreateContainerConfigError',
        ),
        (
            waiting("InvalidImageName"),
            False,
            'container "main" in pod "p" is waiting to start: image can\'t be pulled',
        ),
        (RUNNING, True, 'previous terminated container "main" in pod "p" not found'),
    ],
)
def test_a_log_that_is_not_there(
    state: dict[str, Any] | None, previous: bool, message: str
) -> None:
    with pytest.raises(ApiError) as error:
        logs.run_number(pod(state, {}, 0), "main", previous=previous)
    assert (error.value.code, error.value.message) == (400, message)


def test_the_options_of_a_log() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    options = LogOptions(follow=True, timestamps=True, tail_lines=3, since_time=moment)
    since_ns = int(moment.timestamp()) * 10**9
    assert logs.wanted(options) == Wanted(True, 3, since_ns, True, None)
    assert not logs.wanted(LogOptions(follow=True, previous=True)).follow


@pytest.mark.parametrize(
    "options",
    [
        LogOptions(since_seconds=2**63 - 1),
        LogOptions(since_time=datetime(1, 1, 1, tzinfo=UTC)),
        LogOptions(since_time=datetime(999, 1, 1, tzinfo=UTC)),
    ],
)
def test_since_long_before_any_log_is_since_its_beginning(options: LogOptions) -> None:
    line = b"2026-01-01T00:00:00.000000000Z stdout F text"
    assert LineDecoder(logs.wanted(options)).decode([line]) == b"text\n"


class Caller:
    """The caller's end of an exec, scripted: what it types, and when its window changes."""

    def __init__(self, *typed: bytes, sizes: tuple[tuple[int, int], ...] = ()) -> None:
        self.typed = list(typed)
        self.sizes = list(sizes)
        self.got = {1: bytearray(), 2: bytearray()}
        self.changed = asyncio.Event()

    async def read_stdin(self) -> bytes:
        return self.typed.pop(0) if self.typed else b""

    async def write(self, channel: int, data: bytes) -> None:
        self.got[channel] += data
        self.changed.set()

    async def resized(self) -> tuple[int, int]:
        if self.sizes:
            return self.sizes.pop(0)
        await asyncio.Event().wait()
        raise AssertionError


@contextlib.asynccontextmanager
async def agent(world: World) -> Any:
    watcher = DirectoryWatcher()
    with contextlib.closing(watcher):
        yield MachineAgent(world.state, "node1", world.supervisor, watcher)


def executed(place: Path, options: ExecOptions, caller: Caller) -> int:
    spec = {"name": "main", "image": "busybox", "command": ["sleep", "1000"]}

    async def body(world: World) -> int:
        world.create({"restartPolicy": "Never", "containers": [spec]})
        found = await world.until(lambda p: p["status"]["phase"] == "Running")
        async with agent(world) as machine:
            return int(await machine.exec(found, "main", options, caller))

    return int(run_kubelet(place, body))


def shell(script: str, **streams: bool) -> ExecOptions:
    return ExecOptions(["sh", "-c", script], stdout=True, **streams)


def test_streams_and_exit_code(tmp_path: Path) -> None:
    caller = Caller()
    code = executed(tmp_path, shell("echo out; echo err >&2; exit 3", stderr=True), caller)
    assert code == 3
    assert (caller.got[1], caller.got[2]) == (b"out\n", b"err\n")


def test_stdin_reaches_the_command_to_its_end(tmp_path: Path) -> None:
    caller = Caller(b"one\n", b"x" * 200_000)
    assert executed(tmp_path, shell("cat", stdin=True), caller) == 0
    assert caller.got[1] == b"one\n" + b"x" * 200_000


def test_output_is_carried_whole(tmp_path: Path) -> None:
    caller = Caller()
    assert executed(tmp_path, shell("head -c 1000000 /dev/zero"), caller) == 0
    assert caller.got[1] == bytes(1_000_000)


def test_a_terminal(tmp_path: Path) -> None:
    caller = Caller(b"typed\n", sizes=((100, 30),))
    script = "test -t 0 && read word; until [ $(stty size | cut -d' ' -f1) = 30 ]; do :; done;"
    code = executed(tmp_path, shell(script + 'stty size; echo "<$word>"', tty=True), caller)
    assert code == 0
    assert caller.got[1].endswith(b"30 100\r\n<typed>\r\n")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nosuchcmd"], 'exec: "nosuchcmd": executable file not found in $PATH'),
        ([], "args must not be empty"),
    ],
)
def test_a_command_that_cannot_start(tmp_path: Path, words: list[str], problem: str) -> None:
    with pytest.raises(ExecError) as error:
        executed(tmp_path, ExecOptions(words, stdout=True), Caller())
    assert problem in str(error.value)


def test_a_container_that_has_ended(tmp_path: Path) -> None:
    spec = {"name": "main", "image": "busybox", "command": ["true"]}

    async def body(world: World) -> None:
        world.create({"restartPolicy": "Never", "containers": [spec]})
        found = await world.finished()
        async with agent(world) as machine:
            with pytest.raises(PlainError) as error:
                await machine.exec(found, "main", shell("true"), Caller())
            assert (error.value.code, error.value.text) == (500, 'container not found ("main")')
            found["spec"]["nodeName"] = "elsewhere"
            with pytest.raises(ApiError, match="no preferred addresses"):
                await machine.exec(found, "main", shell("true"), Caller())

    run_kubelet(tmp_path, body)
