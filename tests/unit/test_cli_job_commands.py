"""`jobman details`, `logs` and `delete`, whole, against a scripted server."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from plugins.command_line import Run
from plugins.job_world import (
    BATCH,
    CORE,
    JobWorld,
    a_job,
    a_pod,
    ago,
    creating,
    exited,
    running,
    stuck,
)
from plugins.scripted_server import Reply

HOSTILE = "[/]\x1b[2J\x07\u202e\x9b31m"
TEXT = {"Content-Type": "text/plain"}
LOG = b"2026-11-21T11:52:00.000000000Z one\n2026-11-21T11:52:01.000000000Z \xfftwo"
COMPLETE = {"type": "Complete", "status": "True"}
FAILED = {
    "type": "Failed",
    "status": "True",
    "reason": "BackoffLimitExceeded",
    "message": "Job has reached the specified backoff limit",
    "lastTransitionTime": ago(430),
}


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "-w"],
        ["list", "--tasks"],
        *([verb] for verb in ("details", "logs", "why", "wait", "delete", "cancel", "hold")),
        *([verb] for verb in ("release", "retry")),
        ["scale", "", "4"],
    ],
    ids=" ".join,
)
def test_an_empty_name(run: Run, world: JobWorld, words: list[str]) -> None:
    """`$JOB` of a script, unset by mistake."""
    done = run(*words, *([] if "" in words else [""]))
    assert (done.code, done.out) == (2, "")
    assert done.talk == "error: '' is not the name of a job\n"


@pytest.mark.parametrize(
    ("args", "flag"),
    [
        (["list", "-n", ""], "-n"),
        (["-n", "", "list"], "-n"),
        (["list", "--context", ""], "--context"),
        (["list", "-s", ""], "-s"),
        (["list", "-l", ""], "--selector"),
        (["delete", "-j", ""], "-j"),
        (["queue", "--by", ""], "--by"),
        (["queue", "publish", "--configmap", ""], "--configmap"),
        (["submit", "-f", ""], "-f"),
        (["submit", "--env-file", "", "--", "x"], "--env-file"),
        (["map", "--log-dir", "", "--", "x"], "--log-dir"),
        (["map", "status", ""], "RUN|DIR"),
        (["exec", "", "--", "x"], "NAME"),
        (["image-details", ""], "NAME[:TAG][@DIGEST]"),
        (["settings", "validate", ""], "FILE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_empty_value(run: Run, world: JobWorld, args: list[str], flag: str) -> None:
    done = run(*args)
    assert (done.code, done.out, world.server.requests) == (2, "", [])
    assert done.talk == f"error: {flag}: its value is empty\n"


def an_event(name: str, about: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "involvedObject": about, "type": "Normal"} | more


def a_failed_job(world: JobWorld) -> None:
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    words = {"command": ["sh", "-c"], "args": ["echo $$HOME; exit 3"], "resources": resources}
    world.jobs.put(a_job("bad", container=words, status={"conditions": [FAILED], "failed": 1}))
    world.pods.put(a_pod("bad", **exited(3)))
    job = {"kind": "Job", "name": "bad", "uid": "uid-bad"}
    pod = {"kind": "Pod", "name": "bad-x", "uid": "uid-pod-bad-x"}
    controller = {"source": {"component": "job-controller"}, "lastTimestamp": ago(600)}
    world.events.put(
        an_event("1", job, reason="SuccessfulCreate", message="Created pod: bad-x", **controller)
    )
    scheduler = {"reportingComponent": "default-scheduler", "eventTime": ago(599.5)}
    world.events.put(an_event("2", pod, reason="Scheduled", message="to n1", **scheduler))
    pulled = {"source": {"component": "kubelet"}, "lastTimestamp": ago(500), "count": 3}
    world.events.put(an_event("3", pod, reason="Pulled", message="a\nb", **pulled))
    world.events.put(an_event("4", {"kind": "Job", "name": "bad", "uid": "older"}, reason="Old"))


DETAILS = """\
Name:        bad
Namespace:   team
User:        alice
State:       Failed: Error(exit 3)
Why:         container main ended with exit code 3
Exit code:   3
Flavor:      small
Image:       busybox:1.36
Command:     sh -c 'echo $HOME; exit 3'
Resources:   cpu 1, memory 1Gi; limits memory 1Gi
Node:        n1
Submitted:   2026-11-21T11:49:59.750000Z (10m ago)
Started:     2026-11-21T11:51:40Z (8m20s ago)
Finished:    2026-11-21T11:52:40Z (7m20s ago)
Duration:    60s

