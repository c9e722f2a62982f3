"""`jobman list`: exact tables with a fixed clock, machine forms, and what it asks for."""

from __future__ import annotations

import csv
import io
import json

import pytest
from plugins.command_line import Run
from plugins.job_world import (
    BATCH,
    CORE,
    LEASES,
    JobWorld,
    a_job,
    a_pod,
    ago,
    creating,
    exited,
    running,
    stuck,
)

HOSTILE = "[/]\x1b[2J\x1b]0;x\x07\u202e" + "\x9b31m"


def fill(world: JobWorld) -> None:
    """Four jobs of alice's, one of bob's, one that jobman did not make."""
    world.jobs.put(
        a_job("old", age_s=90_000, container={"resources": {"limits": {"nvidia.com/gpu": "4"}}})
    )
    world.pods.put(a_pod("old", **exited(3)))
    world.jobs.put(a_job("busy", age_s=610))
    world.pods.put(a_pod("busy", **running()))
    world.jobs.put(a_job("bad", age_s=70))
    world.pods.put(a_pod("bad", **stuck("InvalidImageName", "no such name")))
    world.jobs.put(a_job("held", age_s=30, spec={"suspend": True}))
    world.jobs.put(a_job("bobs", user="bob", age_s=20, spec={"suspend": True}))
    world.jobs.put(a_job("plain", user=None, age_s=10, spec={"suspend": True}))


def test_mine_newest_first(run: Run, world: JobWorld) -> None:
    fill(world)
    assert run("list").lines == [
        "NAME  STATE      REASON            FLAVOR  GPUS  AGE  DURATION",
        "held  Suspended  -                 small      0  30s         -",
        "bad   Stuck      InvalidImageName  small      0  70s         -",
        "busy  Running    -                 small      0  10m     8m20s",
        "old   Failed     Error(exit 3)     small      4  25h       60s",
    ]


def test_a_selector_that_is_none(run: Run, world: JobWorld) -> None:
    done = run("list", "-l", "a=1,==")
    assert (done.code, done.out, world.server.requests) == (2, "", [])
    assert done.talk.startswith("error: --selector: '==' is no condition on a label\nhint: key=")


def test_a_volume_that_cannot_be_mounted(run: Run, world: JobWorld) -> None:
    """Only an event tells; it is asked for of pods that have been starting for long."""
    world.jobs.put(a_job("slow"))
    world.pods.put(a_pod("slow", **creating()))
    assert run("list").lines[1].split()[:3] == ["slow", "Starting", "ContainerCreating"]
    about = {"kind": "Pod", "namespace": "team", "name": "slow-x"}
    event = {"metadata": {"name": "slow-x.1"}, "involvedObject": about, "reason": "FailedMount"}
    world.events.put(event | {"type": "Warning", "firstTimestamp": ago(100)})
    assert run("list").lines[1].split()[:3] == ["slow", "Stuck", "FailedMount"]


def test_everybodys(run: Run, world: JobWorld) -> None:
    fill(world)
    lines = run("list", "--all-users").lines
    assert lines[0].split() == [
        "NAME",
        "USER",
        "STATE",
        "REASON",
        "FLAVOR",
        "GPUS",
        "AGE",
        "DURATION",
    ]
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["plain", "-", "Suspended"],
        ["bobs", "bob", "Suspended"],
        ["held", "alice", "Suspended"],
    ]


def test_wide(run: Run, world: JobWorld) -> None:
    fill(world)
    lines = run("list", "-o", "wide", "busy").lines
    assert lines[0].split()[-2:] == ["NODE", "IMAGE"]
    assert lines[1].split()[-2:] == ["n1", "busybox:1.36"]


def test_the_rows_in_json(run: Run, world: JobWorld) -> None:
    fill(world)
    rows = json.loads(run("list", "-o", "json").out)
    assert [row["name"] for row in rows] == ["held", "bad", "busy", "old"]
    assert list(rows[3].items()) == [
        ("name", "old"),
        ("namespace", "team"),
        ("user", "alice"),
        ("state", "Failed"),
        ("reason", "Error(exit 3)"),
        ("message", ""),
        ("exitCode", 3),
        ("flavor", "small"),
        ("gpus", 4),
        ("image", "busybox:1.36"),
        ("node", "n1"),
        ("submittedAt", "2026-11-20T10:59:59.750000Z"),
        ("startedAt", "2026-11-21T11:51:40Z"),
        ("finishedAt", "2026-11-21T11:52:40Z"),
        ("durationSeconds", 60),
        ("completions", 1),
        ("succeeded", 0),
        ("failed", 1),
        ("active", 0),
        ("running", 0),
    ]


