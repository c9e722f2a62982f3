"""Events: their two shapes, counting, floods, and their end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from plugins.local_registry import JOBS, job, pod
from plugins.manual_clock import ManualClock

from jobman.local.api.registry import Registry
from jobman.local.controllers.event_expiry import KEPT_S, EventExpiry
from jobman.local.controllers.events import EventRecorder, SchedulerRecorder

Object = dict[str, Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def made(registry: Registry) -> Object:
    return registry.create(JOBS, "default", job())


def events(registry: Registry) -> list[Object]:
    return sorted(registry.list("events"), key=lambda e: int(e["metadata"]["resourceVersion"]))


def test_a_controllers_event(registry: Registry, clock: ManualClock, made: Object) -> None:
    recorder = EventRecorder(registry, "job-controller", clock=clock)
    recorder.event(made, "Normal", "SuccessfulCreate", "Created pod: j-x")
    (event,) = events(registry)
    about, moment = event.pop("metadata"), clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    name, _, number = about["name"].rpartition(".")
    assert (name, about["namespace"], int(number, 16) > 0) == ("j", "default", True)
    assert event == {
        "kind": "Event",
        "apiVersion": "v1",
        "involvedObject": {
            "kind": "Job",
            "namespace": "default",
            "name": "j",
            "uid": made["metadata"]["uid"],
            "apiVersion": "batch/v1",
            "resourceVersion": made["metadata"]["resourceVersion"],
        },
        "reason": "SuccessfulCreate",
        "message": "Created pod: j-x",
        "source": {"component": "job-controller"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "type": "Normal",
        "eventTime": None,
        "reportingComponent": "job-controller",
        "reportingInstance": "",
    }


def test_a_kubelets_event(registry: Registry, clock: ManualClock) -> None:
    bare = registry.create("pods", "default", pod("p"))
    recorder = EventRecorder(registry, "kubelet", "node1", clock=clock)
    recorder.event(bare, "Normal", "Started", "m", field_path="spec.containers{main}")
    (event,) = events(registry)
    assert event["involvedObject"]["fieldPath"] == "spec.containers{main}"
    assert event["source"] == {"component": "kubelet", "host": "node1"}
    assert event["reportingInstance"] == "node1"


def test_a_repeated_event_is_counted(registry: Registry, clock: ManualClock, made: Object) -> None:
    recorder = EventRecorder(registry, "c", clock=clock)
    recorder.event(made, "Warning", "R", "same")
    clock.advance(30)
    recorder.event(made, "Warning", "R", "same")
    recorder.event(made, "Warning", "R", "other")
    first, second = sorted(events(registry), key=lambda e: e["message"], reverse=True)
    assert (first["count"], second["count"]) == (2, 1)
    assert first["lastTimestamp"] > first["firstTimestamp"]


def test_a_counted_event_that_expired_begins_anew(
    registry: Registry, clock: ManualClock, made: Object
) -> None:
    recorder = EventRecorder(registry, "c", clock=clock)
    recorder.event(made, "Warning", "R", "same")
    registry.delete("events", "default", events(registry)[0]["metadata"]["name"])
    recorder.event(made, "Warning", "R", "same")
    assert [event["count"] for event in events(registry)] == [1]


def test_events_that_differ_in_their_text_alone_become_one(
    registry: Registry, clock: ManualClock, made: Object
) -> None:
    recorder = EventRecorder(registry, "c", clock=clock)
    for number in range(14):
        recorder.event(made, "Warning", "FailedCreate", f"no {number}")
    found = events(registry)
    assert len(found) == 11
    combined = [e for e in found if e["message"].startswith("(combined from similar events): ")]
    assert [(e["count"], e["message"][-5:]) for e in combined] == [(4, "no 13")]


def test_a_flood_about_one_object_is_dammed(
    registry: Registry, clock: ManualClock, made: Object
) -> None:
    recorder = EventRecorder(registry, "c", clock=clock)
    for number in range(60):
        recorder.event(made, "Normal", f"R{number}", "m")
    assert len(events(registry)) == 25
    clock.advance(300)
    for number in range(60, 70):
        recorder.event(made, "Normal", f"R{number}", "m")
    assert len(events(registry)) == 26


@pytest.mark.parametrize("scheduler", [False, True])
def test_in_a_rush_what_is_normal_is_left_out(
    registry: Registry, clock: ManualClock, scheduler: bool
) -> None:
    recorder, placer = (
        EventRecorder(registry, "kubelet", "node1", clock=clock),
        SchedulerRecorder(registry, "s", clock=clock),
    )
    made = [registry.create(JOBS, "default", job(f"j-{number}")) for number in range(130)]

    def tell(kind: str) -> int:
        before = len(events(registry))
        for each in made:
            if scheduler:
                placer.event(each, kind, "R", "Binding", f"{clock.now()}")
            else:
                recorder.event(each, kind, f"R-{clock.now()}", "m")
        return len(events(registry)) - before

    assert [tell("Normal"), tell("Warning")] == [100, 130]
    clock.advance(1)
    assert tell("Normal") == 50


def test_an_event_that_cannot_be_written_is_dropped(
    registry: Registry, clock: ManualClock, made: Object
) -> None:
    elsewhere = made | {"metadata": made["metadata"] | {"namespace": "gone"}}
    EventRecorder(registry, "c", clock=clock).event(elsewhere, "Normal", "R", "m")
    assert events(registry) == []


def test_events_about_nodes_are_in_the_default_namespace(
    registry: Registry, clock: ManualClock
) -> None:
    namespace = registry.get("namespaces", "", "kube-system")
    EventRecorder(registry, "c", clock=clock).event(namespace, "Normal", "R", "m")
    (event,) = events(registry)
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]


def test_the_schedulers_shape_and_series(registry: Registry, clock: ManualClock) -> None:
    bare = registry.create("pods", "default", pod("p"))
    recorder = SchedulerRecorder(registry, "default-scheduler-vm", clock=clock)
    for _ in range(3):
        recorder.event(bare, "Warning", "FailedScheduling", "Scheduling", "0/1")
        clock.advance(2)
    (event,) = events(registry)
    assert event["series"]["count"] == 3
    assert event["series"]["lastObservedTime"] > event["eventTime"]
    assert (event["source"], event["firstTimestamp"], "count" in event) == ({}, None, False)
    clock.advance(1000)
    recorder.event(bare, "Warning", "FailedScheduling", "Scheduling", "0/1")
    assert len(events(registry)) == 2


class TestExpiry:
    def play(
        self, registry: Registry, clock: ManualClock, *acts: Any, most: int = 100
    ) -> list[int]:
        """How many events there are after each act."""

        async def run() -> list[int]:
            expiry = EventExpiry(registry, clock=clock, most=most)
            task = asyncio.create_task(expiry.run())
            counts = []
            for act in (lambda: None, *acts):
                act()
                for _ in range(20):
                    await asyncio.sleep(0)
                counts.append(len(registry.list("events")))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return counts

        return asyncio.run(run())

    def test_after_an_hour(self, registry: Registry, clock: ManualClock, made: Object) -> None:
        recorder = EventRecorder(registry, "c", clock=clock)
        recorder.event(made, "Normal", "Old", "m")
        clock.advance(1800)
        counts = self.play(
            registry,
            clock,
            lambda: recorder.event(made, "Normal", "New", "m"),
            lambda: clock.advance(KEPT_S - 1800 + 1),
            lambda: clock.advance(1800),
        )
        assert counts == [1, 2, 1, 0]

    def test_one_that_happens_again_stays(
        self, registry: Registry, clock: ManualClock, made: Object
    ) -> None:
        recorder = EventRecorder(registry, "c", clock=clock)
        recorder.event(made, "Normal", "R", "m")
        counts = self.play(
            registry,
            clock,
            lambda: clock.advance(KEPT_S - 10),
            lambda: recorder.event(made, "Normal", "R", "m"),
            lambda: clock.advance(20),
            lambda: clock.advance(KEPT_S),
        )
        assert counts == [1, 1, 1, 1, 0]

    def test_one_that_happens_again_holds_up_no_other(
        self, registry: Registry, clock: ManualClock, made: Object
    ) -> None:
        recorder = EventRecorder(registry, "c", clock=clock)
        counts = self.play(
            registry,
            clock,
            lambda: recorder.event(made, "Normal", "Again", "m"),
            lambda: recorder.event(made, "Normal", "Once", "m"),
            lambda: clock.advance(20),
            lambda: recorder.event(made, "Normal", "Again", "m"),
            lambda: clock.advance(KEPT_S - 10),
        )
        assert counts == [0, 1, 2, 2, 2, 1]
        assert [e["reason"] for e in events(registry)] == ["Again"]

    def test_when_there_are_too_many(
        self, registry: Registry, clock: ManualClock, made: Object
    ) -> None:
        recorder = EventRecorder(registry, "c", clock=clock)

        def many() -> None:
            for number in range(20):
                recorder.event(made, "Normal", f"R{number:02d}", "m")

        assert self.play(registry, clock, many, most=5) == [0, 5]
        assert [e["reason"] for e in events(registry)] == [f"R{n}" for n in range(15, 20)]

    @pytest.mark.parametrize("last", ["9999-12-31T23:59:59Z", "0001-01-02T00:00:00Z"])
    def test_one_of_an_odd_time_goes_an_hour_after_the_start_at_the_latest(
        self, registry: Registry, clock: ManualClock, made: Object, last: str
    ) -> None:
        EventRecorder(registry, "c", clock=clock).event(made, "Normal", "R", "m")
        for event in events(registry):
            place = event["metadata"]["namespace"], event["metadata"]["name"]
            registry.modify("events", *place, lambda found: found.update(lastTimestamp=last))
        counts = self.play(registry, clock, lambda: clock.advance(KEPT_S))
        assert counts[-1] == 0
