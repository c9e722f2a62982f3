"""What is done to jobs after they are submitted: cancelled, held, released, scaled, deleted."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

from kubernetes import client as k8s
from plugins.terminal import on_terminal

COUNTING = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done"


def row(jobman: Any, name: str) -> dict[str, Any]:
    (found,) = json.loads(jobman("list", name, "-o", "json").ok().out)
    return dict(found)


def state(jobman: Any, name: str) -> str:
    return str(row(jobman, name)["state"])


def running(jobman: Any, *flags: str, script: str = COUNTING) -> str:
    """A job that runs and has written something."""
    name = jobman.submit(*flags, "--", "sh", "-c", script)
    following = jobman.start("logs", "-f", name)
    following.wait_for(b"line 1")
    following.interrupt()
    following.finish()
    return str(name)


def test_cancel_keeps_the_log(jobman: Any) -> None:
    name = running(jobman)
    done = jobman("cancel", name).ok()
    assert done.text == f"{name} cancelled\n"
    found = row(jobman, name)
    assert found["state"] == "Cancelled"
    assert re.match(r"by \S+ at 20\d\d-", found["message"])
    assert jobman("logs", name).ok().text.startswith("line 1\nline 2\n")
    assert "Cancelled" in jobman("details", name).ok().text
    assert jobman("cancel", name).ok().text == f"{name} is Cancelled already\n"


def test_cancel_of_what_has_not_begun(jobman: Any) -> None:
    held = jobman.submit("--hold", "--", "true")
    waiting = jobman.submit("--node-selector", "no.such/label=x", "--", "true")
    done = jobman("cancel", held, waiting).ok()
    assert sorted(done.text.splitlines()) == sorted(
        f"{name} cancelled before it began" for name in (held, waiting)
    )
    for name in (held, waiting):
        found = row(jobman, name)
        assert (found["state"], found["durationSeconds"]) == ("Cancelled", None)
        assert re.search(rf"^{name} +Cancelled +by \S", jobman("list", name).text, re.MULTILINE)
        assert "it was cancelled before it began" in jobman("logs", name).talk
    assert jobman("release", held).code == 1


def test_cancel_between_two_tries(jobman: Any, kubectl: Any) -> None:
    image = jobman.env["JOBMAN_IMAGE"]
    kubectl("create", "job", "flaky", f"--image={image}", "--", "false").ok()
    kubectl("wait", "--for=jsonpath={.status.failed}=1", "job/flaky", "--timeout=60s").ok()
    # its next pod comes ten seconds after the first one failed
    assert jobman("cancel", "flaky", "--force").ok().text == "flaky cancelled\n"
    (found,) = json.loads(jobman("list", "flaky", "--all-users", "-o", "json").ok().out)
    assert (found["state"], found["failed"], found["active"]) == ("Cancelled", 1, 0)


def test_cancel_of_an_array_starts_no_other_index(jobman: Any) -> None:
    name = running(jobman, "--array", "6%2")
    jobman("cancel", name).ok()
    found = row(jobman, name)
    assert found["state"] == "Cancelled"
    assert (found["active"], found["succeeded"]) == (0, 0)
    assert (found["failed"], found["completions"]) == (0, 6)
    tasks = json.loads(jobman("list", name, "--tasks", "-o", "json").ok().out)
    assert [bool(task["pod"]) for task in tasks] == [True] * 2 + [False] * 4
    assert {task["state"] for task in tasks} == {"Cancelled"}
    assert jobman("logs", name).text.startswith("line 1\n")
    again = jobman("retry", name).ok().text.strip()
    assert row(jobman, again)["completions"] == 6


def test_cancel_of_several_pods_keeps_all_their_logs(jobman: Any, api: Any, namespace: str) -> None:
    """Of a Job with one count of failures for all: the first must not take the others along."""
    one = "trap 'exit 1' TERM; echo up; while :; do sleep 0.1; done"
    slow = "trap 'sleep 2; echo bye; exit 1' TERM; echo up; while :; do sleep 0.1; done"
    script = f'case "$JOB_COMPLETION_INDEX" in 0) {one};; *) {slow};; esac'
    container = {"name": "main", "image": jobman.env["JOBMAN_IMAGE"], "command": ["sh", "-c"]}
    container["args"] = [script]
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"completions": 2, "parallelism": 2, "completionMode": "Indexed", "template": template}
    k8s.BatchV1Api(api).create_namespaced_job(
        namespace, {"metadata": {"name": "pair"}, "spec": spec}
    )
    following = jobman.start("logs", "-f", "pair", "--all-pods")
    following.wait_for(b"/0] up")
    following.wait_for(b"/1] up")
    jobman("cancel", "pair", "--force").ok()
    following.finish()
    log = jobman("logs", "pair").text.splitlines()
    assert (log.count("up"), log.count("bye")) == (2, 1)


def test_cancel_of_what_does_not_end(jobman: Any) -> None:
    name = running(jobman, script=f"trap '' TERM; {COUNTING}")
    cancelling = jobman.start("cancel", name)
    cancelling.wait_for(b"waiting for processes to end\n")
    cancelling.interrupt()
    cancelling.wait_for(b"what has begun is finished first")
    cancelling.interrupt()
    assert cancelling.finish() == -signal.SIGINT
    jobman("delete", name, "--grace", "0").ok()


def test_what_an_interrupted_command_has_begun_is_told(jobman: Any) -> None:
    ready = "echo line 1; while :; do sleep 0.1; done"
    name = running(jobman, script=f"trap 'sleep 5; exit 0' TERM; {ready}")
    cancelling = jobman.start("cancel", name)
    cancelling.wait_for(b"waiting for processes to end\n")
    cancelling.interrupt()
    assert cancelling.finish() == 130
    assert bytes(cancelling.out) == f"{name} cancelled\n".encode()


def test_cancel_says_what_it_did_for_each(jobman: Any) -> None:
    good = jobman.submit("--wait", "--", "true")
    held = jobman.submit("--hold", "--", "true")
    done = jobman("cancel", good, "nope", held)
    assert done.code == 1
    assert sorted(done.text.splitlines()) == sorted(
        [f"{good} is Succeeded already", f"{held} cancelled before it began"]
    )
    assert "job nope not found" in done.talk
    assert "1 of 3 was not cancelled; the others were" in done.talk


def test_somebody_elses_job(jobman: Any) -> None:
    theirs = jobman("submit", "--hold", "--", "true", env={"JOBMAN_USER": "bob"}).ok().text.strip()
    for command in ("cancel", "hold", "release", "delete"):
        done = jobman(command, theirs)
        assert done.code == 4, done
        assert "of bob" in done.talk
        assert "--force" in done.talk
    assert jobman("cancel", theirs, "--force").ok()


def test_delete_what_is_over(jobman: Any) -> None:
    good = jobman.submit("--wait", "--", "true")
    bad = jobman("submit", "--wait", "--", "false").text.strip()
    held = jobman.submit("--hold", "--", "true")
    assert jobman("delete", "--finished").code == 2
    assert jobman("delete", "--failed", "-y").ok().text == f"{bad}\n"
    assert jobman("delete", "--finished", "--older-than", "1h", "-y").ok().text == ""
    assert jobman("delete", "--older-than", "0s", "-y").ok().text == f"{good}\n"
    assert jobman("list", "-o", "name").ok().text == f"{held}\n"


def test_a_question_that_is_not_answered(jobman: Any) -> None:
    held = jobman.submit("--hold", "--", "true")
    with on_terminal(["delete", "--all"], jobman.env, jobman.cwd) as terminal:
        terminal.wait_for(b"delete 1 job? [y/N] ")
        terminal.type(b"\x03")
        assert terminal.finish() == 130
    assert terminal.seen.endswith(b"^C\r\n")
    assert jobman("list", "-o", "name").ok().text == f"{held}\n"


def test_delete_without_grace(jobman: Any, api: Any, namespace: str) -> None:
    name = running(jobman, script=f"trap '' TERM; {COUNTING}")
    jobman("delete", name, "--grace", "0").ok()
    assert k8s.CoreV1Api(api).list_namespaced_pod(namespace).items == []


def test_hold_and_release(jobman: Any) -> None:
    name = jobman.submit("--node-selector", "no.such/label=x", "--", "true")
    assert jobman("hold", name).ok().text == f"{name} held\n"
    assert state(jobman, name) == "Suspended"
    assert jobman("hold", name).ok().text == f"{name} is held already\n"
    assert jobman("release", name).ok().text == f"{name} released\n"
    assert jobman("release", name).ok().text == f"{name} is not held\n"
    assert state(jobman, name) == "Pending"
    jobman("cancel", name).ok()
    for command in ("hold", "release"):
        done = jobman(command, name)
        assert done.code == 1
        assert "Cancelled" in done.talk


def test_hold_of_a_running_job_saves_its_log(jobman: Any) -> None:
    name = running(jobman, script=f"trap 'echo bye; exit 3' TERM; {COUNTING}")
    refused = jobman("hold", name)
    assert refused.code == 1
    assert "--stop" in refused.talk
    assert state(jobman, name) == "Running"
    done = jobman("hold", name, "--stop", "--save", "logs").ok()
    assert done.text == f"{name} stopped and held\n"
    (saved,) = (jobman.cwd / "logs").iterdir()
    lines = saved.read_text().splitlines()
    assert lines[0] == "line 1"
    assert lines[-1] == "bye"
    assert state(jobman, name) == "Suspended"


def test_scale(jobman: Any) -> None:
    array = jobman.submit("--array", "4%1", "--hold", "--", "true")
    assert jobman("scale", array, "+2").ok().text == f"{array} scaled from 1 to 3\n"
    assert jobman("scale", array, "2").ok().text == f"{array} scaled from 3 to 2\n"
    one = jobman.submit("--hold", "--", "true")
    refused = jobman("scale", one, "2")
    assert refused.code == 1
    assert "is one pod" in refused.talk
    assert jobman("scale", array, "many").code == 2
    assert jobman("scale", array, "0").code == 1
    assert jobman("scale", "2").code == 2


def left_behind(name: str, **labels: str) -> dict[str, Any]:
    """A ConfigMap or Secret of the user that the tests run as."""
    own = {"app.kubernetes.io/managed-by": "jobman", "jobman/user": "alice"}
    return {"metadata": {"name": name, "labels": own | labels}}


def test_clean(jobman: Any, api: Any, namespace: str) -> None:
    me = {"JOBMAN_USER": "alice"}
    run = lambda *args: jobman(*args, env=me)  # noqa: E731
    assert "nothing to clean" in run("clean", "-y").ok().talk
    over = run("submit", "--wait", "--", "true").ok().text.strip()
    held = run("submit", "--hold", "--", "true").ok().text.strip()
    theirs = jobman("submit", "--wait", "--", "true", env={"JOBMAN_USER": "bob"}).ok().text.strip()
    core = k8s.CoreV1Api(api)
    job, run_of = "batch.kubernetes.io/job-name", "jobman/run"
    core.create_namespaced_config_map(namespace, left_behind("of-gone", **{job: "gone"}))
    core.create_namespaced_config_map(namespace, left_behind("of-going", **{job: over}))
    core.create_namespaced_config_map(namespace, left_behind("of-held", **{job: held}))
    core.create_namespaced_config_map(namespace, left_behind("of-nothing"))
    core.create_namespaced_secret(namespace, left_behind("of-a-run", **{run_of: "r1"}))

    assert run("clean").code == 2
    shown = run("clean", "--dry-run", "--older-than", "0s").ok()
    assert (shown.text, f"1 Job: {over}\n" in shown.talk) == ("", True)
    assert "2 ConfigMaps: of-going, of-gone\n" in shown.talk
    refused = run("clean", held)
    assert (refused.code, f"job {held} is not over" in refused.talk) == (1, True)
    assert run("clean", theirs).code == 4
    assert run("clean", "--older-than", "1h", "-y").ok().text == ""
    # what is young may be of a job that is just being made
    assert run("clean", "-y").ok().text == f"job/{over}\n"
    done = run("clean", "--older-than", "0s", "-y").ok().text.splitlines()
    assert sorted(done) == ["configmap/of-going", "configmap/of-gone", "secret/of-a-run"]
    left = {found.metadata.name for found in core.list_namespaced_config_map(namespace).items}
    assert left - {"kube-root-ca.crt"} == {"of-held", "of-nothing"}
    remaining = jobman("list", "--all-users", "-o", "name").ok().text.split()
    assert sorted(remaining) == sorted([held, theirs])


def test_a_follow_of_what_is_cancelled(jobman: Any) -> None:
    following = jobman.start("submit", "-j", "followed", "--follow", "--", "sh", "-c", COUNTING)
    following.wait_for(b"line 1")
    jobman("cancel", "followed").ok()
    assert following.finish() == 1
    assert b"job followed: Cancelled: by " in following.err
    assert jobman("wait", "followed").code == 1


def test_every_state(jobman: Any, api: Any, namespace: str) -> None:
    """What is done to jobs as they stand, and said for each; the rest is done."""
    batch = k8s.BatchV1Api(api)
    far = ["--node-selector", "no.such/label=x"]
    good, bad = (jobman("submit", "--wait", "--", w).text.strip() for w in ("true", "false"))
    held = jobman.submit("--hold", "--", "true")
    pending = jobman.submit(*far, "--", "true")
    lacking = jobman.submit("--secret-env", "not-there", "--", "true")
    gone = jobman.submit("--hold", "--", "true")
    leaving = jobman.submit("--hold", "--", "true")
    keep = {"metadata": {"finalizers": ["test.invalid/keep"]}}
    batch.patch_namespaced_job(leaving, namespace, keep)
    jobman("delete", gone, leaving, "-y").ok()
    names = [good, bad, held, pending, lacking, leaving, gone]

    def told(*words: str) -> tuple[int, list[str], str]:
        done = jobman(*words)
        return done.code, sorted(done.text.splitlines()), done.talk

    try:
        assert state(jobman, leaving) == "Deleting"
        code, did, talk = told("hold", *names)
        assert (code, did) == (
            1,
            sorted([f"{held} is held already", f"{pending} held", f"{lacking} held"]),
        )
        for name, was in ((good, "Succeeded"), (bad, "Failed"), (leaving, "Deleting")):
            assert f"job {name} is {was}: there is nothing to hold" in talk
        assert f"job {gone} not found" in talk
        code, did, talk = told("release", *names)
        assert (code, did) == (1, sorted(f"{name} released" for name in (held, pending, lacking)))
        code, did, talk = told("cancel", *names)
        assert code == 1
        assert {f"{good} is Succeeded already", f"{bad} is Failed already"} <= {*did}
        assert f"{leaving} is being deleted already" in did
        assert state(jobman, pending) == state(jobman, lacking) == "Cancelled"
        code, did, talk = told("retry", pending, bad, gone)
        assert (code, did) == (1, sorted([f"{pending}-r2", f"{bad}-r2"]))
        code, did, talk = told("delete", good, pending, gone)
        assert (code, did) == (1, sorted([good, pending]))
    finally:
        batch.patch_namespaced_job(leaving, namespace, {"metadata": {"finalizers": None}})


def test_commands_that_look_take_several_names(jobman: Any) -> None:
    held, other = (jobman.submit("--hold", "--", "true") for _ in range(2))
    for command in ("details", "why"):
        blocks = jobman(command, held, "-j", other).ok().text.split("\n\n")
        first, second = (jobman(command, name).ok().text for name in (held, other))
        heads = [block.splitlines()[0] for block in (first, second)]
        assert [head for block in blocks for head in heads if block.startswith(head)] == heads
        assert len(json.loads(jobman(command, "--all", "-o", "json").ok().out)) == 2
        some = jobman(command, held, "nope")
        assert (some.code, "job nope not found" in some.talk) == (3, True)
        assert some.text.splitlines()[0] == heads[0]
    arrays = [jobman.submit("--array", "4%1", "--hold", "--", "true") for _ in range(2)]
    done = jobman("scale", "-j", arrays[0], "-j", arrays[1], "2").ok()
    assert sorted(done.text.splitlines()) == sorted(f"{a} scaled from 1 to 2" for a in arrays)
    done = jobman("scale", "--all", "-y", "+1").ok()
    assert sorted(done.text.splitlines()) == sorted(f"{a} scaled from 2 to 3" for a in arrays)


def test_a_sweep_leaves_out_what_it_does_not_fit(jobman: Any) -> None:
    """A name means that very job; a glob, and --all, those of which there is something to do."""
    good, bad = (jobman("submit", "--wait", "--", w).text.strip() for w in ("true", "false"))
    held = jobman.submit("--hold", "--", "true")
    for command, done in (("hold", "is held already"), ("scale", ""), ("release", "released")):
        words = ["+1"] if command == "scale" else []
        swept = jobman(command, "--all", "-y", *words).ok()
        assert swept.text == (f"{held} {done}\n" if done else ""), swept
        assert ("no job was scaled: job " in swept.talk) is (command == "scale")
    assert jobman("retry", "job-*", "--failed", "-y").ok().text == f"{bad}-r2\n"
    named = jobman("retry", "job-*", good, "--failed", "-y")
    assert (named.code, f"job {good} is Succeeded: nothing of it failed" in named.talk) == (1, True)
