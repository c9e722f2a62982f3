"""Cancelling, against a server that keeps what it is told: in which order, and to which end."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from plugins.job_world import BATCH, CORE, NOW, JobWorld, a_job, a_pod, creating, exited, running
from plugins.scripted_server import Asked, Reply

from jobman.jobs.cancel import cancel
from jobman.kube.client import Client
from jobman.kube.resources import JOBS

INDEX = "batch.kubernetes.io/job-completion-index"
REFUSED = {"kind": "Status", "reason": "Invalid", "message": "field is immutable", "code": 422}


@pytest.fixture
def patched(world: JobWorld) -> list[dict[str, Any]]:
    """The specs that were written: the Job's, and `{"pod": NAME}` of each pod, which then ends."""
    return []


def an_array(
    world: JobWorld,
    patched: list[dict[str, Any]],
    *pods: dict[str, Any],
    elastic: bool = True,
    **spec: Any,
) -> None:
    """`a`, of which these statuses are the pods'."""
    usual = {"completions": 9, "parallelism": 3, "completionMode": "Indexed"}
    world.jobs.put(a_job("a", spec=usual | {"backoffLimitPerIndex": 0} | spec))

    def change_job(asked: Asked) -> Reply:
        change = asked.body.get("spec", {})
        if "completions" in change and not elastic:
            return Reply(422, REFUSED)
        patched.append(change)
        job = world.jobs.objects["a"]
        notes = job["metadata"]["annotations"] | asked.body["metadata"].get("annotations", {})
        meta = job["metadata"] | {"annotations": notes}
        world.jobs.update("a", metadata=meta, spec=job["spec"] | change)
        return Reply(200, world.jobs.objects["a"])

    def end_pod(asked: Asked) -> Reply:
        name = asked.path.rpartition("/")[2]
        assert asked.body["spec"] == {"activeDeadlineSeconds": 1}
        patched.append({"pod": name})
        world.pods.update(name, status=exited(143))
        return Reply(200, world.pods.objects[name])

    world.server.script("PATCH", f"{BATCH}/a", change_job)
    for index, status in enumerate(pods):
        pod = a_pod("a", f"a-{index}", **status)
        pod["metadata"]["annotations"] = {INDEX: str(index)}
        world.pods.put(pod)
        world.server.script("PATCH", f"{CORE}/pods/a-{index}", end_pod)


def cancelled(client: Client) -> str:
    return cancel(client, client.get(JOBS, "a"), user="alice", now=NOW)


def notes(world: JobWorld) -> dict[str, str]:
    return dict(world.jobs.objects["a"]["metadata"]["annotations"])


def test_an_array_is_cut_before_a_pod_is_ended(
    client: Client, world: JobWorld, patched: list[dict[str, Any]]
) -> None:
    an_array(world, patched, exited(0), running(), running(), creating())
    assert cancelled(client) == "cancelled"
    assert patched[0] == {"completions": 3, "parallelism": 3}
    assert {step["pod"] for step in patched if "pod" in step} == {"a-1", "a-2"}
    assert patched[-1] == {"activeDeadlineSeconds": 1, "parallelism": 3}
    assert notes(world)["jobman/array"] == "9%3"
    assert notes(world)["jobman/cancelled-by"] == "alice"


def test_a_cluster_whose_arrays_have_a_fixed_size(
    client: Client, world: JobWorld, patched: list[dict[str, Any]]
) -> None:
    an_array(world, patched, running(), running(), elastic=False)
    assert cancelled(client) == "cancelled"
    assert not any("completions" in step for step in patched)
    assert {step["pod"] for step in patched if "pod" in step} == {"a-0", "a-1"}
    assert patched[-1] == {"activeDeadlineSeconds": 1, "parallelism": 3}
    assert "jobman/array" not in notes(world)
    assert "jobman/cancelled-at" in notes(world)


