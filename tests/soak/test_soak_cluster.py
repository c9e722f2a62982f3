"""The embedded cluster's daemon, killed at random moments under load: nothing is lost.

Every accepted object is there afterwards, every process has run once, every exit code and log is
right, and nothing is left running. `make soak` does 50 rounds, `make test` 3.
"""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobman.errors import JobmanError
from jobman.local import control

API = "/api/v1/namespaces/default/pods"
SCRIPT = "echo run >> '{runs}'; echo start {name}; sleep {seconds}; echo end {name}; exit {code}"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    state = tmp_path / "state"
    yield state
    control.reset(state)


@dataclass
class Load:
    """What was asked for, and of that what was accepted: name -> exit code."""

    place: Path
    runs: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    asked: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)

    def create_one(self, dice: random.Random) -> None:
        """One more pod; a daemon killed meanwhile may or may not have taken it."""
        name = f"p{len(self.asked)}"
        code = dice.randrange(5)
        self.asked[name] = code
        facts = control.status(self.place)
        if facts is None:
            return
        try:
            answer = control.ask(facts, API, method="POST", body=self._pod(name, code, dice))
        except JobmanError:
            return
        assert answer["kind"] == "Pod", answer
        self.accepted[name] = code

    def _pod(self, name: str, code: int, dice: random.Random) -> dict[str, Any]:
        seconds = round(dice.random() * 0.6, 2)
        runs = self.runs / name
        script = SCRIPT.format(runs=runs, name=name, seconds=seconds, code=code)
        container = {
            "name": "main",
            "image": "busybox",
            "command": ["sh", "-c", script],
            "env": [{"name": "SOAK_MARK", "value": self.mark}],
        }
        spec = {"restartPolicy": "Never", "containers": [container]}
        return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}

    def left_running(self) -> list[str]:
        """Command lines of processes that carry the mark."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self.mark.encode() in path.read_bytes():
                    found.append(path.with_name("cmdline").read_text())
            except OSError:
                continue
        return found


def kill_daemon(place: Path) -> None:
    facts = control.status(place)
    if facts is not None:
        os.kill(facts.pid, signal.SIGKILL)


def all_finished(place: Path, timeout_s: float) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + timeout_s
    while True:
        facts = control.status(place)
        assert facts is not None
        pods = {pod["metadata"]["name"]: pod for pod in control.ask(facts, API)["items"]}
        waiting = [n for n, p in pods.items() if p["status"]["phase"] in ("Pending", "Running")]
        if not waiting:
            return pods
        assert time.monotonic() < deadline, [pods[name]["status"] for name in waiting]
        time.sleep(0.1)


def rounds(place: Path, runs: Path, count: int, seed: int) -> None:
    dice = random.Random(seed)
    runs.mkdir()
    load = Load(place, runs)
    for _ in range(count):
        control.ensure_started(place)
        until = time.monotonic() + 0.05 + dice.random() * 0.8
        while time.monotonic() < until:
            load.create_one(dice)
        kill_daemon(place)
        while control.status(place) is not None:
            time.sleep(0.005)
    control.ensure_started(place)
    pods = all_finished(place, 60)
    assert load.accepted.keys() <= pods.keys() <= load.asked.keys()
    for name, pod in pods.items():
        (told,) = pod["status"]["containerStatuses"]
        ended = told["state"]["terminated"]
        assert (ended["exitCode"], told["restartCount"]) == (load.asked[name], 0), pod["status"]
        assert (runs / name).read_text() == "run\n"
        (log,) = (place / "pods" / pod["metadata"]["uid"]).glob("main.0/log")
        lines = [line.split(" ", 3)[3] for line in log.read_text().splitlines()]
        assert lines == [f"start {name}", f"end {name}"]
    assert not load.left_running()


def test_a_daemon_killed_under_load(place: Path, tmp_path: Path) -> None:
    rounds(place, tmp_path / "runs", 3, seed=random.randrange(1 << 30))


@pytest.mark.slow
def test_a_daemon_killed_fifty_times(place: Path, tmp_path: Path) -> None:
    rounds(place, tmp_path / "runs", 50, seed=random.randrange(1 << 30))
