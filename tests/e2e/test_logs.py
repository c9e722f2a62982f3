"""Logs: whole to the byte, through cuts and restarts, and said where they are not."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as k8s
from kubernetes import watch as k8s_watch
from plugins.cutting_proxy import cutting
from plugins.terminal import on_terminal

ODD = r"""
import os, sys, time
out = sys.stdout.buffer
out.write(b"\xff\xfe\x00 binary \x1b[31m\r\n"); out.write(b"x" * 1_000_000 + b"\n")
out.write(b"\n\n  spaces  \n")
n = 0
while not os.path.exists(END):
    out.write(b"%d %s\n" % (n, os.urandom(400).replace(b"\n", b"_"))); out.flush()
    time.sleep(0.05)
    n += 1
out.write(b"no newline at the end"); out.flush()
"""
"""A program whose output is hard to pass on; its copy of it is what the log is compared with."""


def odd_program(copy: Path, end: Path) -> list[str]:
    """Words of the program, which also keeps what it writes in the file `copy`.

    It goes on until there is a file `end`.
    """
    tee = (
        "class T:\n"
        " def write(s, b): sys.__stdout__.buffer.write(b); copy.write(b)\n"
        " def flush(s): sys.__stdout__.buffer.flush(); copy.flush()\n"
    )
    text = ODD.replace("END", repr(str(end))).replace("out = sys.stdout.buffer", "out = T()")
    head = f"import sys\ncopy = open({str(copy)!r}, 'wb')\n{tee}"
    return [sys.executable, "-c", head + text]


def test_every_byte_through_a_proxy_that_cuts(cluster: Any, jobman: Any, tmp_path: Path) -> None:
    if not cluster.embedded:
        pytest.skip("the program's own copy lies on this machine")
    copy, end = tmp_path / "copy", tmp_path / "end"
    jobman.submit("-j", "odd", "--", *odd_program(copy, end))
    with cutting(cluster.kubeconfig, tmp_path, 0.3) as (proxy, through):
        following = jobman.start("logs", "-f", "odd", env={"KUBECONFIG": str(through)})
        following.wait_for(b"binary")
        proxy.wait_for_cuts(6)
        end.touch()
        assert following.finish() == 0, following.err
    assert bytes(following.out) == copy.read_bytes()
    assert jobman("logs", "odd").ok().out == copy.read_bytes()


NOISE = """
import os, random, sys, time
index = int(os.environ["JOB_COMPLETION_INDEX"])
dice = random.Random(index)
for _ in range(30):
    sys.stdout.buffer.write(dice.randbytes(4000))
    sys.stdout.buffer.flush()
    time.sleep(0.1)