Pods:
  NAME   STATE   REASON         EXIT  RESTARTS  NODE  AGE
  bad-x  Failed  Error(exit 3)  3     0         n1    9m50s

Conditions:
  TYPE    STATUS  REASON                AGE    MESSAGE
  Failed  True    BackoffLimitExceeded  7m10s  Job has reached the specified backoff limit

Events:
  AGE         TYPE    REASON            FROM               MESSAGE
  10m         Normal  SuccessfulCreate  job-controller     Created pod: bad-x
  9m59s       Normal  Scheduled         default-scheduler  to n1
  8m20s (x3)  Normal  Pulled            kubelet            a b
"""


@pytest.mark.parametrize("args", [["bad"], ["-j", "bad"], ["LAST"], ["b?d"]])
def test_details(run: Run, world: JobWorld, args: list[str]) -> None:
    a_failed_job(world)
    assert run("details", *args).out == DETAILS


def test_details_are_the_same_on_a_terminal(run: Run, world: JobWorld) -> None:
    a_failed_job(world)
    assert run("details", "bad", terminal=True).out == DETAILS


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_details_whole(run: Run, world: JobWorld, form: str) -> None:
    a_failed_job(world)
    text = run("details", "bad", "-o", form).out
    found = json.loads(text) if form == "json" else yaml.safe_load(text)
    assert list(found) == ["job", "pods", "events"]
    assert found["job"]["spec"]["backoffLimit"] == 0
    assert [pod["metadata"]["name"] for pod in found["pods"]] == ["bad-x"]
    assert [e["reason"] for e in found["events"]] == ["SuccessfulCreate", "Scheduled", "Pulled"]


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_hostile_text_harms_no_details(run: Run, world: JobWorld, form: str) -> None:
    world.jobs.put(
        a_job(
            "evil",
            container={"image": HOSTILE, "args": [HOSTILE * 1000], "workingDir": HOSTILE},
            status={"conditions": [FAILED | {"message": HOSTILE * 100_000, "reason": HOSTILE}]},
        )
    )
    world.pods.put(a_pod("evil", **stuck(HOSTILE, HOSTILE * 10_000)))
    about = {"kind": "Job", "name": "evil", "uid": "uid-evil"}
    world.events.put(an_event("1", about, reason=HOSTILE, message=HOSTILE * 100_000))
    done = run("details", "evil", "-o", form, terminal=True)
    assert done.code == 0
    assert not set("\x1b\x07\x9b\u202e") & set(done.out)
    assert "[/]" in done.out
    if form == "table":
        assert len(done.out) < 30_000


@pytest.mark.parametrize("command", ["details", "logs", "delete"])
@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["nope"], 3, "job nope not found in namespace team"),
        (["LAST"], 3, "you have no job in namespace team"),
        (["-j", "a\x1bb"], 3, "job a\\x1bb not found"),
        (["a/b"], 2, "'a/b'"),
        ([], 2, "no job is named"),
    ],
)
def test_what_is_not_there(run: Run, command: str, args: list[str], code: int, says: str) -> None:
    done = run(command, *args)
    assert (done.code, done.out) == (code, "")
    assert says in done.talk
    assert "\x1b" not in done.talk


def test_a_glob_that_matches_nothing(run: Run) -> None:
    for args in (["details", "x*"], ["logs", "x*"], ["delete", "x*", "-y"]):
        done = run(*args)
        assert done.code == 3
        assert "no job of yours matches 'x*' in namespace team" in done.talk


def test_the_closest_name_is_offered(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("train-a"))
    assert "hint: closest of yours: train-a" in run("details", "tarin-a").talk


def two_that_are_over(world: JobWorld) -> None:
    for name in ("a1", "a2"):
        world.jobs.put(a_job(name, status={"conditions": [COMPLETE], "succeeded": 1}))
        world.pods.put(a_pod(name, **exited(0)))


@pytest.mark.parametrize("command", ["details", "why"])
def test_several_are_shown_one_after_the_other(run: Run, world: JobWorld, command: str) -> None:
    two_that_are_over(world)
    alone = [run(command, name).out for name in ("a1", "a2")]
    assert all(alone)
    both = "\n".join(alone)
    for words in (["a1", "a2"], ["a1", "-j", "a2", "a1"], ["a?"], ["--all"]):
        assert run(command, *words).out == both
    some = run(command, "a1", "nope", "a2")
    assert (some.code, some.out) == (3, both)
    assert "error: job nope not found" in some.talk
    none = run(command, "no", "nope")
    assert (none.code, none.out) == (3, "")
    assert "job no not found" in none.talk
    assert "job nope not found" in none.talk


@pytest.mark.parametrize(("command", "key"), [("details", "pods"), ("why", "sentence")])
def test_documents_of_several(run: Run, world: JobWorld, command: str, key: str) -> None:
    two_that_are_over(world)
    assert key in json.loads(run(command, "a1", "-o", "json").out)
    assert key in json.loads(run(command, "LAST", "-o", "json").out)
    for count, words in ((2, ["a1", "a2"]), (1, ["a1*"]), (1, ["a1", "nope"]), (2, ["--all"])):
        found = json.loads(run(command, *words, "-o", "json").out)
        assert [key in one for one in found] == [True] * count
    assert yaml.safe_load(run(command, "a?", "-o", "yaml").out) == json.loads(
        run(command, "a?", "-o", "json").out
    )


def test_logs_unchanged_to_the_byte(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **exited(0)))
    world.log("a-x", Reply(200, LOG, TEXT))
    assert run("logs", "a").raw == b"one\n\xfftwo"
    assert run("logs", "a", "--timestamps", "--tail", "2", "--since", "1m").raw == LOG
    assert world.asked_logs("a-x")[1] == {
        "container": "main",
        "tailLines": "2",
        "sinceSeconds": "60",
        "timestamps": "true",
    }


def test_logs_of_a_cut_connection(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **exited(0)))
    cut = Reply(200, headers=TEXT, chunks=[LOG[:40]], cut=True)
    world.log("a-x", cut, Reply(200, LOG, TEXT))
    assert run("logs", "a").raw == b"one\n\xfftwo"


def test_logs_of_all_pods(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a", spec={"backoffLimit": 1}))
    world.pods.put(a_pod("a", "a-2", age_s=5, **running()))
    world.pods.put(a_pod("a", "a-1", **exited(1)))
    world.log("a-1", Reply(200, LOG[:-5], TEXT))
    world.log("a-2", Reply(200, LOG, TEXT))
    assert run("logs", "a").raw == b"one\none\n\xfftwo"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"phase": "Pending"}, "has no log yet: Starting: Scheduled"),
        (creating(), "has no log yet: Starting: ContainerCreating"),
        (stuck("InvalidImageName", "bad"), "has no log: Stuck: InvalidImageName: bad"),
        (stuck(HOSTILE, HOSTILE), r"has no log yet: Starting: [/]\x1b[2J\x07"),
    ],
)
def test_no_log_yet(run: Run, world: JobWorld, status: dict[str, Any], says: str) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **status))
    done = run("logs", "a")
    assert (done.code, done.out) == (1, "")
    assert says in done.talk


def test_no_log_for_want_of_a_pod(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.refusal("a", "Internal error: webhook down")
    assert "Pending: FailedCreate: Internal error: webhook down" in run("logs", "a").talk
    world.jobs.update("a", status={"conditions": [FAILED]})
    assert "its pods are gone" in run("logs", "a").talk


def test_following_says_what_it_waits_for(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **creating()))
    world.log("a-x", Reply(200, LOG, TEXT))

    def on_talk(said: str) -> None:
        if "Starting" in said:
            world.pods.update("a-x", status=exited(0))

    for terminal in (False, True):
        done = run("logs", "-f", "a", terminal=terminal, columns=20, on_talk=on_talk)
        assert (done.code, done.raw) == (0, b"one\n\xfftwo")
        if terminal:
            assert done.talk == "\r\x1b[Kjob a: Starting: …\r\x1b[K"
        else:
            assert done.talk == "job a: Starting: ContainerCreating\n"
        world.pods.update("a-x", status=creating())


def test_following_what_can_never_start(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **stuck("ErrImageNeverPull", "absent")))
    done = run("logs", "-f", "a")
    assert (done.code, done.out) == (1, "")
    assert done.talk.splitlines()[0] == (
        "error: job a has no log: Stuck: ErrImageNeverPull: absent"
    )


def test_following_a_job_that_is_over(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **exited(4)))
    world.log("a-x", Reply(200, LOG, TEXT))
    done = run("logs", "-f", "a")
    assert (done.code, done.raw) == (0, b"one\n\xfftwo")


def test_log_is_called_logs(run: Run) -> None:
    for args in (["log"], ["log", "-f", "a"], ["log", "-j", "a", "--tail", "3"]):
        done = run(*args)
        assert done.code == 2
        assert "jobman logs" in done.talk


def names(world: JobWorld) -> list[str]:
    return sorted(world.jobs.objects)


def three(world: JobWorld) -> None:
    for name in ("a1", "a2", "b"):
        world.jobs.put(a_job(name))


@pytest.mark.parametrize(
    ("args", "left"),
    [
        (["a1"], ["a2", "b"]),
        (["-j", "a1", "-j", "b"], ["a2"]),
        (["a1", "a?", "-y"], ["b"]),
        (["--all", "-y"], []),
        (["LAST"], ["a1", "a2"]),
    ],
)
def test_delete(run: Run, world: JobWorld, args: list[str], left: list[str]) -> None:
    three(world)
    done = run("delete", *args)
    assert (done.code, names(world)) == (0, left)
    assert sorted(done.lines) == sorted({"a1", "a2", "b"} - set(left))
    deletions = [a for a in world.server.requests if a.method == "DELETE"]
    assert {a.body["propagationPolicy"] for a in deletions} == {"Background"}
    assert all(a.body["preconditions"]["uid"] == f"uid-{a.path.split('/')[-1]}" for a in deletions)


@pytest.mark.parametrize("args", [["a*"], ["--all"], ["b", "a*"]])
def test_a_sweep_needs_consent(run: Run, world: JobWorld, args: list[str]) -> None:
    three(world)
    done = run("delete", *args)
    assert (done.code, names(world)) == (2, ["a1", "a2", "b"])
    assert "-y" in done.talk


@pytest.mark.parametrize("args", [["--all", "a1"], []])
def test_delete_of_what(run: Run, args: list[str]) -> None:
    assert run("delete", *args).code == 2


def test_delete_all_of_none(run: Run) -> None:
    assert run("delete", "--all", "-y").code == 3


@pytest.mark.parametrize("answer", ["y", "n"])
def test_delete_asks_on_a_terminal(run: Run, world: JobWorld, answer: str) -> None:
    three(world)
    done = run("delete", "a*", terminal=True, typed=f"{answer}\n")
    assert "deleting 2 jobs with pods and logs: a1, a2\ndelete 2 jobs? [y/N] " in done.talk
    assert done.code == (0 if answer == "y" else 1)
    assert names(world) == (["b"] if answer == "y" else ["a1", "a2", "b"])


@pytest.mark.parametrize(
    ("user", "says"), [("bob", "b-job (of bob)"), (None, "b-job (not made by jobman)")]
)
def test_other_peoples_jobs(run: Run, world: JobWorld, user: str | None, says: str) -> None:
    world.jobs.put(a_job("mine"))
    world.jobs.put(a_job("b-job", user=user))
    done = run("delete", "mine", "b-job")
    assert (done.code, names(world)) == (4, ["b-job", "mine"])
    assert says in done.talk
    assert "--force" in done.talk
    assert run("delete", "b-job", "--force").code == 0
    assert names(world) == ["mine"]


def test_all_is_all_of_mine(run: Run, world: JobWorld) -> None:
    three(world)
    world.jobs.put(a_job("bobs", user="bob"))
    assert run("delete", "--all", "-y", "--force").code == 0
    assert names(world) == ["bobs"]


def test_what_fails_does_not_keep_the_rest(run: Run, world: JobWorld) -> None:
    three(world)
    denied = {"kind": "Status", "reason": "Forbidden", "message": "not you", "code": 403}
    world.server.script("DELETE", f"{BATCH}/a2", Reply(403, denied))
    done = run("delete", "a1", "nope", "a2", "b")
    assert (done.code, names(world)) == (1, ["a2"])
    assert done.lines == ["a1", "b"]
    assert "error: job nope not found" in done.talk
    assert "not you" in done.talk
    assert "2 of 4 were not deleted" in done.talk
    assert run("delete", "a2").code == 4


def test_a_job_that_somebody_else_deleted_is_deleted(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.server.script("DELETE", f"{BATCH}/a", Reply(404, {"reason": "NotFound", "code": 404}))
    assert run("delete", "a").code == 0


def test_no_rights(run: Run, world: JobWorld) -> None:
    denied = {"kind": "Status", "reason": "Forbidden", "message": "not you", "code": 403}
    for path in (BATCH, f"{BATCH}/a", f"{CORE}/pods"):
        world.server.script("GET", path, Reply(403, denied))
    for args in (["list"], ["details", "a"], ["logs", "a"], ["delete", "a"]):
        done = run(*args)
        assert (done.code, done.out) == (4, "")
        assert "not you" in done.talk
