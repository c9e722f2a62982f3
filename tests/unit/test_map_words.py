"""What `jobman map` says while it runs: a bar on a terminal, few lines elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from plugins.command_line import Stream

from jobman.cli.context import AppContext
from jobman.cli.map_progress import ProgressWriter, Rate
from jobman.cli.map_words import last_words, summarize
from jobman.jobs import pods
from jobman.kube.meta import ObjectMeta
from jobman.kube.objects import Pod, PodCondition, PodStatus
from jobman.map.items import Items
from jobman.map.ledger import Ledger, RunFile, Source
from jobman.map.outcome import Outcome
from jobman.map.plan import Plan
from jobman.map.progress import Progress, Waiting
from jobman.map.result import Result, Staying
from jobman.map.template import Template

NOTHING = Progress(total=100, done=0, failed=0, running=0, pending=0, skipped=0)


class Screen:
    """A writer on a stream in memory, and the time that a test gives it."""

    def __init__(self, *, terminal: bool) -> None:
        self.now = 0.0
        self.err = Stream(terminal=terminal)
        app = AppContext(out=Stream(terminal=terminal), err=self.err, columns=70)
        self.writer = ProgressWriter(app, "map-abcdefgh", lambda: self.now)

    def show(self, now: float, **changes: Any) -> None:
        self.now = now
        self.writer(replace(NOTHING, **changes))

    @property
    def said(self) -> str:
        return self.err.bytes.decode()


def test_piped_a_line_when_something_changed_every_ten_seconds() -> None:
    screen = Screen(terminal=False)
    screen.show(0)
    for tenth in range(1, 100):
        screen.show(tenth / 10, done=tenth, running=3)
    screen.show(10, done=50, running=3)
    screen.show(25, done=50, running=3)
    screen.show(30, done=60, failed=1)
    assert screen.said.splitlines() == [
        "0/100, 0 running, 0 pending",
        "50/100, 3 running, 0 pending, 5.0/s, 10s left",
        "61/100, 1 failed, 0 running, 0 pending, 2.0/s, 19s left",
    ]


def test_on_a_terminal_a_bar_and_each_failure_once() -> None:
    screen = Screen(terminal=True)
    failed = Outcome(
        index=3, name="p-3", succeeded=False, reason="OOMKilled", last_line="\x1b[2Jno room"
    )
    screen.show(0, running=1)
    screen.show(10, done=49, failed=1, last_failures=(failed,))
    screen.show(11, done=49, failed=1, last_failures=(failed,))
    screen.writer.end()
    shown = screen.said.split("\r\x1b[K")
    assert shown[1] == "[....................] 0/100, 1 running, 0 pending"
    assert shown[2].startswith("failed p-3: OOMKilled: ")
    assert "\x1b" not in shown[2]
    assert shown[3].startswith("[##########..........] 50/100, 1 failed")
    assert screen.said.count("failed p-3") == 1
    assert all(len(line) < 70 for line in shown)
    assert shown[-1] == ""


def test_the_rate_is_that_of_the_last_minute() -> None:
    rate = Rate()
    rate.look(0, 0.0)
    assert rate.per_second == 0
    for second in range(1, 200):
        rate.look(1000 + second, float(second))
    assert rate.per_second == 1.0


def summary(result: Result, place: Path, *, stream: bool = False) -> list[str]:
    plan = Plan(
        run="r",
        items=Items([]),
        template=Template({"spec": {}}, "r"),
        namespace="team",
        user="alice",
        log_dir=place,
        stream_logs=stream,
    )
    err = Stream(terminal=False)
    summarize(AppContext(out=Stream(terminal=False), err=err, columns=70), result, plan)
    return err.bytes.decode().splitlines()


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, []),
        (1, ["1 pod could not be deleted: no\\x1b; the same command tries again"]),
        (2, ["2 pods could not be deleted: no\\x1b; the same command tries again"]),
    ],
)
def test_pods_that_stay_are_told(tmp_path: Path, count: int, said: list[str]) -> None:
    staying = Staying()
    for _ in range(count):
        staying.add("no\x1b")
    assert summary(Result("r", 9, 9, 0, staying=staying), tmp_path)[1:] == said


@pytest.mark.parametrize("stream", [True, False])
def test_logs_that_lack_something_are_told(tmp_path: Path, stream: bool) -> None:
    lacking = [f"p-{number}.log" for number in range(4)]
    file = RunFile(run="r", source=Source(9, "i", "t", "team"), incomplete_logs=lacking)
    result = Result("r", 9, 9, 0, ledger=Ledger(tmp_path, file))
    first, second, *hint = summary(result, tmp_path, stream=stream)
    assert first.startswith("9 of 9 succeeded in ")
    assert second == "4 logs lack something: p-0.log, p-1.log, p-2.log, …"
    assert len(hint) == (not stream)


BUSY = "0/1 nodes are available: 1 Insufficient cpu."
SAID = "no node that may take it has enough left: less than 0 cpu on 1 node"


def waiting(for_s: float, message: str = BUSY) -> Waiting:
    condition = PodCondition(type="PodScheduled", status="False", message=message)
    pod = Pod(
        metadata=ObjectMeta(name="x-0"),
        status=PodStatus(phase="Pending", conditions=[condition] if message else []),
    )
    return Waiting(pod, pods.view(pod, now=datetime.now(UTC)), (), for_s)


def test_piped_it_is_told_why_pods_wait_now_and_then() -> None:
    screen = Screen(terminal=False)
    screen.show(0, pending=3)
    for second in range(5, 400):
        screen.show(second, pending=3, oldest=waiting(second))
    assert screen.said.splitlines() == [
        "0/100, 0 running, 3 pending",
        f"0/100, 0 running, 3 pending, waiting 10s: {SAID}",
        f"pod x-0 waits: {SAID}",
        "hint: jobman why map-abcdefgh tells more",
        f"0/100, 0 running, 3 pending, waiting 5m10s: {SAID}",
    ]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            'pods "x" is forbidden: exceeded quota: q, requested: a=1, used: a=5, limited: a=5',
            "quota q of its namespace is used up: a: 5 of 5 used, 1 asked for",
        ),
        ("too many requests", "too many requests"),
    ],
)
def test_what_the_server_says_against_more_pods(message: str, shown: str) -> None:
    screen = Screen(terminal=False)
    screen.show(0, waiting_for=message)
    assert screen.said == f"0/100, 0 running, 0 pending, {shown}\n"


def test_piped_nothing_is_told_again_of_pods_that_run() -> None:
    screen = Screen(terminal=False)
    for second in range(400):
        screen.show(second, running=3)
    assert screen.said.splitlines() == ["0/100, 3 running, 0 pending"]


def test_on_a_terminal_the_bar_makes_room_for_why_pods_wait() -> None:
    screen = Screen(terminal=True)
    screen.show(5, pending=3, oldest=waiting(5))
    screen.show(40, pending=3, oldest=waiting(40))
    screen.show(41, pending=3, oldest=waiting(41))
    screen.show(42, pending=3, oldest=waiting(42, message=""))
    shown = screen.said.split("\r\x1b[K")
    assert shown[1] == "0/100, 0 running, 3 pending, waiting 5s: no node that may take it …"
    told = f"pod x-0 waits: {SAID}\nhint: jobman why map-abcdefgh tells more\n"
    assert shown[2] == told
    assert screen.said.count(told) == 1
    assert shown[-1] == "[....................] 0/100, 0 running, 3 pending"


STEPS = (
    "failed to create containerd task: OCI runtime create failed: runc create failed:"
    " unable to start container process: error during container init:"
)


@pytest.mark.parametrize(
    ("reason", "line", "shown"),
    [
        (
            "StartError",
            f'{STEPS} exec: "process": executable file not found in $PATH: unknown',
            "process: executable file not found in $PATH",
        ),
        ("Error(exit 1)", 'exec: "x": said by itself', 'exec: "x": said by itself'),
    ],
)
def test_of_a_runtimes_words_what_they_mean(reason: str, line: str, shown: str) -> None:
    assert last_words(reason, line) == shown
