"""The main road: a job submitted, followed, listed, read, explained and deleted."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

WORDS = [
    "a b",
    "",
    'quote\'s "both"',
    "two\nlines",
    "$HOME",
    "$$",
    "$(HOME)",
    "$$(HOME)",
    "`id`",
    "-x",
    "--follow",
    "--",
    "ünï",
    "\\n",
    "*",
]


def test_follow_brings_the_output_home(jobman: Any) -> None:
    done = jobman("submit", "--follow", "--", "sh", "-c", "echo hello from $(hostname); ls -al /")
    assert done.ok().text.startswith("hello from ")
    assert re.search(r"\btmp\b", done.text)
    assert re.search(r"\bjob-[a-z0-9]{5}\b", done.talk)


def test_the_name_alone_is_on_stdout(jobman: Any) -> None:
    done = jobman("submit", "--", "true").ok()
    assert re.fullmatch(r"job-[a-z0-9]{5}\n", done.text)


def test_words_arrive_one_by_one(jobman: Any) -> None:
    done = jobman("submit", "--follow", "--", "printf", "[%s]\\n", *WORDS).ok()
    assert done.text == "".join(f"[{word}]\n" for word in WORDS)


def test_the_first_word_ends_the_options(jobman: Any) -> None:
    done = jobman("submit", "--follow", "echo", "-n", "x", "--wait", "--").ok()
    assert done.text == "x --wait --"


@pytest.mark.parametrize("mode", ["--wait", "--follow"])
def test_the_exit_code_is_the_jobs_own(jobman: Any, mode: str) -> None:
    assert jobman("submit", mode, "--", "sh", "-c", "echo out; exit 3").code == 3


def test_environment_and_workdir(jobman: Any, tmp_path: Any) -> None:
    (tmp_path / "vars").write_text("# a comment\nFROM_FILE=x=y z\nPASSED\n")
    script = 'echo "$ONE|$FROM_FILE|$PASSED|$DOLLAR"; pwd'
    flags = ["-e", "ONE=1", "-e", "DOLLAR=$(ONE)", "--env-file", "vars", "-w", "/tmp"]
    env = {"PASSED": "through"}
    done = jobman("submit", "--follow", *flags, "--", "sh", "-c", script, env=env)
    assert done.ok().text == "1|x=y z|through|$(ONE)\n/tmp\n"


def test_the_life_of_a_job(jobman: Any) -> None:
    good = jobman.submit("-j", "good", "--wait", "--", "echo", "well")
    assert good == "good"
    assert jobman("submit", "-j", "bad", "--wait", "--", "sh", "-c", "echo ill; exit 3").code == 3

    rows = json.loads(jobman("list", "-o", "json").ok().out)
    assert [(row["name"], row["state"]) for row in rows] == [
        ("bad", "Failed"),
        ("good", "Succeeded"),
    ]
    assert rows[0]["exitCode"] == 3
    assert jobman("list", "g*", "-o", "name").ok().text == "good\n"
    assert jobman("list", "--state", "failed", "-o", "name").ok().text == "bad\n"
    table = jobman("list").ok().text.splitlines()
    assert table[0].split()[:2] == ["NAME", "STATE"]
    assert re.match(r"bad +Failed +Error\(exit 3\)", table[1])

    assert jobman("logs", "good").ok().text == "well\n"
    assert jobman("logs", "-j", "bad").ok().text == "ill\n"
    assert jobman("logs", "LAST").ok().text == "ill\n"
    stamped = jobman("logs", "good", "--timestamps").ok().text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z well\n", stamped)

    details = jobman("details", "bad").ok().text
    for part in ("bad", "Failed", "exit 3", "echo ill; exit 3", "e2e"):
        assert part in details
    whole = json.loads(jobman("details", "bad", "-o", "json").ok().out)
    assert whole["job"]["kind"] == "Job"
    assert whole["pods"][0]["status"]["phase"] == "Failed"
    assert any(event["reason"] == "SuccessfulCreate" for event in whole["events"])

    jobman("delete", "good", "-y").ok()
    assert jobman("list", "-o", "name").ok().text == "bad\n"
    assert jobman("delete", "--all", "-y").ok()
    assert jobman("list", "-o", "name").ok().text == ""


def test_what_is_not_there(jobman: Any) -> None:
    for command in ("details", "logs", "delete"):
        done = jobman(command, "nope")
        assert done.code == 3, done
        assert "nope" in done.talk
        assert "Traceback" not in done.talk
    assert jobman("logs", "LAST").code == 3


def test_delete_asks_before_many(jobman: Any) -> None:
    jobman.submit("-j", "one", "--", "true")
    done = jobman("delete", "o*")
    assert done.code == 2
    assert "-y" in done.talk
    assert jobman("list", "-o", "name").ok().text == "one\n"


def test_follow_of_a_running_job(jobman: Any) -> None:
    name = jobman.submit("--", "sh", "-c", "echo first; sleep 2; echo last; exit 4")
    done = jobman("logs", "-f", name)
    assert done.text == "first\nlast\n"


def test_interrupting_leaves_the_job(jobman: Any) -> None:
    running = jobman.start(
        "submit", "-j", "long", "--follow", "--", "sh", "-c", "echo up; sleep 60"
    )
    running.wait_for(b"up\n")
    running.interrupt()
    assert running.finish() == 130
    assert b"jobman logs -f long" in running.err
    rows = json.loads(jobman("list", "-o", "json").ok().out)
    assert [(row["name"], row["state"]) for row in rows] == [("long", "Running")]
    jobman("delete", "long", "-y").ok()


def test_timeout_bounds_the_waiting(jobman: Any) -> None:
    done = jobman("submit", "-j", "slow", "--wait", "--timeout", "1s", "--", "sleep", "60")
    assert done.code == 124
    assert jobman("list", "-o", "name").ok().text == "slow\n"


def test_a_job_that_is_too_big_says_so(jobman: Any) -> None:
    huge = ["-j", "huge", "--cpu", "100000", "--wait", "--timeout", "2s"]
    done = jobman("submit", "--force", *huge, "--", "true")
    assert done.code == 124
    row = json.loads(jobman("list", "-o", "json").ok().out)[0]
    assert (row["state"], row["reason"]) == ("Pending", "Unschedulable")
    assert "Insufficient cpu" in jobman("details", "huge").ok().text
    log = jobman("logs", "huge")
    assert log.code == 1
    assert "Insufficient cpu" in log.talk


MISSING = """
apiVersion: batch/v1
kind: Job
metadata: {generateName: needs-}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: %s
        command: ["true"]
        envFrom: [{configMapRef: {name: not-there}}]
