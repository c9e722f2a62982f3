"""Starting, finding and stopping a real daemon: once, quickly, privately, whatever was before."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins.containers import alive

from jobman.errors import NotFoundError, UnreachableError
from jobman.local import cluster, control, daemon, record
from jobman.local.places import State

PODS = "/api/v1/namespaces/default/pods"
LIGHT = """
import sys
before = set(sys.modules)
import jobman.local.control, jobman.local.zygote
heavy = {"aiohttp", "msgspec", "pydantic", "cryptography", "psutil", "typer", "rich", "yaml",
         "kubernetes", "asyncio", "ssl", "http.client"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A state directory of the test's own; nothing runs on it afterwards."""
    state = tmp_path / "state of a cluster"
    yield state
    control.reset(state)


def started(place: Path) -> control.DaemonFacts:
    control.ensure_started(place)
    facts = control.status(place)
    assert facts is not None
    return facts


def ask(place: Path, path: str, **more: Any) -> Any:
    facts = control.status(place)
    assert facts is not None
    return control.ask(facts, path, **more)


def create_pod(place: Path, name: str, script: str) -> None:
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}
    answer = ask(place, PODS, method="POST", body=pod)
    assert answer["kind"] == "Pod", answer


def phase(place: Path, name: str, wanted: str, timeout_s: float = 60) -> dict[str, Any]:
    """Wait for a pod's phase by a watch."""
    deadline = time.monotonic() + timeout_s
    while (pod := ask(place, f"{PODS}/{name}"))["status"]["phase"] != wanted:
        assert time.monotonic() < deadline, pod["status"]
        time.sleep(0.02)
    return dict(pod)


def test_what_every_command_imports_is_light() -> None:
    code = [sys.executable, "-c", LIGHT]
    assert subprocess.run(code, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_many_starts_at_once_make_one_daemon(place: Path) -> None:
    code = "import sys, pathlib; from jobman.local import control;"
    code += "control.ensure_started(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(place)]
    for starter in [subprocess.Popen(command) for _ in range(4)]:
        assert starter.wait(60) == 0
    facts = control.status(place)
    assert facts is not None
    daemons = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(place).encode() in _read(path) and b"jobman.local.daemon" in _read(path)
    ]
    assert [int(path.parent.name) for path in daemons] == [facts.pid]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_daemon_is_detached_and_its_files_are_private(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "x")
    facts = started(place)
    process = Path(f"/proc/{facts.pid}")
    assert (process / "cwd").readlink() == Path("/")
    assert b"SECRET_OF_THE_SHELL" not in (process / "environ").read_bytes()
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    assert fields[3] != str(os.getsid(0))
    streams = [(process / "fd" / number).readlink() for number in "012"]
    assert streams == [Path("/dev/null"), place / "daemon.log", place / "daemon.log"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for path in place.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path}: {mode:o}"


def test_a_token_is_needed_and_new_at_each_start(place: Path) -> None:
    first = started(place)
    wrong = control.DaemonFacts(**{**vars(first), "token": "x" * len(first.token)})
    assert control.ask(wrong, "/api/v1/namespaces")["code"] == 401
    assert control.ask(first, "/api/v1/namespaces")["kind"] == "NamespaceList"
    control.stop(place)
    second = started(place)
    assert second.token != first.token
    assert second.ca == first.ca
    stale = control.DaemonFacts(**{**vars(second), "token": first.token})
    assert control.ask(stale, "/api/v1/namespaces")["code"] == 401


def test_jobs_go_on_while_the_daemon_is_away(place: Path, tmp_path: Path) -> None:
    go, count = tmp_path / "go", tmp_path / "count"
    started(place)
    script = f"echo >> '{count}'; while [ ! -e '{go}' ]; do sleep 0.02; done; "
    create_pod(place, "a", script + "exit 3")
    create_pod(place, "b", script + "exit 4")
    for name in "ab":
        phase(place, name, "Running")
    assert control.stop(place) == 2
    with pytest.raises(NotFoundError):
        control.stop(place)
    assert control.find(place) is None
    started(place)
    go.touch()
    for name, code in (("a", 3), ("b", 4)):
        (told,) = phase(place, name, "Failed")["status"]["containerStatuses"]
        assert told["state"]["terminated"]["exitCode"] == code
    assert count.read_text() == "\n\n"