def test_the_other_machine_forms(run: Run, world: JobWorld) -> None:
    import yaml

    fill(world)
    assert run("list", "-o", "name").out == "held\nbad\nbusy\nold\n"
    rows = list(csv.DictReader(io.StringIO(run("list", "-o", "csv").out)))
    assert rows[3]["exitCode"] == "3"
    assert rows[0]["startedAt"] == ""
    assert yaml.safe_load(run("list", "-o", "yaml").out) == json.loads(
        run("list", "-o", "json").out
    )


@pytest.mark.parametrize("form", ["json", "yaml", "name", "csv", "table"])
def test_none(run: Run, form: str) -> None:
    done = run("list", "-o", form)
    assert done.code == 0
    if form == "table":
        assert (done.out, done.talk) == ("", "no jobs of yours in namespace team\n")
    assert form not in ("json", "yaml") or json.loads(done.out) == []


def test_none_that_fit(run: Run) -> None:
    assert run("list", "--since", "1h").talk == "no jobs of yours that fit in namespace team\n"


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (["b*"], "bad busy"),
        (["busy", "old", "busy"], "busy old"),
        (["LAST"], "held"),
        (["LAST", "--all-users"], "held"),
        (["b*", "--all-users"], "bobs bad busy"),
        (["nope"], ""),
        (["bobs"], ""),
        (["--state", "failed"], "old"),
        (["--state", "Stuck,RUNNING", "--state", "failed"], "bad busy old"),
        (["--limit", "1"], "held"),
        (["--limit", "0"], "held bad busy old"),
        (["-l", "jobman/flavor=large"], ""),
    ],
)
def test_which(run: Run, world: JobWorld, args: list[str], names: str) -> None:
    fill(world)
    assert run("list", *args, "-o", "name").out.split() == names.split()


def test_a_limit_says_how_many_more(run: Run, world: JobWorld) -> None:
    fill(world)
    done = run("list", "--limit", "1")
    assert len(done.lines) == 2
    assert done.talk == "and 3 more (--limit 0 shows all)\n"


def test_an_unknown_state(run: Run) -> None:
    done = run("list", "--state", "runing")
    assert done.code == 2
    assert "no state is called 'runing'" in done.talk
    assert "closest: Running" in done.talk


def test_a_table_on_a_terminal_is_cut_to_its_width(run: Run, world: JobWorld) -> None:
    fill(world)
    plain = run("list", terminal=True, columns=55, env={"NO_COLOR": "1"})
    assert "\x1b" not in plain.out
    assert all(len(line) <= 55 for line in plain.lines)
    assert plain.lines[2].split()[:2] == ["bad", "Stuck"]
    assert "…" in plain.lines[2]


def test_a_terminal_shows_fifty(run: Run, world: JobWorld) -> None:
    for number in range(53):
        world.jobs.put(a_job(f"j{number}", spec={"suspend": True}))
    done = run("list", terminal=True)
    assert len(done.lines) == 51
    assert done.talk == "and 3 more (--limit 0 shows all)\n"
    assert len(run("list").lines) == 54
    assert len(json.loads(run("list", "-o", "json", terminal=True).out)) == 53


@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml", "csv"])
@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_text_harms_no_form(run: Run, world: JobWorld, form: str, terminal: bool) -> None:
    job = a_job(
        "evil",
        container={"image": HOSTILE},
        meta={
            "labels": {
                "app.kubernetes.io/managed-by": "jobman",
                "jobman/user": "alice",
                "jobman/flavor": HOSTILE,
            }
        },
    )
    world.jobs.put(job)
    world.pods.put(a_pod("evil", **stuck("InvalidImageName", HOSTILE * 50_000)))
    done = run("list", "-o", form, terminal=terminal, columns=300, env={"NO_COLOR": "1"})
    assert done.code == 0
    dangerous = "\x1b\x07\x9b\u202e" if terminal or form in ("table", "wide", "csv") else "\x1b\x07"
    assert not set(dangerous) & set(done.out)
    assert "[/]" in done.out
    if form in ("table", "wide"):
        assert all(len(line) < 500 for line in done.lines)


def test_what_it_asks_for(run: Run, world: JobWorld) -> None:
    fill(world)
    run("list")
    asked = [(a.method, a.path) for a in world.server.requests]
    assert asked[0] == ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews")
    assert {method for method, _ in asked[1:]} == {"GET"}
    selectors = sorted((a.path, a.query["labelSelector"]) for a in world.server.requests[1:])
    mine = "app.kubernetes.io/managed-by=jobman,jobman/user=alice"
    assert selectors == [
        (f"{CORE}/pods", f"{mine},batch.kubernetes.io/job-name"),
        (f"{CORE}/pods", f"{mine},jobman/run"),
        (BATCH, mine),
        (LEASES, f"{mine},jobman/run"),
    ]


