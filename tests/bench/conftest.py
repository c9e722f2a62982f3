"""Benchmarks: each is a ratio to a reference measured in the same run, interleaved with it.

Machines are shared and noisy: the best of several rounds counts, on both sides.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
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


def measure(command: list[str], env: dict[str, str]) -> Cost:
    """Run `command` to its end; a failure is an error."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        out = process.stdout.read()
        err = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    assert process.returncode == 0, err.decode()
    return Cost(wall, usage.ru_utime + usage.ru_stime, _megabytes(usage), out)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


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
