"""`jobman map` and the API server killed at random moments: every log comes home, once and whole.

No item runs more often than run.json says, no pod is left over, and what is not of the run is
not touched. `make soak` does 30 rounds on 500 items, `make test` 2 on 40.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobman.local import control
from jobman.map import ranges

PODS = "/api/v1/namespaces/default/pods"
SCRIPT = """
echo run >> '{runs}/{{{{.Item}}}}'
echo start {{{{.Item}}}}
sleep 0.$((1{{{{.Item}}}} % 700 + 200))
echo end {{{{.Item}}}}
case {{{{.Item}}}} in *7) exit 3;; esac
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    state = tmp_path / "state"
    yield state
    control.reset(state)


def pod(name: str, script: str, **metadata: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


@dataclass(frozen=True)
class Field:
    """Where a run is carried out: `place` is the cluster's, `items` are their numbers."""

    place: Path
    root: Path
    items: list[str]

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def lay_out(self) -> None:
        self.runs.mkdir()
        (self.root / "items").write_text("".join(f"{item}\n" for item in self.items))
        template = pod("item-{{.Item}}", SCRIPT.format(runs=self.runs))
        (self.root / "template.yaml").write_text(json.dumps(template))

    def ask(self, path: str = PODS, **more: Any) -> Any:
        facts = control.status(self.place)
        assert facts is not None
        return control.ask(facts, path, **more)

    def begin(self) -> subprocess.Popen[bytes]:
        """The command, as the user gives it again and again."""
        control.ensure_started(self.place)
        words = ["map", "-i", "items", "--log-dir", str(self.logs), "--max-running", "10"]
        env = os.environ | {"JOBMAN_LOCAL_STATE": str(self.place)}
        with (self.root / "talk").open("ab") as talk:
            return subprocess.Popen(
                [sys.executable, "-m", "jobman", *words, "template.yaml"],
                cwd=self.root,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=talk,
                stderr=talk,
            )

    def restart_server(self) -> None:
        facts = control.status(self.place)
        if facts is not None:
            os.kill(facts.pid, signal.SIGKILL)
        while control.status(self.place) is not None:
            time.sleep(0.005)
        control.ensure_started(self.place)

    def bystanders(self) -> dict[str, str]:
        """Pods that are not of the run, and their uids."""
        return {
            p["metadata"]["name"]: p["metadata"]["uid"]
            for p in self.ask()["items"]
            if not p["metadata"]["name"].startswith("item-")
        }

    def ended(self) -> int:
        """Items that have come home."""
        return sum(path.suffix in (".log", ".err") for path in self.logs.glob("item-*"))

    def check(self) -> None:
        """Everything that must hold at the end."""
        run = json.loads((self.logs / "run.json").read_text())
        attempts = {
            index: int(count)
            for count, where in run["attempts"].items()
            for first, last in ranges.parse(where)
            for index in range(first, last + 1)
        }
        expected = set()
        for index, item in enumerate(self.items):
            ending = "err" if item.endswith("7") else "log"
            expected.add(f"item-{item}.{ending}")
            text = (self.logs / f"item-{item}.{ending}").read_text()
            assert text == f"start {item}\nend {item}\n"
            assert len((self.runs / item).read_text().splitlines()) <= attempts[index]
        found = {path.name for path in self.logs.iterdir() if not path.name.startswith(".")}
        assert found - {"run.json", "failed.csv"} == expected
        failed = sum(item.endswith("7") for item in self.items)
        totals = {"items": len(self.items), "succeeded": len(self.items) - failed}
        assert run["totals"] == totals | {"failed": failed}
        left = [p["metadata"]["name"] for p in self.ask()["items"]]
        assert [name for name in left if name.startswith("item-")] == []


def rounds(field: Field, count: int, longest_s: float, seed: int) -> None:
    dice = random.Random(seed)
    field.lay_out()
    control.ensure_started(field.place)
    for name, labels in (("foreign", {}), ("of-another-run", {"jobman/run": "other"})):
        field.ask(method="POST", body=pod(name, "sleep 1000", labels=labels))
    bystanders = field.bystanders()
    in_the_middle = 0
    for _ in range(count):
        runner = field.begin()
        time.sleep(0.3 + dice.random() * longest_s)
        if dice.random() < 0.5:
            field.restart_server()
            time.sleep(dice.random() * 0.3)
        runner.kill()
        runner.wait()
        in_the_middle += field.ended() < len(field.items)
        if dice.random() < 0.3:
            field.restart_server()
    assert in_the_middle > count * 0.6
    code = field.begin().wait(120 + len(field.items))
    assert code == 1, (field.root / "talk").read_text()
    field.check()
    assert field.bystanders() == bystanders


def test_a_map_killed_twice(place: Path, tmp_path: Path) -> None:
    items = [f"{number:03d}" for number in range(40)]
    rounds(Field(place, tmp_path, items), 2, 1.0, seed=random.randrange(1 << 30))


@pytest.mark.slow
def test_a_map_killed_thirty_times(place: Path, tmp_path: Path) -> None:
    items = [f"{number:03d}" for number in range(500)]
    rounds(Field(place, tmp_path, items), 30, 2.0, seed=random.randrange(1 << 30))