def test_events_are_asked_for_only_when_a_job_has_no_pod(run: Run, world: JobWorld) -> None:
    fill(world)
    world.jobs.put(a_job("refused", age_s=5))
    world.refusal("refused", 'pods "x" is forbidden: exceeded quota')
    (row,) = json.loads(run("list", "refused", "-o", "json").out)
    assert (row["state"], row["reason"]) == ("Stuck", "FailedCreate")
    assert len(world.server.asked("GET", f"{CORE}/events")) == 1


def test_one_name_is_looked_up_by_the_server(run: Run, world: JobWorld) -> None:
    fill(world)
    run("list", "busy")
    (jobs,) = world.server.asked("GET", BATCH)
    assert jobs.query["fieldSelector"] == "metadata.name=busy"


@pytest.mark.parametrize("name", ["-x", "a" * 64, "A B"])
def test_what_can_be_no_label_is_no_job(run: Run, world: JobWorld, name: str) -> None:
    """A server refuses to look for the pods of a job that is called so."""
    fill(world)
    done = run("list", "--", name)
    assert (done.code, done.talk[:7]) == (3, "error: ")
    (pods,) = world.server.asked("GET", f"{CORE}/pods")
    assert name not in pods.query["labelSelector"]


@pytest.mark.parametrize("words", [("list", "--watch"), ("queue", "--watch")], ids=" ".join)
@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ("inf", "'inf' is no duration"),
        ("nan", "'nan' is no duration"),
        ("0", "is too short; at least 0.1s"),
        ("50000d", "is longer than a hundred years"),
    ],
)
def test_how_often_it_is_drawn(run: Run, words: tuple[str, ...], interval: str, said: str) -> None:
    done = run(*words, "--interval", interval)
    assert (done.code, done.out) == (2, "")
    assert done.talk.startswith(f"error: --interval {interval}: ")
    assert said in done.talk


def test_several_completions_are_counted(run: Run, world: JobWorld) -> None:
    world.jobs.put(
        a_job("many", spec={"completions": 10, "parallelism": 2}, status={"succeeded": 3})
    )
    world.pods.put(a_pod("many", **running()))
    assert "3/10 done" in run("list").out


def test_everywhere(run: Run, world: JobWorld) -> None:
    fill(world)
    everywhere = (
        ("/apis/batch/v1/jobs", BATCH),
        ("/api/v1/pods", f"{CORE}/pods"),
        ("/apis/coordination.k8s.io/v1/leases", LEASES),
    )
    for path, here in everywhere:
        world.server.script(
            "GET", path, lambda asked, here=here: world.server._scripts["GET", here][0](asked)
        )
    lines = run("list", "-A").lines
    assert lines[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert lines[1].split()[:2] == ["team", "held"]


def test_who_cancelled(run: Run, world: JobWorld) -> None:
    marks = {"jobman/cancelled-by": "bob at sea", "jobman/cancelled-at": ago(60)}
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    stopped = {"conditions": [failed], "failed": 1, "startTime": ago(90)}
    world.jobs.put(a_job("a", meta={"annotations": marks}, status=stopped))
    (line,) = run("list", "--all-users").lines[1:]
    # of its pods none is there: a cancel leaves those that have begun
    assert "Cancelled  by bob at sea" in line
    assert line.split()[-1] == "-"


def test_no_job_runs_longer_than_it_is_there(run: Run, world: JobWorld) -> None:
    """Kubernetes cuts the start to the second."""
    marks = {"jobman/user": "alice", "jobman/submitted-at": ago(3.25)}
    world.jobs.put(a_job("a", meta={"annotations": marks}))
    world.pods.put(a_pod("a", **running(started=ago(4))))
    (line,) = run("list").lines[1:]
    assert line.split()[-2:] == ["3s", "3s"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["list", "-o", "yml"], "'-o' / '--output': 'yml' is not one of 'table', 'wide',"),
        (["-o", "yml", "list"], "'-o' / '--output': 'yml' is not one of 'table', 'wide',"),
        (["wait", "a", "--for", "over"], "'--for': 'over' is not one of 'started', 'finished',"),
        (["list", "--limit", "-1"], "'--limit': it must be greater than or equal to 0"),
    ],
)
def test_a_value_that_is_none(
    run: Run, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    assert run(*args).code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["busy", "nope", "gone"], 3, "no job of yours in namespace team is called nope or gone"),
        (["bobs"], 3, "no job of yours in namespace team is called bobs"),
        (["bobs", "--all-users"], 0, ""),
        (["nope", "--all-users"], 3, "no job in namespace team is called nope"),
        (["nope", "--state", "failed"], 0, ""),
        (["no*"], 0, ""),
    ],
)
def test_a_name_that_means_nothing(
    run: Run, world: JobWorld, args: list[str], code: int, said: str
) -> None:
    fill(world)
    done = run("list", *args, "-o", "name")
    assert (done.code, said in done.talk) == (code, True), done.talk