"""


def test_stuck_fails_at_once(jobman: Any) -> None:
    manifest = (MISSING % jobman.cluster.image).encode()
    name = jobman("submit", "-f", "-", stdin=manifest).ok().text.strip()
    assert re.fullmatch(r"needs-[a-z0-9]{5}", name)
    done = jobman("logs", "-f", name)
    assert done.code == 1
    assert "not-there" in done.talk
    row = json.loads(jobman("list", "-o", "json").ok().out)[0]
    assert (row["state"], row["reason"]) == ("Stuck", "CreateContainerConfigError")


def test_dry_run_is_what_kubectl_takes(jobman: Any, kubectl: Any) -> None:
    done = jobman("submit", "-j", "dry", "--dry-run", "--", "echo", "$HOME").ok()
    manifest = yaml.safe_load(done.out)
    assert manifest["kind"] == "Job"
    assert manifest["spec"]["template"]["spec"]["containers"][0]["args"] == ["echo", "$$HOME"]
    assert jobman("list", "-o", "name").ok().text == ""
    kubectl("apply", "-f", "-", stdin=done.out).ok()
    kubectl("wait", "--for=condition=complete", "job/dry", "--timeout=60s").ok()
    assert kubectl("logs", "job/dry").ok().text == "$HOME\n"


def test_server_dry_run_creates_nothing(jobman: Any) -> None:
    jobman("submit", "-j", "dry", "--server-dry-run", "--", "true").ok()
    assert jobman("list", "-o", "name").ok().text == ""


def test_a_closed_pipe_is_silent(jobman: Any) -> None:
    name = jobman.submit("--wait", "--", "sh", "-c", f"yes {'y' * 99} | head -c 2000000")
    process = jobman.popen("logs", name)
    assert process.stdout.readline() == b"y" * 99 + b"\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 141
