"""`jobman map` as its user sees it: on any cluster, in a namespace of its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client as k8s

TEMPLATE = """
apiVersion: v1
kind: Pod
metadata:
  name: process-{{{{.Item}}}}
  labels: {{app: process}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: {image}
    command: [sh, -c]
    args: ['{script}']
    resources: {{requests: {{cpu: 10m}}}}
"""
"""As users of the tool's forerunner have it."""


@pytest.fixture
def write(jobman: Any) -> Callable[..., None]:
    """Write the template and a list of three-digit items."""

    def write(script: str, count: int) -> None:
        text = TEMPLATE.format(image=jobman.cluster.image, script=script)
        (jobman.cwd / "process.yaml").write_text(text)
        (jobman.cwd / "list").write_text("".join(f"{number:03d}\n" for number in range(count)))

    return write


def names(api: k8s.ApiClient, namespace: str) -> list[str]:
    pods = k8s.CoreV1Api(api).list_namespaced_pod(namespace).items
    return sorted(pod.metadata.name for pod in pods)


def outcomes(jobman: Any) -> list[str]:
    logs = (path.name for path in (jobman.cwd / "JOBMAN").iterdir())
    return sorted(name for name in logs if name.endswith((".log", ".err")))


def test_a_list_and_a_template(
    jobman: Any, write: Callable[..., None], api: k8s.ApiClient, namespace: str
) -> None:
    write("echo {{.Index}} of {{.Item}}; case {{.Item}} in 002) echo no room; exit 4;; esac", 4)
    result = jobman("map", "-i", "list", "process.yaml")
    assert result.code == 1
    assert outcomes(jobman) == [
        "process-000.log",
        "process-001.log",
        "process-002.err",
        "process-003.log",
    ]
    place = jobman.cwd / "JOBMAN"
    assert (place / "process-003.log").read_text() == "3 of 003\n"
    assert (place / "process-002.err").read_text() == "2 of 002\nno room\n"
    assert "3 of 4 succeeded, 1 failed" in result.talk
    assert "Error(exit 4)" in result.talk
    assert ",Error(exit 4),4," in (place / "failed.csv").read_text()
    assert names(api, namespace) == []
    again = jobman("map", "-i", "list", "process.yaml")
    assert (again.code, json.loads((place / "run.json").read_text())["attempts"]) == (
        1,
        {"1": "0-3"},
    )
    write("true", 3)
    other = jobman("map", "-i", "list", "process.yaml")
    assert (other.code, "items: 4 there, 3 here" in other.talk) == (2, True)


def test_what_stands_in_the_way_is_told(
    jobman: Any,
    write: Callable[..., None],
    kubectl: Callable[..., Any],
    api: k8s.ApiClient,
    namespace: str,
) -> None:
    write("true", 2)
    kubectl("run", "process-001", f"--image={jobman.cluster.image}", "--", "sleep", "1000").ok()
    foreign = jobman("map", "-i", "list", "process.yaml")
    assert foreign.code == 2
    assert "that are not of this run: process-001" in foreign.talk
    assert names(api, namespace) == ["process-001"]
    behind = jobman("map", "-i", "list", "process.yaml", "more", "--log-dir", "other")
    assert (behind.code, "nothing more is expected: more" in behind.talk) == (2, True)
    broken = (jobman.cwd / "process.yaml").read_text().replace("command:", "comand:")
    (jobman.cwd / "process.yaml").write_text(broken)
    refused = jobman("map", "-b", "x{1..3}", "--log-dir", "other", "process.yaml")
    assert refused.code == 2
    assert 'unknown field "spec.containers[0].comand"' in refused.talk
    assert names(api, namespace) == ["process-001"]


def test_interrupted_and_taken_up(
    jobman: Any, write: Callable[..., None], kubectl: Any, api: k8s.ApiClient, namespace: str
) -> None:
    end = f"{jobman.cwd}/end"
    write(f"echo begin; until test -d {end}; do sleep 0.1; done; echo end", 3)
    running = jobman.start("map", "-i", "list", "process.yaml")
    _until(lambda: len(names(api, namespace)) == 3, 60 * jobman.cluster.scale)
    second = jobman("map", "-i", "list", "process.yaml")
    assert second.code == 1
    assert "another runner works on this run" in second.talk
    running.interrupt()
    assert running.finish() == 130
    assert b"3 pods go on; the same command brings their logs home" in running.err
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s").ok()
    for name in names(api, namespace):
        # on the embedded cluster the first one ends all of them
        kubectl("exec", name, "--", "mkdir", "-p", end)
    jobman("map", "-i", "list", "process.yaml").ok()
    assert outcomes(jobman) == [f"process-00{number}.log" for number in range(3)]
    assert (jobman.cwd / "JOBMAN" / "process-001.log").read_text() == "begin\nend\n"
    run = json.loads((jobman.cwd / "JOBMAN" / "run.json").read_text())
    assert run["attempts"] == {"1": "0-2"}
    assert names(api, namespace) == []


def test_a_question_on_a_terminal(
    jobman: Any, write: Callable[..., None], api: k8s.ApiClient, namespace: str
) -> None:
    """Ctrl-C asks; `d` deletes, and everything is done from the start the next time."""
    write("sleep 60", 2)
    main, side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "jobman", "map", "-i", "list", "process.yaml"],
        stdin=side,
        stdout=side,
        stderr=side,
        env=jobman.env,
        cwd=jobman.cwd,
        start_new_session=True,
    ) as process:
        os.close(side)
        _until(lambda: len(names(api, namespace)) == 2, 60 * jobman.cluster.scale)
        process.send_signal(signal.SIGINT)
        said = _read_until(main, b"[l]eave them, [d]elete them, [c]ontinue?")
        assert b"2 pods run or wait" in said
        os.write(main, b"d\n")
        assert process.wait(20) == 130
    os.close(main)
    _until(lambda: names(api, namespace) == [], 60 * jobman.cluster.scale)
    assert outcomes(jobman) == []