"""
"""A program that writes other bytes for each index, the same each time."""


def noise(index: int) -> bytes:
    dice = random.Random(index)
    return b"".join(dice.randbytes(4000) for _ in range(30))


def test_every_byte_of_several_pods_through_a_proxy_that_cuts(
    cluster: Any, jobman: Any, tmp_path: Path
) -> None:
    with cutting(cluster.kubeconfig, tmp_path, 0.3) as (proxy, through):
        env = {"KUBECONFIG": str(through)}
        jobman.submit("-j", "noisy", "--array", "3", "--hold", "--", "python3", "-c", NOISE)
        together = jobman.start("logs", "-f", "noisy", "--all-pods", env=env)
        one = jobman.start("logs", "-f", "noisy", "--index", "1", env=env)
        files = jobman.start("logs", "-f", "noisy", "--save", "logs/", env=env)
        jobman("release", "noisy").ok()
        assert [each.finish(120) for each in (together, one, files)] == [0, 0, 0], together.err
    assert proxy.cuts > 6
    assert bytes(one.out) == noise(1)
    # Named by index and told in the order in which they started.
    saved = [tmp_path / name for name in sorted(files.out.decode().split())]
    assert [file.read_bytes() for file in saved] == [noise(index) for index in range(3)]
    prefixed = [line.partition(b"] ") for line in bytes(together.out).split(b"\n")[:-1]]
    for index in range(3):
        lines = [text for pod, _, text in prefixed if pod.endswith(b"/%d" % index)]
        assert lines == noise(index).split(b"\n")


def test_a_long_log_through_a_slow_proxy_that_cuts(
    cluster: Any, jobman: Any, tmp_path: Path
) -> None:
    program = (
        "import sys; sys.stdout.write(''.join('%d %s\\n' % (n, n * '.') for n in range(2000)))"
    )
    jobman.submit("-j", "long", "--wait", "--", "python3", "-c", program)
    expected = "".join(f"{n} {n * '.'}\n" for n in range(2000)).encode()
    with cutting(cluster.kubeconfig, tmp_path, 0.8, rate=8_000_000) as (_, through):
        done = jobman("logs", "long", env={"KUBECONFIG": str(through)})
    assert hashlib.sha256(done.ok().out).digest() == hashlib.sha256(expected).digest()


def test_which_logs(jobman: Any, tmp_path: Path) -> None:
    script = "echo I am $JOB_COMPLETION_INDEX; echo end"
    jobman.submit("-j", "arr", "--array", "3", "--wait", "--", "sh", "-c", script)
    jobman.submit("-j", "one", "--wait", "--", "printf", "no newline")
    assert jobman("logs", "arr").ok().text == "".join(f"I am {n}\nend\n" for n in range(3))
    assert jobman("logs", "arr", "--index", "0,2").ok().text == "I am 0\nend\nI am 2\nend\n"
    assert jobman("logs", "-f", "arr", "--index", "1").ok().text == "I am 1\nend\n"
    together = jobman("logs", "arr", "one", "--all-pods").ok().text
    assert re.search(r"^\[arr-1-\w+/1\] I am 1$", together, re.MULTILINE)
    assert re.search(r"^\[one-\w+\] no newline$", together, re.MULTILINE)
    assert "\x1b" not in together
    followed = jobman("logs", "-f", "arr", "one", "--all-pods").ok().text
    assert sorted(followed.splitlines()) == sorted(together.splitlines())
    both = jobman("logs", "one", "arr", "--index", "0")
    assert (both.code, both.text) == (1, "I am 0\nend\n")

    saved = jobman("logs", "one", "--save", "one.txt").ok()
    assert saved.text == "one.txt\n"
    assert (tmp_path / "one.txt").read_bytes() == b"no newline"
    files = jobman("logs", "arr", "--save", "dir/").ok().text.split()
    assert [(tmp_path / file).read_text() for file in files] == [
        f"I am {n}\nend\n" for n in range(3)
    ]
    assert jobman("logs", "one", "--previous").code == 1
    wrong = jobman("logs", "one", "--container", "nope", "--save", "nothing")
    assert (wrong.code, "it has: main" in wrong.talk) == (2, True)
    assert jobman("logs", "arr", "--index", "7").code == 2
    assert not [
        path for path in tmp_path.iterdir() if path.name[0] == "." or "nothing" in path.name
    ]


TWO = """
apiVersion: batch/v1
kind: Job
metadata: {name: two}
spec:
  completions: 2
  parallelism: 2
  completionMode: Indexed
  template:
    spec:
      restartPolicy: Never
      initContainers:
      - {name: prepare, image: "%(image)s", args: [echo, prepared]}
      containers:
      - {name: work, image: "%(image)s", args: [echo, worked]}
      - {name: beside, image: "%(image)s", args: [echo, beside]}
