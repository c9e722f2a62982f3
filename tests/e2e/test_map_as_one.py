"""A run of `jobman map` where a job is named: list, details, logs, cancel, delete, retry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as k8s

SCRIPT = "echo begin {{.Item}}; case {{.Item}} in a) ;; *) sleep 1000;; esac"


@pytest.fixture
def started(jobman: Any, api: k8s.ApiClient, namespace: str) -> Iterator[tuple[Any, str]]:
    """A run whose item a is over and b and c go on: its runner and its name."""
    words = ("map", "-b", "{a,b,c}", "--keep-pods", "--image", jobman.cluster.image)
    running = jobman.start(*words, "--", "sh", "-c", SCRIPT)
    try:
        yield running, _name(jobman, api, namespace)
    finally:
        running.process.kill()
        running.finish()


def _name(jobman: Any, api: k8s.ApiClient, namespace: str) -> str:
    deadline = time.monotonic() + 60 * jobman.cluster.scale
    while sorted(phases(api, namespace)) != ["Running", "Running", "Succeeded"]:
        assert time.monotonic() < deadline, phases(api, namespace)
        time.sleep(0.1)
    return _run(jobman)


def _run(jobman: Any) -> str:
    return f"map-{json.loads((jobman.cwd / 'JOBMAN' / 'run.json').read_text())['run']}"


def phases(api: k8s.ApiClient, namespace: str) -> list[str]:
    pods = k8s.CoreV1Api(api).list_namespaced_pod(namespace).items
    return [pod.status.phase for pod in pods if pod.metadata.deletion_timestamp is None]


def test_a_living_run(jobman: Any, started: tuple[Any, str]) -> None:
    running, name = started
    (row,) = json.loads(jobman("list", "-o", "json").ok().text)
    assert (row["name"], row["state"], row["reason"]) == (name, "Running", "")
    assert (row["completions"], row["succeeded"], row["running"]) == (3, 1, 2)
    assert jobman("list", "map-*", "-o", "name").ok().text.split() == [name]
    told = jobman("details", name).ok().text
    assert f"process {running.process.pid}" in told
    assert "Running:" in told
    assert jobman("logs", name, "--index", "1").ok().text == "begin b\n"
    absent = jobman("logs", name, "--index", "7")
    assert (absent.code, "item 7" in absent.talk) == (3, True)
    refused = jobman("retry", name)
    assert (refused.code, "another runner works on this run" in refused.talk) == (1, True)
    assert jobman("list", "LAST", "-o", "name").ok().text.split() == [name]
    assert jobman("wait", "--for", "started", name).ok().text.split() == [name]
    watching = jobman.start("list", "--watch", "--interval", "0.2s", "-o", "json")
    watching.wait_for(b'"state":"Running"')
    waiting = jobman.start("wait", name)
    assert f"{name} cancelled; 2 of its pods deleted" in jobman("cancel", name).ok().text
    assert waiting.finish() == 1
    assert f"{name}: Cancelled: 1 succeeded, 2 not done" in waiting.err.decode()
    assert running.finish() == 1
    watching.wait_for(b'"state":"Cancelled"')
    watching.interrupt()
    assert watching.finish() == 0
    assert b"this run was cancelled by" in running.err
    assert (jobman.cwd / "JOBMAN" / f"{name[4:]}-0.log").read_text() == "begin a\n"
    again = jobman("cancel", name).ok().text
    assert "is over already" in again
    (row,) = json.loads(jobman("list", "-o", "json").ok().text)
    assert (row["state"], row["completions"], row["succeeded"]) == ("Cancelled", 3, 1)
    assert "Items:       3: 1 succeeded, 2 not done\n" in jobman("details", name).ok().text
    assert jobman("delete", "-y", name).ok().text.split() == [name]
    assert jobman("details", name).code == 3


NOWHERE = """
apiVersion: v1
kind: Pod
spec:
  nodeSelector: {example.com/no-such: node}
  containers: [{name: main, image: busybox, command: ["true"]}]
"""


def test_why_its_pods_wait(jobman: Any) -> None:
    (jobman.cwd / "nowhere.yaml").write_text(NOWHERE)
    running = jobman.start("map", "-b", "{a,b}", "nowhere.yaml")
    running.wait_for(b"2 pending, waiting ")
    assert b"s: no node may take it: " in running.err
    name = _run(jobman)
    told = jobman("why", name).ok().text
    assert f"{name} is Pending: 2 pods of it wait: no node may take it: " in told
    assert "items: 2: 2 not done" in told
    jobman("cancel", name).ok()
    assert running.finish() == 1
    assert jobman("why", name).ok().text.startswith(f"{name} is Cancelled: it was cancelled by ")


def test_a_run_whose_runner_was_killed(
    jobman: Any, started: tuple[Any, str], api: k8s.ApiClient, namespace: str
) -> None:
    running, name = started
    running.process.kill()
    running.finish()
    (row,) = json.loads(jobman("list", "-o", "json").ok().text)
    assert (row["name"], row["state"], row["reason"]) == (name, "Running", "NoRunner")
    assert "none; the last one was" in jobman("details", name).ok().text
    assert jobman("delete", "-y", "--grace", "0", name).ok().text.split() == [name]
    assert phases(api, namespace) == []
    leases = k8s.CoordinationV1Api(api).list_namespaced_lease(namespace).items
    assert [lease.metadata.name for lease in leases] == []
    assert json.loads(jobman("list", "-o", "json").ok().text) == []


def test_a_run_is_done_over(
    jobman: Any, api: k8s.ApiClient, namespace: str, tmp_path: Path
) -> None:
    """Its command is carried out again where it was given, for what failed and what is left."""
    words = ("map", "-b", "{a,b}", "--image", jobman.cluster.image, "--", "sh", "-c")
    script = "case {{.Item}} in b) exit 3;; esac"
    assert jobman(*words, script).code == 1
    name = _run(jobman)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (jobman.cwd / "json.py").write_text("raise SystemExit(99)  # of whoever may write there")
    again = replace(jobman, cwd=elsewhere)("retry", name)
    (jobman.cwd / "json.py").unlink()
    assert (again.code, "1 of 2 succeeded, 1 failed" in again.talk) == (1, True)
    assert f"in {jobman.cwd}: jobman map --retry-failed -b" in again.talk
    attempts = json.loads((jobman.cwd / "JOBMAN" / "run.json").read_text())["attempts"]
    assert attempts == {"1": "0", "2": "1"}
    assert phases(api, namespace) == []
