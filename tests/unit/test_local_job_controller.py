"""The Job controller on a real registry: whose pods, refusals, restarts, many Jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from plugins.local_registry import JOBS, job, names, node, owner, pod, settle
from plugins.manual_clock import ManualClock

from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.controllers.job import JobController
from jobman.local.controllers.job_pods import TRACKING
from jobman.local.stored import Change

Object = dict[str, Any]
UID = "batch.kubernetes.io/controller-uid"


class World:
    """A controller that is started and stopped by hand."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.clock = ManualClock()
        self.start()

    def start(self) -> None:
        self.controller = JobController(self.registry, clock=self.clock)
        self.stop = self.controller.start()

    def restart(self) -> None:
        self.stop()
        self.start()

    def settle(self, after_s: float = 0) -> None:
        self.clock.advance(after_s)
        settle(self.controller)

    def submit(self, name: str = "j", **spec: Any) -> Object:
        made = self.registry.create(JOBS, "default", job(name, **spec))
        self.settle()
        return made

    def status(self, name: str = "j") -> Object:
        return dict(self.registry.get(JOBS, "default", name).get("status", {}))

    def pods(self) -> list[Object]:
        return self.registry.list("pods", "default")

    def end(self, name: str, phase: str = "Succeeded", code: int = 0) -> None:
        moment = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

        def change(found: Object) -> None:
            ended = {"terminated": {"exitCode": code, "finishedAt": moment}}
            found["status"]["phase"] = phase
            found["status"]["containerStatuses"] = [{"name": "main", "state": ended}]

        self.registry.modify("pods", "default", name, change)
        self.settle()

    def events(self, reason: str) -> list[str]:
        return [e["message"] for e in self.registry.list("events") if e["reason"] == reason]


@pytest.fixture
def world(registry: Registry) -> Iterator[World]:
    made = World(registry)
    yield made
    made.stop()


def test_from_submission_to_completion(world: World) -> None:
    made = world.submit()
    (only,) = world.pods()
    about = only["metadata"]
    assert about["ownerReferences"] == [owner(made)]
    assert about["finalizers"] == [TRACKING]
    assert about["labels"]["batch.kubernetes.io/job-name"] == "j"
    assert world.events("SuccessfulCreate") == [f"Created pod: {about['name']}"]
    world.end(about["name"])
    assert [c["type"] for c in world.status()["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert "finalizers" not in world.pods()[0]["metadata"]
    assert world.events("Completed") == ["Job completed"]


class TestPodsThatAreGoneAtOnce:
    """No node has them, or they were deleted by force: what lets go of them is their end."""

    def test_a_deadline_ends_a_job_that_waits(self, world: World) -> None:
        world.submit(activeDeadlineSeconds=3)
        world.settle(4)
        status = world.status()
        assert [c["type"] for c in status["conditions"]] == ["FailureTarget", "Failed"]
        assert (status["failed"], status["terminating"], world.pods()) == (1, 0, [])

    def test_a_suspended_job_has_none_left(self, world: World) -> None:
        world.submit()
        world.registry.modify(
            JOBS, "default", "j", lambda found: found["spec"].update(suspend=True)
        )
        world.settle()
        assert (world.status()["terminating"], world.pods()) == (0, [])

    def test_one_deleted_by_force_counts(self, world: World) -> None:
        world.submit(backoffLimit=0)
        (name,) = names(world.pods())
        world.registry.delete("pods", "default", name, DeleteOptions(grace_s=0))
        world.settle(1)
        status = world.status()
        assert [c["type"] for c in status["conditions"]] == ["FailureTarget", "Failed"]
        assert (status["failed"], status["terminating"], world.pods()) == (1, 0, [])


class TestAPodThatSomebodyDeletes:
    """It may succeed yet, for a second; who has still not ended then has failed."""

    def deleted(self, world: World) -> str:
        world.registry.create("nodes", "", node("n"))
        world.submit()
        (name,) = names(world.pods())

        def run(found: Object) -> None:
            found["spec"]["nodeName"], found["status"]["phase"] = "n", "Running"

        world.registry.modify("pods", "default", name, run)
        world.settle()
        world.registry.delete("pods", "default", name)
        world.settle(0.9)
        assert "failed" not in world.status()
        return name

    def test_that_succeeds_at_once_has_not_failed(self, world: World) -> None:
        world.end(self.deleted(world))
        assert [c["type"] for c in world.status()["conditions"]] == [
            "SuccessCriteriaMet",
            "Complete",
        ]

    def test_that_goes_on_has_failed(self, world: World) -> None:
        self.deleted(world)
        world.settle(0.1)
        assert (world.status()["failed"], world.status()["terminating"]) == (1, 1)


def test_refusals_are_told_and_tried_again_ever_later(world: World) -> None:
    quota = {
        "kind": "ResourceQuota",
        "apiVersion": "v1",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}},
    }
    world.registry.create("resourcequotas", "default", quota)
    world.submit()
    times, seen = [0.0], 1
    for tenth in range(1, 400):
        world.settle(0.1)
        if len(world.events("FailedCreate")) > seen:
            seen += 1
            times.append(tenth / 10)
    assert [round(time) for time in times] == [0, 1, 3, 7, 15, 31]
    text = world.events("FailedCreate")[0]
    assert text.startswith('Error creating: pods "j-')
    assert text.endswith(
        '" is forbidden: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0'
    )
    assert "active" not in world.status()
    world.registry.delete("resourcequotas", "default", "none")
    world.settle(60)
    assert world.status()["active"] == 1