def test_what_failed_of_one_cause_is_run_again(jobman: Any, write: Callable[..., None]) -> None:
    write("echo cause {{.Item}} | tr 01 ab; exit 4", 2)
    talk = jobman("map", "-i", "list", "process.yaml").talk
    assert talk.count("1 x Error(exit 4): cause ") == 2
    (line,) = [line for line in talk.splitlines() if "again" in line and "map" in line][:1]
    jobman(*line.split("jobman ")[1].split())
    run = json.loads((jobman.cwd / "JOBMAN" / "run.json").read_text())
    assert sorted(run["attempts"]) == ["1", "2"]


def test_inside_the_cluster(
    jobman: Any,
    write: Callable[..., None],
    kubectl: Callable[..., Any],
    api: k8s.ApiClient,
    namespace: str,
) -> None:
    """A run that goes on by itself, where jobman needs no image for it."""
    if not jobman.cluster.embedded:
        pytest.skip("needs an image with jobman in it, and a claim")
    write("case {{.Item}} in 001) exit 4;; esac; echo {{.Index}}", 3)
    run = jobman("map", "-i", "list", "process.yaml", "--detach").ok().text.strip()
    assert jobman("wait", f"map-{run}").code == 1
    assert outcomes(jobman) == ["process-000.log", "process-001.err", "process-002.log"]
    shown = jobman("map", "status", run).ok().text
    assert f"runner: map-{run} Failed (Error(exit 1))\n" in shown
    assert "items: 3: 2 succeeded, 1 failed\npods: none\n" in shown
    told = json.loads(jobman("map", "status", "JOBMAN", "-o", "json").ok().text)
    assert (told["run"], told["state"], told["left"], told["pods"]) == (run, "Failed", 0, {})
    assert "2 of 3 succeeded, 1 failed" in jobman("map", "logs", run).ok().text
    words = ("map", "-i", "list", "process.yaml", "--detach", "--retry-failed")
    assert jobman(*words).ok().text.strip() == run
    assert "1 failed" in jobman("map", "logs", "-f", run).ok().text
    jobman("wait", f"map-{run}")
    attempts = json.loads((jobman.cwd / "JOBMAN" / "run.json").read_text())["attempts"]
    assert attempts == {"1": "0,2", "2": "1"}
    write("sleep 100", 2)
    run = jobman("map", "-i", "list", "process.yaml", "--detach", "--log-dir", "b").ok().text
    _until(lambda: len(names(api, namespace)) >= 4, 60 * jobman.cluster.scale)
    assert "pods: 2 " in jobman("map", "status", run.strip()).ok().text
    cancelled = jobman("map", "cancel", run.strip()).ok()
    assert (cancelled.text, "cancelled; 2 pods deleted" in cancelled.talk) == (run, True)
    assert " Cancelled" in jobman("map", "status", run.strip()).ok().text
    again = jobman("map", "cancel", run.strip()).ok()
    assert "is Cancelled already; 0 pods deleted" in again.talk
    _until(
        lambda: not [n for n in names(api, namespace) if n.startswith("process")],
        20 * jobman.cluster.scale,
    )
    write("echo {{.Index}}; sleep 100", 2)
    run = jobman("map", "-i", "list", "process.yaml", "--detach", "--log-dir", "c").ok().text
    name = f"map-{run.strip()}"
    _until(lambda: len(names(api, namespace)) >= 4, 60 * jobman.cluster.scale)
    kubectl("wait", "--for=condition=Ready", "pod", "process-001", "--timeout=60s").ok()
    _until(lambda: jobman("logs", name, "--index", "1").out == b"1\n", 20 * jobman.cluster.scale)
    assert jobman("logs", name, "--index", "2").code == 3
    assert jobman("cancel", name).ok().text == f"{name} cancelled; 2 of its pods deleted\n"
    _until(
        lambda: not [n for n in names(api, namespace) if n.startswith("process")],
        20 * jobman.cluster.scale,
    )
    assert jobman("list", name, "--state", "cancelled", "-o", "name").ok().text.split() == [name]
    assert (
        jobman("map", "-i", "list", "process.yaml", "--detach", "--log-dir", "c").ok().text == run
    )
    _until(lambda: len(names(api, namespace)) >= 3, 60 * jobman.cluster.scale)
    jobman("delete", "-y", name).ok()
    _until(
        lambda: not [n for n in names(api, namespace) if n.startswith("process")],
        20 * jobman.cluster.scale,
    )
    missing = jobman("map", "status", run.strip())
    assert (missing.code, "there is nothing of a run" in missing.talk) == (3, True)


def _until(true: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _read_until(descriptor: int, text: bytes) -> bytes:
    said = b""
    while text not in said:
        said += os.read(descriptor, 4096)
    return said
