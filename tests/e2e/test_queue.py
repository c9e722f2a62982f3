"""`jobman queue` and `jobman nodes` on a cluster with work of all kinds."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

SLEEP = ["sleep", "120"]


def row_of(jobman: Any, by: str, name: str | None, *args: str) -> dict[str, Any] | None:
    """One row of the queue."""
    rows = json.loads(jobman("queue", "--by", by, "-o", "json", *args).ok().out)["rows"]
    return next((row for row in rows if row["name"] == name), None)


def until(jobman: Any, look: Callable[[], Any]) -> Any:
    """What `look` sees as soon as it is true."""
    deadline = time.monotonic() + 60 * jobman.cluster.scale
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r}"
        time.sleep(0.2)
    return seen


def test_who_waits_what_runs_and_what_is_mine(jobman: Any, namespace: str) -> None:
    flavor = json.dumps({"name": namespace, "resources": {"requests": {"cpu": "10m"}}})
    jobman.submit("-r", flavor, "--", *SLEEP)
    jobman.submit("-r", flavor, "--node-selector", "nowhere=to-be-found", "--", *SLEEP)
    jobman.submit("-r", flavor, "--hold", "--", *SLEEP)

    def settled() -> dict[str, Any] | None:
        found = row_of(jobman, "flavor", namespace)
        return found if found and found["running"] == found["waiting"] == 1 else None

    row = until(jobman, settled)

    assert row["requests"] == {"cpu": "10m", "memory": "0", "gpus": {}}
    assert (row["suspended"], row["stuck"], row["jobman"]) == (1, 0, 3)
    yours = row["yours"]
    assert (yours["waiting"], yours["running"], yours["suspended"]) == (1, 1, 1)
    assert row["oldestWaitSeconds"] >= 0
    assert row["conflict"] is False
    by_namespace = row_of(jobman, "namespace", namespace)
    assert by_namespace is not None
    assert (by_namespace["waiting"], by_namespace["running"]) == (1, 1)
    lines = jobman("queue", "--mine-only").ok().text.splitlines()
    assert any(line.split()[0] == namespace for line in lines)
    assert "of the whole cluster, as of now" in lines[-1]


def test_pods_that_jobman_did_not_make_hold_and_want_gpus_too(
    jobman: Any, kubectl: Any, namespace: str
) -> None:
    container = {
        "name": "main",
        "image": "busybox",
        "resources": {"limits": {"example.org/gpu": "3"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "foreign"},
        "spec": {"containers": [container]},
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod).encode()).ok()

    row = until(jobman, lambda: row_of(jobman, "namespace", namespace, "--gpu-only"))

    assert (row["waiting"], row["jobman"]) == (1, 0)
    assert row["gpusWanted"] == {"example.org/gpu": 3}


def test_the_nodes(jobman: Any, api: Any) -> None:
    from kubernetes import client as k8s

    names = sorted(node.metadata.name for node in k8s.CoreV1Api(api).list_node().items)

    rows = json.loads(jobman("nodes", "-v", "-o", "json").ok().out)

    assert [row["name"] for row in rows] == names
    assert all(row["cpuFree"] is not None for row in rows)
    assert "GPUS" in jobman("nodes", "--by", "gpu").ok().text


def test_watching(jobman: Any, namespace: str) -> None:
    watching = jobman.start(
        "queue", "--watch", "--interval", "0.5", "--by", "namespace", "-o", "csv"
    )
    watching.wait_for(b"name,cpu,memory")
    jobman.submit("--hold", "--", "true")
    watching.wait_for(namespace.encode() + b",")
    jobman("delete", "--all", "-y").ok()
    before = len(watching.out)
    watching.interrupt()
    assert watching.finish() == 0
    assert len(watching.out) >= before
    assert watching.err == b""


def test_watching_on_a_terminal_until_q(jobman: Any) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "jobman", "queue", "--watch", "--interval", "0.5"]
    env = jobman.env | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=jobman.cwd
    ) as watching:
        os.close(theirs)
        seen = _read(ours, b"of the whole cluster")
        assert seen.startswith(b"\x1b[?1049h")
        os.write(ours, b"q")
        seen = _read(ours, b"\x1b[?1049l")
        assert watching.wait(30) == 0
    os.close(ours)


def _read(terminal: int, text: bytes) -> bytes:
    """What the terminal shows, up to `text`."""
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 65536)
    return seen