def test_what_there_is_room_for_is_made(world: World) -> None:
    quota = {
        "kind": "ResourceQuota",
        "apiVersion": "v1",
        "metadata": {"name": "two"},
        "spec": {"hard": {"pods": "2"}},
    }
    world.registry.create("resourcequotas", "default", quota)
    world.submit(parallelism=4, completions=4)
    assert world.status()["active"] == len(world.pods()) == 2
    assert len(world.events("FailedCreate")) == 1
    world.end(names(world.pods())[0])
    assert len(world.events("FailedCreate")) == 1
    world.settle(1)
    assert world.status()["active"] == 2


class TestRestart:
    def test_nothing_changes_by_looking_again(self, world: World) -> None:
        world.submit()
        version = world.registry.store.rv
        world.restart()
        world.settle()
        assert world.registry.store.rv == version

    def test_what_ended_meanwhile_is_counted(self, world: World) -> None:
        world.submit()
        world.stop()
        name = names(world.pods())[0]
        world.registry.modify(
            "pods", "default", name, lambda p: p["status"].update(phase="Succeeded")
        )
        world.start()
        world.settle()
        assert world.status()["succeeded"] == 1

    def test_the_pause_is_remembered(self, world: World) -> None:
        world.submit()
        world.end(names(world.pods())[0], "Failed", 1)
        world.settle(10)
        assert len(world.pods()) == 2
        active = next(p for p in world.pods() if p["status"]["phase"] == "Pending")
        world.end(active["metadata"]["name"], "Failed", 1)
        world.restart()
        world.settle(19)
        assert len(world.pods()) == 2
        world.settle(1)
        assert len(world.pods()) == 3

    def test_pods_whose_job_went_meanwhile_are_let_go(self, world: World) -> None:
        world.submit()
        world.stop()
        world.registry.delete(JOBS, "default", "j")
        world.start()
        world.settle()
        assert "finalizers" not in world.pods()[0]["metadata"]


class TestWhose:
    def orphan(self, made: Object, **more: Any) -> Object:
        bare = pod("orphan")
        bare["metadata"] |= {"labels": made["spec"]["template"]["metadata"]["labels"], **more}
        return bare

    def test_an_orphan_that_fits_is_adopted(self, world: World) -> None:
        made = world.submit(suspend=True)
        world.registry.create("pods", "default", self.orphan(made))
        world.settle()
        assert world.pods() == []  # a suspended Job has none

    def test_a_pod_of_somebody_else_is_not_adopted(self, world: World) -> None:
        made = world.submit()
        keeper = world.registry.create("nodes", "", node("keeper"))
        stranger = self.orphan(made, ownerReferences=[owner(keeper)])
        world.registry.create("pods", "default", stranger)
        world.settle()
        found = world.registry.get("pods", "default", "orphan")
        assert found["metadata"]["ownerReferences"] == [owner(keeper)]
        assert world.status()["active"] == 1

    def test_a_selector_by_hand(self, world: World) -> None:
        by_hand = job("mine", manualSelector=True, selector={"matchLabels": {"app": "x"}})
        by_hand["spec"] |= {"parallelism": 2, "completions": 2}
        by_hand["spec"]["template"]["metadata"] = {"labels": {"app": "x"}}
        world.registry.create("pods", "default", self.labelled("early"))
        made = world.registry.create(JOBS, "default", by_hand)
        world.settle()
        adopted = world.registry.get("pods", "default", "early")["metadata"]
        assert adopted["ownerReferences"] == [owner(made)]
        assert adopted["finalizers"] == [TRACKING]
        assert world.status("mine")["active"] == len(world.pods()) == 2
        world.registry.create("pods", "default", self.labelled("late"))
        world.settle()
        assert world.status("mine")["active"] == len(world.pods()) == 2

    def labelled(self, name: str) -> Object:
        bare = pod(name)
        bare["metadata"]["labels"] = {"app": "x"}
        return bare

    def test_a_pod_that_does_not_fit_any_more_is_released(self, world: World) -> None:
        world.submit()
        name = names(world.pods())[0]
        world.registry.modify(
            "pods", "default", name, lambda p: p["metadata"]["labels"].update({UID: "other"})
        )
        world.settle()
        released = world.registry.get("pods", "default", name)["metadata"]
        assert "ownerReferences" not in released
        assert "finalizers" not in released
        assert len(world.pods()) == 2

    def test_a_stray_pod_is_let_go(self, world: World) -> None:
        stray = pod("stray")
        stray["metadata"]["finalizers"] = [TRACKING, "x.io/y"]
        world.registry.create("pods", "default", stray)
        world.settle()
        found = world.registry.get("pods", "default", "stray")
        assert found["metadata"]["finalizers"] == ["x.io/y"]

    def test_jobs_of_other_controllers_are_left_alone(self, world: World) -> None:
        world.submit(managedBy="example.com/other")
        assert (world.pods(), world.status()) == ([], {})


