"""`jobman map` on simulated nodes: against the bare requests, in memory, and from small to big."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BARE = Path(__file__).with_name("bare_map.py")
_numbers = count()


@pytest.fixture(scope="module")
def kubeconfig(env: dict[str, str]) -> str:
    """A cluster of 40 nodes that only say so."""

    def local(*args: str) -> str:
        command = [sys.executable, "-m", "jobman", "local", *args]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    local("start", "--simulate-nodes", "40")
    return local("kubeconfig").strip()


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    container = {"name": "main", "image": "busybox", "command": ["true", "{{.Item}}"]}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"annotations": {"local.jobman/run-for": "0s"}},
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": {"local.jobman/simulated": "true"},
            "containers": [container],
        },
    }
    path.write_text(json.dumps(manifest))
    return path


def of_jobman(template: Path, items: int) -> list[str]:
    logs = template.parent / f"logs {next(_numbers)}"
    words = ["map", "--seq", str(items), "--log-dir", str(logs), "--local", str(template)]
    return [sys.executable, "-m", "jobman", *words]


def of_bare(kubeconfig: str, items: int) -> list[str]:
    return [sys.executable, str(BARE), kubeconfig, str(items), f"bare{next(_numbers)}"]


def test_5000_items_against_the_bare_requests(bench, env, kubeconfig, template):
    ours, bare = bench.best_of(
        2,
        lambda: bench.measure(of_jobman(template, 5000), env),
        lambda: bench.measure(of_bare(kubeconfig, 5000), env),
    )
    bench.ratio("map of 5,000 items", ours, "bare requests", bare, most=2.0)


def test_the_cost_of_an_item_is_flat(bench, env, kubeconfig, template):
    """By the runner's own CPU time: what the cluster takes is its own affair."""
    few = min((bench.measure(of_jobman(template, 1000), env) for _ in range(3)), key=_cpu)
    many = bench.measure(of_jobman(template, 50_000), env)
    each_few, each_many = few.cpu_s / 1000, many.cpu_s / 50_000
    bench.say(
        f"CPU per item: {each_few * 1000:.2f} ms of 1,000, {each_many * 1000:.2f} ms of 50,000;"
        f" peak {few.peak_mb:.0f} and {many.peak_mb:.0f} MB"
    )
    assert each_many <= each_few * 1.25


def _cpu(cost) -> float:
    return cost.cpu_s


def test_100000_items_in_little_memory(bench, env, kubeconfig, template):
    cost = bench.measure(of_jobman(template, 100_000), env)
    bench.say(f"map of 100,000 items: {cost.peak_mb:.0f} MB, {cost.wall_s:.0f} s")
    assert cost.peak_mb < 200
