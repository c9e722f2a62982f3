"""Benchmarks: each is a ratio to a reference measured in the same run, interleaved with it.

Machines are shared and noisy: the best of several rounds counts, on both sides.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Cost:
    """One run of a command: seconds on the wall, seconds of CPU, peak memory in MB, its stdout."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    out: bytes


LAUNCH = """
import json, os, sys, time
began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - began
cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
facts = [os.waitstatus_to_exitcode(status), wall, cpu, peak]
os.write(int(sys.argv[1]), json.dumps(facts).encode())
"""
"""A process counts as its own peak that of the one which started it: so a small one does."""


def measure(command: list[str], env: dict[str, str]) -> Cost:
    """Run `command` to its end; a failure is an error."""
    told, tell = os.pipe()
    with open(told, "rb") as facts:  # noqa: PTH123 - a descriptor
        done = subprocess.run(
            [sys.executable, "-S", "-c", LAUNCH, str(tell), *command],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=(tell,),
            check=True,
        )
        os.close(tell)
        code, wall, cpu, peak = json.loads(facts.read())
    assert code == 0, done.stderr.decode()
    return Cost(wall, cpu, peak, done.stdout)


def best_of(rounds: int, *runs: Callable[[], Cost]) -> list[Cost]:
    """The quickest run of each, taken in turns."""
    costs = [[run() for run in runs] for _ in range(rounds)]
    return [min(column, key=lambda cost: cost.wall_s) for column in zip(*costs, strict=True)]


class Bench:
    """What a benchmark needs: measuring, ratios, and a word past pytest's capture."""

    measure = staticmethod(measure)
    best_of = staticmethod(best_of)

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def say(self, line: str) -> None:
        with self._capsys.disabled():
            print(f"\n    {line}", flush=True)

    def ratio(self, what: str, ours: Cost, beside: str, reference: Cost, *, most: float) -> None:
        """Say and check ours / reference by the wall clock."""
        ratio = ours.wall_s / reference.wall_s
        self.say(
            f"{what}: {ours.wall_s:.3f} s, {ours.peak_mb:.0f} MB; "
            f"{beside}: {reference.wall_s:.3f} s; ratio {ratio:.2f} (at most {most})"
        )
        assert ratio <= most


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(capsys)


@pytest.fixture(scope="session")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A user's environment with an embedded cluster of its own."""
    home = tmp_path_factory.mktemp("bench")
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "JOBMAN_LOCAL_STATE": str(home / "cluster"),
        "LANG": "C.UTF-8",
    }
    yield env
    subprocess.run([sys.executable, "-m", "jobman", "local", "reset", "-y"], env=env, check=True)
