"""`jobman retry`, `clean` and what is said about several jobs, whole, against a scripted server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins.command_line import Run
from plugins.job_world import (
    BATCH,
    CORE,
    LEASES,
    MANAGED,
    JobWorld,
    a_job,
    a_pod,
    ago,
    exited,
    running,
)
from plugins.queue_world import NODES, listed, machine
from plugins.scripted_server import Asked, Reply

JOB_NAME = "batch.kubernetes.io/job-name"
DENIED = Reply(403, {"kind": "Status", "reason": "Forbidden", "message": "not you", "code": 403})
OVER: dict[str, Any] = {
    "conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": ago(430)}],
    "failed": 1,
}


def flavor(name: str, memory: str) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": {"cpu": "1", "memory": memory}}}


@pytest.fixture
def created(world: JobWorld) -> list[dict[str, Any]]:
    """The Jobs that were made."""
    made: list[dict[str, Any]] = []

    def create(asked: Asked) -> Reply:
        made.append(asked.body)
        return Reply(201, asked.body)

    world.server.script("POST", BATCH, create)
    return made


@pytest.fixture
def oom(world: JobWorld, tmp_path: Path) -> list[str]:
    """A job that ran out of memory; the flags that name settings with bigger flavors."""
    resources = {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    world.jobs.put(a_job("train", container={"resources": resources}, status=OVER))
    world.pods.put(a_pod("train", **exited(137, "OOMKilled")))
    flavors = [flavor("huge", "64Gi"), flavor("mid", "1100Mi"), flavor("tiny", "512Mi")]
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"job": {"resources": {"predefined": flavors}}}))
    return ["-s", str(settings)]


def memory(job: dict[str, Any]) -> Any:
    return job["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"]


def test_after_oom_the_next_bigger_flavor_is_named(
    run: Run, oom: list[str], created: list[dict[str, Any]]
) -> None:
    done = run("retry", "train", *oom)
    assert (done.code, done.lines) == (0, ["train-r2"])
    assert "train was OOMKilled with 1Gi; flavor mid has 1100Mi" in done.talk
    assert "hint: jobman retry train -r mid" in done.talk
    assert [memory(job) for job in created] == ["1Gi"]


@pytest.mark.parametrize(("answer", "wanted"), [("y", "1100Mi"), ("n", "1Gi")])
def test_after_oom_a_person_is_asked(
    run: Run, oom: list[str], created: list[dict[str, Any]], answer: str, wanted: str
) -> None:
    done = run("retry", "train", *oom, terminal=True, typed=f"{answer}\n")
    assert "take mid? [y/N] " in done.talk
    assert [memory(job) for job in created] == [wanted]


def test_nobody_is_asked_who_chose(run: Run, oom: list[str], created: list[dict[str, Any]]) -> None:
    done = run("retry", "train", "-r", "huge", *oom, terminal=True)
    assert "OOMKilled" not in done.talk
    assert [memory(job) for job in created] == ["64Gi"]


@pytest.mark.parametrize(
    ("flags", "fixed", "code", "said"),
    [
        (["-r", "huge"], True, 2, "error: "),
        (["-r", "huge", "--force"], True, 0, ""),
        (["--set-resource", "memory=65Gi"], True, 2, "error: "),
        ([], True, 0, ""),
        (["-r", "huge"], False, 0, "warning: "),
    ],
)
def test_what_can_never_fit_is_not_done_over(
    run: Run,
    world: JobWorld,
    oom: list[str],
    created: list[dict[str, Any]],
    flags: list[str],
    fixed: bool,
    code: int,
    said: str,
) -> None:
    settings = json.loads(Path(oom[1]).read_text()) | {"cluster": {"fixedNodes": fixed}}
    Path(oom[1]).write_text(json.dumps(settings))
    small = machine("n1")
    small["status"]["allocatable"] |= {"memory": "32Gi"}
    world.server.script("GET", NODES, listed(small))
    done = run("retry", "train", *oom, *flags, terminal=not fixed)
    assert (done.code, len(created)) == (code, int(code == 0))
    never = "job train: it can never fit: it asks for 6"
    assert (never in done.talk) == bool(said)
    assert f"{said}{never}" in done.talk or not said


def test_nodes_are_read_once_for_all_that_is_done_over(
    run: Run, world: JobWorld, created: list[dict[str, Any]]
) -> None:
    resources = {"requests": {"memory": "1Ti"}}
    for name in ("a", "b"):
        world.jobs.put(a_job(name, container={"resources": resources}, status=OVER))
    world.server.script("GET", NODES, listed(machine("n1")))
    done = run("retry", "a", "b", terminal=True)
    assert (done.code, len(created), done.talk.count("can never fit")) == (0, 2, 2)
    assert len(world.server.asked("GET", NODES)) == 1


def test_retry_of_a_foreign_job(run: Run, world: JobWorld, created: list[dict[str, Any]]) -> None:
    world.jobs.put(a_job("theirs", user=None, status=OVER))
    assert run("retry", "theirs").code == 4
    assert run("retry", "theirs", "--force").lines == ["theirs-r2"]
    (job,) = created
    assert job["metadata"]["annotations"]["jobman/retry-of"] == "theirs"
    assert job["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "jobman"


def test_retry_sweeps_only_with_consent(
    run: Run, world: JobWorld, created: list[dict[str, Any]]
) -> None:
    world.jobs.put(a_job("a", status=OVER))
    assert [run("retry", *args).code for args in (["*"], ["--all"], [])] == [2, 2, 2]
    assert created == []


def test_what_went_wrong_with_each_has_its_hint(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("busy"))
    world.pods.put(a_pod("busy", **running()))
    done = run("hold", "busy", "gone")
    assert done.code == 1
    assert "error: job busy: its pod runs" in done.talk
    assert done.talk.count("hint: --stop saves the logs first") == 1
    assert "error: job gone not found" in done.talk
    assert done.talk.endswith("error: 2 of 2 were not held\n")
    assert run("hold", "gone", "gone2").code == 3


@pytest.fixture
def two_pods(world: JobWorld) -> list[Asked]:
    """Job `busy` of two running pods, whose logs end when it is suspended; those requests."""
    suspended = threading.Event()
    asked_to: list[Asked] = []
    world.jobs.put(a_job("busy"))

    def suspend(asked: Asked) -> Reply:
        asked_to.append(asked)
        for name in ("busy-0", "busy-1"):
            world.pods.remove(name)
        suspended.set()
        return Reply(200, world.jobs.objects["busy"])

    def follow(_: Asked) -> Reply:
        def chunks() -> Iterator[bytes]:
            yield b"2026-11-21T11:52:01.1Z first\n"
            suspended.wait(60)
            yield b"2026-11-21T11:52:02.1Z last\n"

        return Reply(200, headers={"Content-Type": "text/plain"}, chunks=chunks())

    world.server.script("PATCH", f"{BATCH}/busy", suspend)
    for name in ("busy-0", "busy-1"):
        world.pods.put(a_pod("busy", name, **running()))
        world.log(name, Reply(200, b"2026-11-21T11:52:01.1Z first\n"), follow)
    return asked_to


def test_a_log_that_cannot_get_its_name_is_kept(
    run: Run, world: JobWorld, two_pods: list[Asked]
) -> None:
    """Its pod is gone by then: what was read is all that there is."""
    Path("logs/busy-0.log").mkdir(parents=True)
    done = run("hold", "busy", "--stop", "--save", "logs")
    assert (done.code, done.lines, len(two_pods)) == (1, [], 1)
    assert Path("logs/busy-1.log").read_text() == "first\nlast\n"
    (kept,) = (path for path in Path("logs").iterdir() if path.name.startswith("."))
    assert kept.read_text() == "first\nlast\n"
    (told,) = (line for line in done.talk.splitlines() if "busy-0.log cannot be written" in line)
    assert "Is a directory; what was read of it is in" in told
    assert told.endswith(kept.name)
    assert "busy is stopped and held, but its logs are incomplete" in done.talk


def test_a_job_that_is_not_stopped_leaves_no_files(
    run: Run, world: JobWorld, two_pods: list[Asked]
) -> None:
    world.server.script("PATCH", f"{BATCH}/busy", DENIED)
    assert run("hold", "busy", "--stop", "--save", "logs").code == 4
    assert not [*Path("logs").iterdir()]


def test_stopped_with_all_logs(run: Run, world: JobWorld, two_pods: list[Asked]) -> None:
    done = run("hold", "busy", "--stop", "--save", "logs")
    assert (done.code, done.lines) == (0, ["busy stopped and held"])
    assert sorted(path.name for path in Path("logs").iterdir()) == ["busy-0.log", "busy-1.log"]


def test_a_sweep_leaves_out_what_it_does_not_fit(
    run: Run, world: JobWorld, created: list[dict[str, Any]]
) -> None:
    good = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1}
    world.jobs.put(a_job("bad", status=OVER))
    world.jobs.put(a_job("good", status=good))
    assert run("retry", "--all", "--failed", "-y").lines == ["bad-r2"]
    assert run("retry", "good", "b*", "--failed", "-y").code == 1
    done = run("hold", "*", "-y")
    assert (done.code, done.lines) == (0, [])
    assert "no job was held: job " in done.talk
    assert "there is nothing to hold; 1 more like it" in done.talk


class Left:
    """What lies about in the namespace beside jobs and pods."""

    def __init__(self, world: JobWorld) -> None:
        self.deleted: list[str] = []
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self._world = world
        for path in (f"{CORE}/configmaps", f"{CORE}/secrets", LEASES):
            self.lists[path] = []
            world.server.script("GET", path, self._list(path))

    def _list(self, path: str) -> Any:
        body = {"kind": "List", "metadata": {"resourceVersion": "1"}}
        return lambda _: Reply(200, body | {"items": self.lists[path]})

    def put(self, kind: str, name: str, *, age_s: float = 3600, **meta: Any) -> None:
        own = MANAGED | {"jobman/user": "alice"} | meta.pop("labels", {})
        path = f"{CORE}/{kind}"
        found = {"name": name, "uid": f"uid-{name}", "labels": own, "creationTimestamp": ago(age_s)}
        self.lists[path].append({"metadata": found | {"namespace": "team"} | meta})
        self._world.server.script("DELETE", f"{path}/{name}", self._gone(name))

    def _gone(self, name: str) -> Any:
        def reply(_: Asked) -> Reply:
            self.deleted.append(name)
            return Reply(200, {"kind": "Status", "status": "Success"})

        return reply

    def lease(self, run: str, renewed_s: float) -> None:
        meta = {"name": f"jobman-map-{run}", "labels": MANAGED | {"jobman/run": run}}
        spec = {"holderIdentity": "h/1", "renewTime": ago(renewed_s + 0.5)}
        self.lists[LEASES].append({"metadata": meta, "spec": spec})


@pytest.fixture
def left(world: JobWorld) -> Left:
    return Left(world)


GONE = {JOB_NAME: "gone"}
OWNED = [{"kind": "Pod", "name": "p", "uid": "u", "apiVersion": "v1"}]


@pytest.mark.parametrize(
    ("meta", "goes"),
    [
        ({"labels": GONE}, True),
        ({"labels": GONE, "age_s": 60}, False),
        ({"labels": GONE, "ownerReferences": OWNED}, False),
        ({"labels": GONE, "deletionTimestamp": ago(5)}, False),
        ({"labels": GONE, "annotations": {"jobman/user": "bob"}}, False),
        ({"labels": {JOB_NAME: "stays"}}, False),
        ({"labels": {JOB_NAME: "over"}}, True),
        ({}, False),
        ({"labels": {"jobman/run": "dead"}}, True),
        ({"labels": {"jobman/run": "held"}}, False),
        ({"labels": {"jobman/run": "quiet"}}, True),
        ({"labels": {"jobman/run": "has-pods"}}, False),
    ],
    ids=[
        "job-gone", "young", "owned", "leaving", "of-another", "job-stays", "job-goes",
        "says-nothing", "run-gone", "run-held", "run-quiet", "run-with-pods",
    ],
)  # fmt: skip
def test_what_clean_takes(
    run: Run, world: JobWorld, left: Left, meta: dict[str, Any], goes: bool
) -> None:
    world.jobs.put(a_job("stays"))
    world.jobs.put(a_job("over", status=OVER))
    world.pods.put(a_pod("over", **exited(1)))
    bare = a_pod("no-job", "of-a-map", phase="Succeeded")
    bare["metadata"] |= {"ownerReferences": [], "labels": MANAGED | {"jobman/user": "alice"}}
    bare["metadata"]["labels"] |= {"jobman/run": "has-pods"}
    world.pods.put(bare)
    left.lease("held", 100)
    left.lease("quiet", 100_000)
    left.put("configmaps", "thing", **meta)
    done = run("clean", "-y")
    assert done.code == 0, done.talk
    assert done.lines == ["job/over"] + ["configmap/thing"] * goes
    assert left.deleted == ["thing"] * goes
    assert {*world.jobs.objects} == {"stays"}
    assert "of-a-map" in world.pods.objects


@pytest.mark.parametrize(("status", "goes"), [(exited(0), True), (running(), False)])
def test_pods_whose_job_went_without_them(
    run: Run, world: JobWorld, left: Left, status: dict[str, Any], goes: bool
) -> None:
    orphan = a_pod("gone", age_s=3600, **status)
    del orphan["metadata"]["ownerReferences"]
    world.pods.put(orphan)
    done = run("clean", "-y")
    assert done.lines == ["pod/gone-x"] * goes
    assert ("nothing to clean" in done.talk) is not goes


def test_clean_looks_where_it_may(run: Run, world: JobWorld, left: Left) -> None:
    world.jobs.put(a_job("over", status=OVER))
    left.put("configmaps", "thing", labels=GONE)
    world.server.script("GET", f"{CORE}/secrets", DENIED)
    done = run("clean", "-y")
    assert done.lines == ["job/over", "configmap/thing"]
    assert "warning: no right to list secrets: not looked at" in done.talk


def test_clean_takes_the_leases_of_runs_that_nobody_carries_out(
    run: Run, world: JobWorld, left: Left
) -> None:
    """Such a run is its log directory; the lease only says how far it has come."""
    bare = a_pod("no-job", "of-a-map", phase="Succeeded")
    bare["metadata"] |= {"ownerReferences": [], "labels": MANAGED | {"jobman/run": "has-pods"}}
    world.pods.put(bare)
    for name in ("held", "quiet", "left", "has-pods"):
        left.lease(name, 100_000 if name == "quiet" else 100)
        left.lists[LEASES][-1]["metadata"] |= {"creationTimestamp": ago(200_000), "uid": "u"}
        if name in ("left", "has-pods"):
            left.lists[LEASES][-1]["spec"]["holderIdentity"] = ""
        path = f"{LEASES}/jobman-map-{name}"
        world.server.script("DELETE", path, Reply(200, {"kind": "Status"}))
    done = run("clean", "-y")
    assert sorted(done.lines) == ["lease/jobman-map-left", "lease/jobman-map-quiet"]


def test_clean_without_leases_takes_jobs_alone(run: Run, world: JobWorld, left: Left) -> None:
    world.jobs.put(a_job("over", status=OVER))
    left.put("configmaps", "thing", labels=GONE)
    world.server.script("GET", LEASES, DENIED)
    assert run("clean", "-y").lines == ["job/over"]


def test_clean_does_the_rest(run: Run, world: JobWorld, left: Left) -> None:
    world.jobs.put(a_job("a", status=OVER))
    world.jobs.put(a_job("b", status=OVER))
    world.server.script("DELETE", f"{BATCH}/a", DENIED)
    done = run("clean", "a", "b", "nope", "-y")
    assert (done.code, done.lines) == (1, ["job/b"])
    assert "2 of 3 were not deleted; the other was" in done.talk


@pytest.mark.parametrize(("answer", "left_over"), [("y", set()), ("n", {"a"})])
def test_clean_asks(
    run: Run, world: JobWorld, left: Left, answer: str, left_over: set[str]
) -> None:
    world.jobs.put(a_job("a", status=OVER))
    done = run("clean", terminal=True, typed=f"{answer}\n")
    assert "1 Job: a\ndelete all this? [y/N] " in done.talk
    assert {*world.jobs.objects} == left_over
