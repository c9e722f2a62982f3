"""`jobman local …`, as a user calls it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobman.local import control


@dataclass(frozen=True)
class Local:
    """Runs `jobman local` on a state directory of the test's own."""

    place: Path

    def __call__(
        self, *words: str, typed: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "jobman", "local", *words],
            env={**os.environ, "JOBMAN_LOCAL_STATE": str(self.place)},
            input=typed or b"",
            capture_output=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    place = tmp_path_factory.mktemp("cli local") / "state"
    yield Local(place)
    control.reset(place)


def test_not_running(local: Local) -> None:
    for words in (["status"], ["kubeconfig"], ["stop"]):
        done = local(*words)
        assert (done.returncode, done.stdout) == (3, b"")
        assert b"the embedded cluster is not running" in done.stderr
    assert not local.place.exists()


def test_start_prints_the_path_and_is_safe_to_repeat(local: Local) -> None:
    first, second = local("start"), local("start")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    wanted = f"{local.place}/kubeconfig\n".encode()
    assert first.stdout == second.stdout == local("kubeconfig").stdout == wanted
    assert first.stderr == b""


def test_status(local: Local) -> None:
    local("start")
    lines = local("status").stdout.decode().splitlines()
    words = [line.split()[0] for line in lines]
    assert words == ["pid", "version", "since", "address", "state", "kubeconfig", "node", "running"]
    facts = json.loads(local("status", "-o", "json").stdout)
    assert facts["state"] == str(local.place)
    assert facts["podsRunning"] == 0
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", facts["address"])


def test_status_tells_of_this_machine_where_somebody_made_nodes(local: Local) -> None:
    local("start")
    own = json.loads(local("status", "-o", "json").stdout)["node"]
    facts = control.status(local.place)
    assert facts is not None
    control.ask(facts, "/api/v1/nodes", method="POST", body={"metadata": {"name": "a-node"}})
    told = json.loads(local("status", "-o", "json").stdout)
    assert (told["node"], bool(told["allocatable"])) == (own, True)


def test_a_user(local: Local) -> None:
    done = local("user", "bob", "--group", "team-a")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.decode().strip())
    assert 'current-context: "bob@jobman-local"' in path.read_text()
    assert b"no boundary" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([""], "NAME: its value is empty"),
        (["\xe9" * 51], "a user is at most 100 bytes long"),
        (["\udcff"], "it is not printable"),
        (["bob\n"], "it is not printable"),
        (["bob", "--group", "a\x1b"], "it is not printable"),
        (["bob", "--group", "a,b"], "--group is given once for each"),
    ],
    ids=["empty", "long", "not UTF-8", "two lines", "an escape", "two groups"],
)
def test_a_user_that_cannot_be_one(local: Local, words: list[str], said: str) -> None:
    done = local("user", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said.encode() in done.stderr


def test_simulated_nodes_are_there_when_the_command_returns(local: Local) -> None:
    local("start", "--simulate-nodes", "3", "--cpu", "8")
    status = local("status")
    assert "simulated   3 nodes; no pod runs for real" in status.stdout.decode()
    assert json.loads(local("status", "-o", "json").stdout)["simulatedNodes"] == 3


def test_quantities_are_checked(local: Local) -> None:
    done = local("start", "--simulate-nodes", "1", "--memory", "lots")
    assert done.returncode == 2
    assert b"--memory" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpus", "8"], b"--gpus is that of simulated nodes: it needs --simulate-nodes"),
        (["--gpu-product", "H100"], b"--gpu-product is that of simulated nodes"),
        (["--simulate-nodes", "100000"], b"less than or equal to 99999"),
        (["--simulate-nodes", "1", "--gpus", "100000"], b"less than or equal to 99999"),
    ],
)
def test_what_cannot_be_simulated_is_refused(local: Local, words: list[str], said: bytes) -> None:
    done = local("start", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


def test_stop_says_what_goes_on(local: Local) -> None:
    local("start")
    assert local("stop").stderr == b"stopped\n"


def test_reset_asks(local: Local) -> None:
    local("start")
    refused = local("reset")
    assert refused.returncode == 2
    assert b"-y" in refused.stderr
    assert local.place.exists()
    assert local("reset", "-y").returncode == 0
    assert not local.place.exists()
    assert local("reset", "-y").returncode == 0