@pytest.mark.parametrize(
    ("pods", "spec"),
    [
        pytest.param([creating(), creating()], {}, id="nothing has begun"),
        pytest.param([running(), running()], {"completions": 2}, id="all have begun"),
        pytest.param([running()], {"successPolicy": {"rules": []}}, id="a rule of its own"),
    ],
)
def test_an_array_that_keeps_its_size(
    client: Client,
    world: JobWorld,
    patched: list[dict[str, Any]],
    pods: list[dict[str, Any]],
    spec: dict[str, Any],
) -> None:
    an_array(world, patched, *pods, **spec)
    cancelled(client)
    assert not any("completions" in step for step in patched)
    assert "jobman/array" not in notes(world)


@pytest.mark.parametrize(("begun", "limit"), [(1, 0), (2, 3)])
def test_the_first_to_end_does_not_fail_the_job_while_others_run(
    client: Client, world: JobWorld, patched: list[dict[str, Any]], begun: int, limit: int
) -> None:
    an_array(world, patched, *[running()] * begun, completions=begun, backoffLimitPerIndex=None)
    world.jobs.update("a", status={"failed": 1})
    cancelled(client)
    assert patched[0] == {"backoffLimit": limit}


def test_who_stopped_it_first_stays(
    client: Client, world: JobWorld, patched: list[dict[str, Any]]
) -> None:
    an_array(world, patched, running())
    marks = {"jobman/cancelled-at": "2026-11-21T11:00:00.000000Z", "jobman/cancelled-by": "bob"}
    meta = world.jobs.objects["a"]["metadata"]
    world.jobs.update("a", metadata=meta | {"annotations": meta["annotations"] | marks})
    assert cancelled(client) == "cancelled"
    assert marks.items() <= notes(world).items()


def test_the_pods_of_a_wide_array_are_told_several_at_once_and_each_once(
    client: Client, world: JobWorld, patched: list[dict[str, Any]]
) -> None:
    an_array(world, patched, *[running()] * 8, completions=8, parallelism=8)
    four = threading.Barrier(4)
    told: list[str] = []

    def end_pod(asked: Asked) -> Reply:
        four.wait(30)
        name = asked.path.rpartition("/")[2]
        told.append(name)
        world.pods.update(name, status=exited(143))
        return Reply(200, world.pods.objects[name])

    for index in range(8):
        world.server.script("PATCH", f"{CORE}/pods/a-{index}", end_pod)
    assert cancelled(client) == "cancelled"
    assert sorted(told) == [f"a-{index}" for index in range(8)]


def test_pods_that_end_together_are_followed_by_one_change_of_the_job(
    client: Client, world: JobWorld, patched: list[dict[str, Any]]
) -> None:
    an_array(world, patched, *[running()] * 20, completions=20, parallelism=20)
    told: list[str] = []
    followed: list[int] = []

    def end(*indexes: int) -> None:
        for index in indexes:
            world.pods.update(f"a-{index}", status=exited(143))

    def end_pod(asked: Asked) -> Reply:
        told.append(asked.path)
        if len(told) == 20:
            end(0)
        return Reply(200, world.pods.objects[asked.path.rpartition("/")[2]])

    def change_job(asked: Asked) -> Reply:
        followed.append(asked.body.get("spec", {}).get("parallelism"))
        if followed[-1] == 19:
            end(*range(1, 20))
            time.sleep(0.3)  # the client has taken in the changes when it gets its answer
        return Reply(200, world.jobs.objects["a"])

    for index in range(20):
        world.server.script("PATCH", f"{CORE}/pods/a-{index}", end_pod)
    world.server.script("PATCH", f"{BATCH}/a", change_job)
    assert cancelled(client) == "cancelled"
    assert len([wanted for wanted in followed if wanted in range(1, 20)]) < 10


def test_a_pod_that_goes_before_it_is_told_is_not_waited_for(
    client: Client, world: JobWorld, patched: list[dict[str, Any]]
) -> None:
    an_array(world, patched, running(), running(), completions=2, parallelism=2)

    def change_job(asked: Asked) -> Reply:
        if "a-0" in world.pods.objects:
            world.pods.remove("a-0")
            world.server.script("PATCH", f"{CORE}/pods/a-0", Reply(404))
        return Reply(200, world.jobs.objects["a"])

    world.server.script("PATCH", f"{BATCH}/a", change_job)
    assert cancelled(client) == "cancelled"