def test_a_killed_daemon_loses_nothing(place: Path, tmp_path: Path) -> None:
    facts = started(place)
    create_pod(place, "a", "sleep 0.5; exit 5")
    phase(place, "a", "Running")
    os.kill(facts.pid, signal.SIGKILL)
    again = started(place)
    assert (again.pid, again.address) != (facts.pid, facts.address)
    (told,) = phase(place, "a", "Failed")["status"]["containerStatuses"]
    assert (told["state"]["terminated"]["exitCode"], told["restartCount"]) == (5, 0)


def test_a_daemon_that_is_being_killed_is_none_though_it_holds_its_lock(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = started(place)
    control.stop(place)
    killed = subprocess.Popen(["sleep", "1000"])
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
    State(place).facts.write_text(json.dumps({**vars(facts), "pid": killed.pid}))
    start = control._start
    with State(place).lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def start_when_released(*args: Any) -> None:
            lock.close()
            start(*args)

        monkeypatch.setattr(control, "_start", start_when_released)
        assert control.find(place) is None
        assert started(place).pid != killed.pid
    killed.wait()


def test_a_daemon_that_ends_is_none_from_the_beginning_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(tmp_path)
    found: list[bool] = []

    class Ending:
        def __init__(self, *_: Any) -> None:
            state.facts.touch()

        async def __aenter__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

        async def __aexit__(self, *_: object) -> None:
            found.append(state.facts.exists())

    monkeypatch.setattr(cluster, "Cluster", Ending)
    asyncio.run(daemon._serve(state, 0o022, lambda: True))
    assert found == [False]


def test_a_daemon_of_another_version_is_replaced(place: Path) -> None:
    first = started(place)
    create_pod(place, "a", "sleep 1000")
    phase(place, "a", "Running")
    path = State(place).facts
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "0.0.1"}))
    second = started(place)
    assert second.pid != first.pid
    assert not alive(first.pid)
    assert phase(place, "a", "Running")["status"]["containerStatuses"][0]["restartCount"] == 0


def _main_pid(directory: Path) -> int:
    process = record.process(str(directory))
    assert process is not None
    return process.pid


def test_stop_kill_ends_what_runs(place: Path) -> None:
    started(place)
    create_pod(place, "a", "trap '' TERM; sleep 1000 & sleep 1000")
    phase(place, "a", "Running")
    (directory,) = State(place).container_directories()
    pid = _main_pid(directory)
    assert control.stop(place, kill=True) == 0
    assert not alive(pid)


def test_reset_leaves_nothing(place: Path) -> None:
    facts = started(place)
    create_pod(place, "a", "sleep 1000")
    phase(place, "a", "Running")
    (directory,) = State(place).container_directories()
    pid = _main_pid(directory)
    control.reset(place)
    assert not place.exists()
    assert not alive(facts.pid)
    assert not alive(pid)
    control.reset(place)