def test_a_namesake_is_another_job(world: World) -> None:
    world.submit()
    world.registry.delete(JOBS, "default", "j")
    world.submit()
    world.settle()
    old, new = sorted(world.pods(), key=lambda p: TRACKING in p["metadata"].get("finalizers", []))
    assert "finalizers" not in old["metadata"]
    assert (
        new["metadata"]["ownerReferences"][0]["uid"]
        == (world.registry.get(JOBS, "default", "j")["metadata"]["uid"])
    )
    world.end(new["metadata"]["name"])
    assert world.status()["succeeded"] == 1


def test_many_pods_of_one_job(world: World) -> None:
    world.submit(parallelism=250, completions=250)
    for _ in range(3):
        world.settle()
    assert len(world.pods()) == world.status()["active"] == 250
    for name in names(world.pods()):
        world.registry.modify(
            "pods", "default", name, lambda p: p["status"].update(phase="Succeeded")
        )
        world.settle()
    assert "succeeded" not in world.status()  # with so many pods, it is looked at now and then
    world.settle(1)
    assert world.status()["succeeded"] == 250
    assert world.status()["conditions"][-1]["type"] == "Complete"


def test_in_a_rush_a_pod_is_let_go_of_and_counted_in_one_step(world: World) -> None:
    for number in range(30):
        world.registry.create(JOBS, "default", job(f"j-{number:02}"))
    world.settle()
    noted: list[str] = []

    def changed(change: Change) -> None:
        if b'"uncountedTerminatedPods":{"succeeded"' in change.record.body:
            noted.append(change.record.key.name)

    stop = world.registry.store.subscribe(changed, JOBS)
    for name in names(world.pods()):
        world.registry.modify(
            "pods", "default", name, lambda p: p["status"].update(phase="Succeeded")
        )
    world.settle()
    stop()
    assert noted == [f"j-{number}" for number in range(19, 30)]  # the last ones are in no rush
    assert not any("finalizers" in each["metadata"] for each in world.pods())
    statuses = [world.status(f"j-{number:02}") for number in range(30)]
    assert all(status["succeeded"] == 1 for status in statuses)
    assert all(status["conditions"][-1]["type"] == "Complete" for status in statuses)


def test_in_a_rush_a_first_status_is_told_within_seconds(world: World) -> None:
    told = [f"j-{number:02}" for number in range(30)]
    begun = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in told:
        world.registry.create(JOBS, "default", job(name))
    world.settle()
    untold = [name for name in told if not world.status(name)]
    assert untold == told[:19]  # the last ones are in no rush
    world.settle(4.9)
    assert not any(map(world.status, untold))
    world.settle(0.1)
    expected = {"startTime": begun, "active": 1, "terminating": 0, "ready": 0}
    assert all(world.status(name) == {**expected, "uncountedTerminatedPods": {}} for name in told)


def test_what_ends_before_its_first_status_is_told_has_begun_when_it_did(world: World) -> None:
    for number in range(30):
        world.registry.create(JOBS, "default", job(f"j-{number:02}"))
    begun = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    world.settle()
    assert not world.status("j-00")
    world.clock.advance(0.5)
    (first,) = [name for name in names(world.pods()) if name.startswith("j-00")]
    world.end(first)
    assert (world.status("j-00")["startTime"], world.status("j-00")["succeeded"]) == (begun, 1)
    changes = len(world.registry.store.since(JOBS, 0))
    world.settle(5)
    told = [c.record.key.name for c in world.registry.store.since(JOBS, 0)[changes:]]
    assert "j-00" not in told
    assert len(told) == 18
