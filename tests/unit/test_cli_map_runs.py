"""Runs of `jobman map` where they are named: mine and others', from everywhere, by directory."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plugins.command_line import Run
from plugins.job_world import LEASES, MANAGED, JobWorld, a_job, a_pod, ago, running
from plugins.scripted_server import Reply

from jobman.cli import map_retry
from jobman.cli.context import GlobalOptions
from jobman.map.detached import MAP
from jobman.map.ledger import Ledger, RunFile, Source, Totals
from jobman.map.outcome import Outcome
from jobman.map.record import Record

RUN = "bcdfghjk"
NAME = f"map-{RUN}"
PODS = "/api/v1/namespaces/team/pods"


def lease(
    user: str = "alice", run: str = RUN, logs: str = "elsewhere:/logs", **counts: int
) -> dict[str, Any]:
    record = Record(items=9, logs=logs, **counts).annotation
    meta = {
        "name": f"jobman-map-{run}",
        "creationTimestamp": ago(600),
        "labels": MANAGED | {"jobman/run": run, "jobman/user": user},
        "annotations": {"jobman/user": user} | record,
    }
    return {"metadata": meta, "spec": {"holderIdentity": "", "renewTime": ago(60.5)}}


def pod(user: str = "alice") -> dict[str, Any]:
    meta = {
        "name": "item-3",
        "creationTimestamp": ago(500),
        "labels": MANAGED | {"jobman/run": RUN, "jobman/user": user},
        "annotations": {
            "jobman/user": user,
            "jobman/item": "3",
            "jobman/submission": f"{RUN}-3-2",
        },
    }
    spec = {"containers": [{"name": "main", "image": "busybox"}]}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Pending"}}


@pytest.mark.parametrize(
    "words", [("cancel", NAME), ("delete", "-y", NAME), ("map", "cancel", RUN)]
)
def test_that_of_another_is_left_alone(run: Run, world: JobWorld, words: tuple[str, ...]) -> None:
    world.leases.put(lease("bob"))
    world.pods.put(pod("bob"))
    done = run(*words)
    assert (done.code, "bob" in done.talk, "--force" in done.talk) == (4, True, True)
    assert list(world.pods.objects) == ["item-3"]


def test_that_of_another_when_it_is_meant(run: Run, world: JobWorld) -> None:
    world.leases.put(lease("bob"))
    world.pods.put(pod("bob"))
    assert run("delete", "--force", "-y", NAME).lines == [NAME]
    assert not world.pods.objects
    assert not world.leases.objects


@pytest.mark.parametrize("words", [("map-*",), ("--all",), ("*bcd*", NAME)])
def test_globs_and_all_mean_runs_of_mine(run: Run, world: JobWorld, words: tuple[str, ...]) -> None:
    world.leases.put(lease())
    world.leases.put(lease("bob", "zzzzzzzz"))
    world.pods.put(pod())
    assert run("details", *words, "-o", "json").code == 0
    done = run("cancel", "-y", *words)
    assert done.lines == [f"{NAME} cancelled; 1 of its pods deleted"]
    assert run("delete", "-y", *words).lines == [NAME]
    assert list(world.leases.objects) == ["jobman-map-zzzzzzzz"]
    assert run("delete", "-y", *words).code == 3


@pytest.mark.parametrize(("words", "pods"), [(("cancel", NAME), 1), (("map", "cancel", RUN), 0)])
def test_one_without_a_runner_is_cancelled_everywhere(
    run: Run, world: JobWorld, words: tuple[str, ...], pods: int
) -> None:
    there = lease(succeeded=3)
    world.leases.put(there)
    for _ in range(pods):
        world.pods.put(pod())

    def mark(asked: Any) -> Reply:
        meta = there["metadata"]
        notes = meta["annotations"] | asked.body["metadata"]["annotations"]
        return Reply(200, world.leases.put(there | {"metadata": meta | {"annotations": notes}}))

    world.server.script("PATCH", f"{LEASES}/jobman-map-{RUN}", mark)
    assert run(*words).code == 0
    assert not world.pods.objects
    (row,) = json.loads(run("list", "-o", "json").out)
    assert (row["state"], row["reason"]) == ("Cancelled", "")
    details = run("details", NAME).out
    assert "State:     Cancelled" in details
    assert "Runner:    none\n" in details
    waited = run("wait", NAME)
    assert (waited.code, "Cancelled: 3 succeeded, 6 not done" in waited.talk) == (1, True)
    again = run(*words)
    assert (again.code, "over already" in again.out + again.talk) == (0, True)


@pytest.mark.parametrize("words", [("cancel", NAME), ("map", "cancel", RUN)])
def test_one_that_has_succeeded_is_not_cancelled(
    run: Run, world: JobWorld, words: tuple[str, ...]
) -> None:
    world.leases.put(lease(succeeded=9))
    done = run(*words)
    assert (done.code, "over already" in done.out + done.talk) == (0, True)
    assert run("map", "status", RUN).lines[1] == "state: Succeeded"


def test_what_is_done_to_jobs_alone(run: Run, world: JobWorld) -> None:
    world.leases.put(lease())
    assert run("hold", "-y", "map-*").code == 3
    assert "this is not done to it" in run("hold", "-y", NAME).talk
    assert run("delete", "-y", "--all", "--finished").code == 3
    assert list(world.leases.objects) == [f"jobman-map-{RUN}"]


def held(**counts: int) -> dict[str, Any]:
    """By a runner on another host that gave a sign of life just now."""
    alive = {"holderIdentity": "elsewhere/boot/1/2.3", "renewTime": ago(1.5)}
    return lease(**counts) | {"spec": alive}


@pytest.mark.parametrize(
    ("left", "goes", "words", "code", "lines", "talk"),
    [
        (lease(succeeded=9), False, (), 0, [NAME], ""),
        (lease(succeeded=9), True, (), 0, [NAME], ""),
        (lease(succeeded=8, failed=1), False, (), 1, [NAME], "Failed: 8 succeeded, 1 failed"),
        (lease(succeeded=8, failed=1), False, ("--for", "succeeded"), 1, [], "Failed: 8"),
        (lease(succeeded=8), False, (), 1, [], "Suspended: 8 succeeded, 1 not done"),
    ],
)
def test_it_is_waited_for(
    run: Run,
    world: JobWorld,
    left: dict[str, Any],
    goes: bool,
    words: tuple[str, ...],
    code: int,
    lines: list[str],
    talk: str,
) -> None:
    world.leases.put(held(succeeded=1))

    def watch(asked: Any) -> Reply:
        if asked.query.get("watch") == "true":
            world.leases.put(left)
            if goes:
                world.leases.remove(left["metadata"]["name"])
        return reply(asked)

    reply = world.leases._collection
    world.server.script("GET", LEASES, watch)
    done = run("wait", NAME, *words)
    assert (done.code, done.lines) == (code, lines)
    assert talk in done.talk


def test_waiting_for_one(run: Run, world: JobWorld) -> None:
    world.leases.put(held())
    assert run("wait", NAME, "--timeout", "1s").code == 124
    world.leases.put(lease(succeeded=2))
    assert run("wait", NAME).code == 1


def started() -> dict[str, Any]:
    """The pod, which has begun to run."""
    return pod() | {"status": running()}


@pytest.mark.parametrize(
    ("goes_on", "becomes", "code", "lines"),
    [
        (held(), started(), 0, [NAME]),
        (lease(), started(), 0, [NAME]),
        (held(succeeded=1), None, 0, [NAME]),
        (lease(), None, 1, []),
    ],
    ids=["begins", "begins without a runner", "has begun before", "never begins"],
)
def test_waiting_for_the_start(
    run: Run,
    world: JobWorld,
    goes_on: dict[str, Any],
    becomes: dict[str, Any] | None,
    code: int,
    lines: list[str],
) -> None:
    world.leases.put(goes_on)
    if becomes is not None:
        world.pods.put(pod())

    def watch(asked: Any) -> Reply:
        if asked.query.get("watch") == "true" and becomes is not None:
            world.pods.put(becomes)
        return reply(asked)

    reply = world.pods._collection
    world.server.script("GET", PODS, watch)
    done = run("wait", NAME, "--for", "started")
    assert (done.code, done.lines) == (code, lines)
    assert ("Suspended" in done.talk) == (code == 1)


def test_a_start_that_does_not_come_in_time(run: Run, world: JobWorld) -> None:
    world.leases.put(held())
    done = run("wait", NAME, "--for", "started", "--timeout", "0.5s")
    assert (done.code, "has not started" in done.talk) == (124, True)


@pytest.mark.parametrize(
    ("end", "code", "lines"),
    [({"succeeded": 9}, 0, [NAME]), ({"succeeded": 8, "failed": 1}, 1, [NAME]), ({}, 124, [])],
)
def test_waiting_for_any_among_jobs(
    run: Run, world: JobWorld, end: dict[str, int], code: int, lines: list[str]
) -> None:
    """A job that goes on does not hold up a run that is over, however that ended."""
    world.jobs.put(a_job("train"))
    world.pods.put(a_pod("train", **running()))
    world.leases.put(lease(**end) if end else held())
    done = run("wait", "train", NAME, "--any", "--timeout", "1s")
    assert (done.code, done.lines) == (code, lines)


def begun_at(seconds_ago: float, **counts: int) -> dict[str, Any]:
    """A run whose runner began so long ago."""
    found = lease(**counts)
    return found | {"spec": found["spec"] | {"acquireTime": ago(seconds_ago)}}


@pytest.mark.parametrize(("age_s", "expected"), [(300.5, "train"), (10.5, NAME)])
def test_the_last_one(run: Run, world: JobWorld, age_s: float, expected: str) -> None:
    """LAST is what was begun last, whether a job or a run."""
    world.jobs.put(a_job("train", age_s=100))
    world.pods.put(a_pod("train"))
    world.leases.put(begun_at(age_s))
    world.leases.put(begun_at(1.5) | {"metadata": lease("bob", "zzzzzzzz")["metadata"]})
    assert run("list", "LAST", "-o", "name").lines == [expected]
    assert expected in run("details", "LAST").out
    assert ("no job" in run("hold", "-y", "LAST").talk) == (expected == NAME)


def test_the_last_one_where_there_is_no_job(run: Run, world: JobWorld) -> None:
    assert run("details", "LAST").code == 3
    assert run("list", "LAST", "-o", "name").lines == []
    world.leases.put(begun_at(10.5))
    assert run("list", "LAST", "-o", "name").lines == [NAME]
    assert run("delete", "-y", "LAST").lines == [NAME]


@pytest.mark.parametrize(("age_s", "expected"), [(300.5, "zzzzzzzz"), (10.5, RUN)])
def test_the_last_run(run: Run, world: JobWorld, age_s: float, expected: str) -> None:
    """Whoever carries it out, and whatever jobs were submitted since."""
    nothing = run("map", "status", "LAST")
    assert (nothing.code, "nothing of a run of yours" in nothing.talk) == (3, True)
    carrier = a_job("map-zzzzzzzz", age_s=100)
    carrier["metadata"]["labels"] |= {MAP: "runner"}
    world.jobs.put(carrier)
    world.jobs.put(a_job("train", age_s=1))
    world.leases.put(begun_at(age_s, succeeded=9))
    assert json.loads(run("map", "status", "LAST", "-o", "json").out)["run"] == expected
    assert (run("map", "logs", "LAST").code == 2) == (expected == RUN)
    if expected == RUN:
        assert run("map", "cancel", "LAST").lines == [RUN]


def test_its_pods_are_its_tasks(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("train", age_s=100))
    world.pods.put(a_pod("train"))
    world.leases.put(lease())
    world.pods.put(started())
    first, second = json.loads(run("list", "--tasks", "-o", "json").out)
    assert (first["job"], first["index"]) == ("train", None)
    assert (second["job"], second["index"], second["pod"]) == (NAME, 3, "item-3")
    assert (second["state"], second["attempts"]) == ("Running", 2)
    assert run("list", "--tasks", "--state", "failed").lines == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((NAME,), 1, "elsewhere:/logs"),
        ((NAME, "-r", "large-gpu"), 2, "as it was"),
        ((NAME, "train"), 2, "by itself"),
    ],
)
def test_what_keeps_it_from_being_done_over(
    run: Run, world: JobWorld, words: tuple[str, ...], code: int, told: str
) -> None:
    world.jobs.put(a_job("train"))
    world.leases.put(lease(failed=1))
    done = run("retry", *words)
    assert (done.code, told in done.talk) == (code, True)


WORDS = ["jobman", "-s", "/tmp/settings.json", "map", "--retry-failed", "-b", "{a,b}"]


def begun(directory: Path, run: str = RUN, words: list[str] = WORDS) -> Path:
    """The run.json of a run that was begun in `directory`."""
    source = Source(count=2, items="", template="", namespace="team")
    file = RunFile(run=run, source=source, retry=words, directory="/gone")
    directory.mkdir()
    return Ledger.open(directory, file).directory / "run.json"


@pytest.mark.parametrize(
    ("make", "host", "told"),
    [
        (begun, socket.gethostname(), "error: /gone: No such file"),
        (begun, "elsewhere", "in its log directory there (elsewhere:"),
        (begun, "", "not of this host"),
        (lambda place: begun(place).chmod(0o666), socket.gethostname(), "can be written by others"),
        (lambda place: begun(place).parent.chmod(0o777), socket.gethostname(), "of your own"),
        (lambda place: begun(place, "another"), socket.gethostname(), "its items are in its log"),
        (
            lambda place: begun(place, words=["jobman", "--context", "map", "list"]),
            socket.gethostname(),
            "its items are in its log",
        ),
        (lambda place: begun(place, words=[]), socket.gethostname(), "its items are in its log"),
        (lambda place: None, socket.gethostname(), "its items are in its log"),
    ],
)
def test_whose_command_is_carried_out_again(
    run: Run,
    world: JobWorld,
    make: Callable[[Path], Any],
    host: str,
    told: str,
    tmp_path: Path,
) -> None:
    """A Lease names the place: anybody who may write one could name a command of theirs."""
    place = tmp_path / "logs of the run"
    make(place)
    world.leases.put(lease(logs=f"{host}:{place}"))
    done = run("retry", NAME)
    assert (done.code, told in done.talk) == (1, True), done.talk


@pytest.mark.parametrize(
    ("options", "by_default", "began", "words"),
    [
        (GlobalOptions(), False, [], []),
        (GlobalOptions(), True, [], ["--local"]),
        (GlobalOptions(local=True), False, [], ["--local"]),
        (GlobalOptions(local=True), False, ["--local"], []),
        (GlobalOptions(context="x"), False, [], ["--context", "x"]),
    ],
)
def test_it_is_done_over_on_the_same_cluster_without_saying_so_twice(
    options: GlobalOptions, by_default: bool, began: list[str], words: list[str]
) -> None:
    connection = SimpleNamespace(by_default=by_default)
    client = SimpleNamespace(connection=connection)
    app: Any = SimpleNamespace(options=options, client=client)
    assert map_retry._globals(app, ["jobman", *began, "map", "-b", "{1..3}", "x"]) == words


@pytest.mark.parametrize("directory", ["", "logs", "/a\0b"])
def test_a_place_that_makes_no_sense(run: Run, world: JobWorld, directory: str) -> None:
    world.leases.put(lease(logs=f"{socket.gethostname()}:{directory}"))
    done = run("retry", NAME)
    assert (done.code, "not of this host" in done.talk) == (1, True), done.talk


def test_one_without_pods_is_listed(run: Run, world: JobWorld) -> None:
    world.leases.put(lease(succeeded=5, failed=1))
    world.leases.put(lease("bob", "zzzzzzzz"))
    (row,) = json.loads(run("list", "-o", "json").out)
    assert (row["name"], row["state"], row["reason"]) == (NAME, "Suspended", "NoRunner")
    assert "5/9 done, 1 failed" in run("list").out
    everybody = json.loads(run("list", "--all-users", "-o", "json").out)
    assert {row["user"] for row in everybody} == {"alice", "bob"}
    assert run("list", "-l", "x=y", "-o", "name").lines == []


def test_everywhere(run: Run, world: JobWorld) -> None:
    world.leases.put(lease(succeeded=9))
    nothing = Reply(200, {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})
    world.server.script("GET", "/apis/batch/v1/jobs", nothing)
    world.server.script("GET", "/api/v1/pods", nothing)
    path = "/apis/coordination.k8s.io/v1/leases"
    world.server.script(
        "GET", path, Reply(200, nothing.body | {"items": [*world.leases.objects.values()]})
    )
    (row,) = json.loads(run("list", "-A", "-o", "json").out)
    assert (row["namespace"], row["name"], row["state"]) == ("team", NAME, "Succeeded")


def test_its_status(run: Run, world: JobWorld) -> None:
    world.leases.put(lease(succeeded=5, failed=1))
    world.pods.put(pod())
    assert run("map", "status", RUN).lines == [
        f"run: {RUN} in namespace team",
        "state: Pending",
        "runner: none",
        "items: 9: 5 succeeded, 1 failed, 3 not done",
        "pods: 1 Pending",
        "logs: elsewhere:/logs",
    ]
    told = json.loads(run("map", "status", NAME, "-o", "json").out)
    assert (told["items"], told["left"], told["pods"]) == (9, 3, {"Pending": 1})
    said = run("map", "logs", RUN)
    assert (said.code, "elsewhere:/logs" in said.talk) == (2, True)
    assert run("map", "status", "zzzzzzzz").code == 3


@pytest.fixture
def directory(run: Run) -> Path:
    """Where one of three items succeeded, one failed, and one was not done."""
    place = Path.cwd() / "logs"
    file = RunFile(run=RUN, source=Source(3, "i", "t", "team"), command=["jobman", "map"])
    ledger = Ledger.open(place, file)
    ledger.take_up(file)
    for index, succeeded in ((0, True), (1, False)):
        ledger.partial(index, 1).write_text("words\n")
        outcome = Outcome(index=index, name=f"p-{index}", succeeded=succeeded)
        ledger.keep(outcome, ledger.partial(index, 1))
    ledger.write(Totals(3, 1, 0))
    ledger.close()
    return place


def test_the_status_of_a_directory(run: Run, world: JobWorld, directory: Path) -> None:
    """The logs count, not what run.json said half a minute ago."""
    told = json.loads(run("map", "status", "logs", "-o", "json").out)
    assert (told["state"], told["items"], told["succeeded"], told["left"]) == ("Suspended", 3, 1, 1)
    assert told["command"] == ["jobman", "map"]
    world.pods.put(pod())
    assert run("map", "status", str(directory)).lines[1] == "state: Pending"


def test_the_status_of_a_directory_without_a_cluster(
    run: Run, world: JobWorld, directory: Path
) -> None:
    refusal = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "not you"}
    world.server.script("GET", LEASES, Reply(403, refusal))
    world.server.script("GET", PODS, Reply(403, refusal))
    done = run("map", "status", "logs")
    assert done.code == 0
    assert "items: 3: 1 succeeded, 1 failed, 1 not done" in done.lines
    assert "only the log directory is known" in done.talk


@pytest.mark.parametrize("word", ["status", "logs", "cancel"])
def test_a_directory_without_a_run(run: Run, word: str) -> None:
    done = run("map", word, "./nothing")
    assert (done.code, "holds no run" in done.talk) == (3, True)


def test_a_run_handed_to_a_cluster(run: Run, world: JobWorld) -> None:
    """Its ConfigMaps are there before its Job, whose pod needs them, and go when the Job goes."""
    maps: dict[str, dict[str, Any]] = {}
    path, jobs = "/api/v1/namespaces/team/configmaps", "/apis/batch/v1/namespaces/team/jobs"

    def create(asked: Any) -> Reply:
        assert not world.server.asked("POST", jobs)
        maps[asked.body["metadata"]["name"]] = asked.body
        return Reply(201, asked.body)

    def listed(_: Any) -> Reply:
        return Reply(200, {"kind": "List", "metadata": {}, "items": [*maps.values()]})

    def submitted(asked: Any) -> Reply:
        meta = asked.body["metadata"] | {"uid": "of the job"}
        for name in maps:
            world.server.script("PATCH", f"{path}/{name}", Reply(200, {}))
        return Reply(201, asked.body | {"metadata": meta})

    world.server.script("POST", path, create)
    world.server.script("GET", path, listed)
    world.server.script("POST", jobs, submitted)
    Path("site.json").write_text('{"map": {"image": "jobman:1", "claim": "logs"}}')
    words = ("map", "-b", "{a,b}", "--detach", "--image", "busybox", "--", "echo", "{{.Item}}")
    assert "the settings lack map.image, map.claim" in run(*words).talk
    done = run("-s", "site.json", *words)
    (name,) = done.lines
    assert sorted(maps) == [f"map-{name}-0", f"map-{name}-1"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": f"map-{name}", "uid": "of the job"}
    for each in maps:
        (patch,) = world.server.asked("PATCH", f"{path}/{each}")
        assert patch.body == {"metadata": {"ownerReferences": [owner]}}


def test_one_that_a_job_carries_out(run: Run, world: JobWorld) -> None:
    """Its row is the Job's, and counts its items; its tasks are the runner and its pods."""
    owner = {"kind": "Job", "name": NAME, "uid": f"uid-{NAME}"}
    owned = {"ownerReferences": [owner]}
    world.jobs.put(a_job(NAME, age_s=100, meta={"name": NAME}))
    world.pods.put(a_pod(NAME, **running()))
    of_item, of_run = started(), lease(succeeded=5, failed=1)
    world.pods.put(of_item | {"metadata": of_item["metadata"] | owned})
    world.leases.put(of_run | {"metadata": of_run["metadata"] | owned})
    for word in ("LAST", NAME, "map-*"):
        assert run("list", word, "-o", "name").lines == [NAME]
        (row,) = json.loads(run("list", word, "-o", "json").out)
        assert (row["state"], row["completions"], row["succeeded"]) == ("Running", 9, 5)
        assert (row["failed"], row["active"], row["running"]) == (1, 1, 1)
    tasks = json.loads(run("list", "--tasks", "-o", "json").out)
    assert [(task["job"], task["index"]) for task in tasks] == [(NAME, None), (NAME, 3)]