def test_who_waited_for_a_reset_takes_the_lock_that_is_there_then(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(place)
    state.create()
    flock = fcntl.flock

    def wait_for_a_reset(file: Any, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        shutil.rmtree(place)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", wait_for_a_reset)
    with control._locked(state), state.start_lock.open() as file, pytest.raises(BlockingIOError):
        flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    control.reset(place)
    assert not place.exists()


def test_a_daemon_whose_starter_was_killed_ends(place: Path) -> None:
    words = "import pathlib, sys; from jobman.local import control; "
    words += "control.ensure_started(pathlib.Path(sys.argv[1]))"
    starter = subprocess.Popen([sys.executable, "-c", words, str(place)])
    while not State(place).lock.exists():
        time.sleep(0.01)
    starter.kill()
    starter.wait()
    begun_at = time.monotonic()
    facts = started(place)
    assert time.monotonic() - begun_at < 15
    control.reset(place)
    assert not alive(facts.pid)


def test_a_daemon_that_cannot_start_says_why(place: Path) -> None:
    place.mkdir(mode=0o700)
    State(place).database.mkdir()
    with pytest.raises(UnreachableError) as error:
        control.ensure_started(place)
    assert "it ended while starting" in error.value.message
    assert str(State(place).log) in error.value.message
    assert error.value.hint is not None


def test_a_reset_empties_what_a_link_leads_to(tmp_path: Path) -> None:
    real, link = tmp_path / "elsewhere", tmp_path / "state"
    real.mkdir(mode=0o700)
    link.symlink_to(real)
    (real / "state.db").touch()
    control.reset(link)
    assert (list(link.iterdir()), link.is_symlink()) == ([], True)


def test_a_user_to_rehearse_roles_with(place: Path) -> None:
    facts = started(place)
    path = control.make_user(place, "alice@example.org", ["team-a"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (token,) = [
        line.split()[-1] for line in path.read_text().splitlines() if line.strip()[:6] == "token:"
    ]
    alice = control.DaemonFacts(**{**vars(facts), "token": token})
    review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    url = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    who = control.ask(alice, url, method="POST", body=review)["status"]["userInfo"]
    assert (who["username"], who["groups"]) == (
        "alice@example.org",
        ["team-a", "system:authenticated"],
    )
    assert control.ask(alice, PODS)["code"] == 403


def test_simulated_nodes_run_pods_without_a_process(place: Path) -> None:
    started(place)
    control.simulate(place, {"nodes": "3", "cpu": "8", "gpus": "2", "gpu_product": "A100"})
    nodes = "/api/v1/nodes?labelSelector=local.jobman%2Fsimulated"
    assert len(ask(place, nodes)["items"]) == 3
    first = ask(place, nodes)["items"][0]
    assert first["status"]["allocatable"]["nvidia.com/gpu"] == "2"
    create_pod(place, "a", "sleep 1000")
    pod = phase(place, "a", "Succeeded")
    assert pod["spec"]["nodeName"].startswith("simulated-")
    assert not list(State(place).pods.iterdir())
    control.simulate(place, {"nodes": "0"})
    assert not ask(place, nodes)["items"]
    create_pod(place, "b", "true")
    assert not phase(place, "b", "Succeeded")["spec"]["nodeName"].startswith("simulated-")
    (own,) = ask(place, "/api/v1/nodes")["items"]
    assert "annotations" not in own["metadata"]


def test_simulated_nodes_that_are_asked_for_again_stay(place: Path) -> None:
    started(place)
    path = "/api/v1/nodes/simulated-00000"
    control.simulate(place, {"nodes": "2", "gpus": "2", "gpu_product": "A100"})
    before = ask(place, path)
    control.simulate(place, {"nodes": "1", "gpus": "4", "gpu_product": "H100"})
    now = ask(place, path)
    assert now["metadata"]["uid"] == before["metadata"]["uid"]
    assert now["status"]["capacity"]["nvidia.com/gpu"] == "4"
    assert now["metadata"]["labels"]["nvidia.com/gpu.product"] == "H100"
    control.simulate(place, {"nodes": "1"})
    assert not any(
        label.startswith("nvidia.com") for label in ask(place, path)["metadata"]["labels"]
    )
    assert len(ask(place, "/api/v1/nodes")["items"]) == 2


def test_two_callers_in_one_process_get_one_daemon(place: Path) -> None:
    pids: list[int] = []

    def start() -> None:
        pids.append(started(place).pid)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 3
    assert len(set(pids)) == 1