"""


def test_which_container_and_whose_lines(jobman: Any) -> None:
    manifest = (TWO % {"image": jobman.cluster.image}).encode()
    jobman("submit", "-f", "-", "--wait", stdin=manifest).ok()
    for container, text in (("prepare", "prepared"), ("beside", "beside"), ("work", "worked")):
        assert jobman("logs", "two", "-c", container).ok().text == f"{text}\n" * 2
    assert jobman("logs", "two").ok().text == "worked\n" * 2
    with on_terminal(["logs", "two", "--all-pods"], jobman.env, jobman.cwd) as terminal:
        assert terminal.finish() == 0
    shown = re.findall(rb"\x1b\[(\d+)m\[two-(\d)-\w+/\2\]\x1b\[0m worked\r\n", terminal.seen)
    assert (len({color for color, _ in shown}), len(shown)) == (2, 2), terminal.seen


def test_what_is_left_of_a_job_without_pods(jobman: Any, kubectl: Any) -> None:
    assert jobman("submit", "-j", "gone", "--wait", "--", "sh", "-c", "exit 3").code == 3
    kubectl("delete", "pods", "-l", "batch.kubernetes.io/job-name=gone").ok()
    done = jobman("logs", "gone")
    assert done.code == 1
    for part in ("its pods are gone", "Failed", "what is left", "jobman details gone"):
        assert part in done.talk


def test_a_rotated_log_is_incomplete(cluster: Any, jobman: Any, tmp_path: Path) -> None:
    if not cluster.embedded:
        pytest.skip("a kubelet looks for long logs now and then only")
    jobman.submit("-j", "big", "--wait", "--", "seq", "2000000")
    done = jobman("logs", "big", "--save", "big")
    assert (done.code, "incomplete" in done.talk) == (1, True)
    assert done.text == "big.incomplete\n"
    assert (tmp_path / "big.incomplete").read_bytes().endswith(b"\n2000000\n")
    assert not (tmp_path / "big").exists()


def test_what_was_rotated_during_an_outage_is_missed(
    cluster: Any, jobman: Any, tmp_path: Path
) -> None:
    if not cluster.embedded:
        pytest.skip("a kubelet looks for long logs now and then only")
    script = "echo first; until test -e go; do sleep 0.1; done; seq 2000000"
    jobman.submit("-j", "big", "-w", str(tmp_path), "--", "sh", "-c", script)
    with cutting(cluster.kubeconfig, tmp_path, None) as (proxy, through):
        following = jobman.start("logs", "-f", "big", env={"KUBECONFIG": str(through)})
        following.wait_for(b"first")
        with proxy.outage():
            (tmp_path / "go").touch()
            jobman("wait", "big").ok()
        code = following.finish()
    assert code == 1
    assert b"incomplete: lines were lost" in following.err


def test_every_byte_through_restarts_of_the_cluster(
    cluster: Any, jobman: Any, tmp_path: Path
) -> None:
    if not cluster.embedded:
        pytest.skip("only the embedded cluster can be killed")
    env = {"JOBMAN_LOCAL_STATE": str(tmp_path / "state"), "KUBECONFIG": "", "JOBMAN_NAMESPACE": ""}

    def local(*words: str) -> Any:
        return jobman("local", *words, env=env).ok()

    local("start")
    try:
        copy, end = tmp_path / "copy", tmp_path / "end"
        jobman("submit", "--local", "-j", "odd", "--", *odd_program(copy, end), env=env).ok()
        following = jobman.start("logs", "--local", "-f", "odd", env=env)
        following.wait_for(b"\n7 ")
        os.kill(json.loads(local("status", "-o", "json").text)["pid"], signal.SIGKILL)
        local("start")
        following.wait_for_lines(20)
        local("stop")
        local("start")
        end.touch()
        assert following.finish() == 0, following.err
        assert bytes(following.out) == copy.read_bytes()
    finally:
        local("reset", "-y")


RESTARTING = """
apiVersion: batch/v1
kind: Job
metadata: {name: again}
spec:
  template:
    spec:
      restartPolicy: OnFailure
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: %s
        args: [sh, -c, "echo a run; exit 1"]
"""


def test_the_run_before(jobman: Any, api: Any, namespace: str) -> None:
    jobman("submit", "-f", "-", stdin=(RESTARTING % jobman.cluster.image).encode()).ok()
    watch = k8s_watch.Watch()
    pods = k8s.CoreV1Api(api).list_namespaced_pod
    for change in watch.stream(pods, namespace, timeout_seconds=60):
        statuses = change["object"].status.container_statuses or []
        if any(status.restart_count for status in statuses):
            watch.stop()
    assert jobman("logs", "again", "--previous").ok().text == "a run\n"
