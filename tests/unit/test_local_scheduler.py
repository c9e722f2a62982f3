"""The scheduler on a real registry: bindings, conditions, events, and what makes it look again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from plugins.local_registry import claim, node, pod

from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.fit import NodeRoom
from jobman.local.moments import stamp
from jobman.local.placement import Board
from jobman.local.scheduler import Scheduler

Object = dict[str, Any]
NO_ROOM = (
    "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
    "0/1 nodes are available: 1 No preemption victims found for incoming pod."
)


def scheduled(registry: Registry, *acts: Callable[[], Any]) -> None:
    """Run the scheduler, and each act after it has had its turn."""

    async def play() -> None:
        task = asyncio.create_task(Scheduler(registry).run())
        await _turn()
        for act in acts:
            act()
            await _turn()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())


async def _turn() -> None:
    for _ in range(40):
        await asyncio.sleep(0)


def create(registry: Registry, *objects: Object) -> Callable[[], None]:
    def act() -> None:
        for obj in objects:
            resource = {"Node": "nodes", "Pod": "pods"}.get(obj["kind"], "persistentvolumeclaims")
            registry.create(resource, "" if obj["kind"] == "Node" else "default", obj)

    return act


def delete(registry: Registry, name: str) -> Callable[[], Any]:
    return lambda: registry.delete("pods", "default", name, DeleteOptions(grace_s=0))


def where(registry: Registry) -> dict[str, str | None]:
    return {p["metadata"]["name"]: p["spec"].get("nodeName") for p in registry.list("pods")}


def condition(registry: Registry, name: str) -> Object:
    status = registry.get("pods", "default", name)["status"]
    found = next(c for c in status.get("conditions", []) if c["type"] == "PodScheduled")
    return {k: v for k, v in found.items() if k != "lastTransitionTime"}


def told(registry: Registry, reason: str) -> list[Object]:
    return [event for event in registry.list("events") if event["reason"] == reason]


def full(name: str, **spec: Any) -> Object:
    """A pod that takes a node of four cores."""
    return pod(name, {"cpu": "4"}, **spec)


def test_a_pod_is_bound_and_that_is_told(registry: Registry) -> None:
    scheduled(registry, create(registry, node("n")), create(registry, full("a")))
    found = registry.get("pods", "default", "a")
    assert found["spec"]["nodeName"] == "n"
    assert found["metadata"]["generation"] == 1
    assert condition(registry, "a") == {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
    }
    (event,) = told(registry, "Scheduled")
    assert event["message"] == "Successfully assigned default/a to n"
    assert (event["source"], event["firstTimestamp"], event["action"]) == ({}, None, "Binding")
    assert event["eventTime"].endswith("Z")
    assert event["reportingComponent"] == "default-scheduler"
    assert "count" not in event


def test_a_pod_that_fits_nowhere_says_why(registry: Registry) -> None:
    scheduled(registry, create(registry, node("n")), create(registry, full("a"), full("b")))
    assert where(registry) == {"a": "n", "b": None}
    assert condition(registry, "b") == {
        "type": "PodScheduled",
        "observedGeneration": 1,
        "status": "False",
        "lastProbeTime": None,
        "reason": "Unschedulable",
        "message": NO_ROOM,
    }
    (event,) = told(registry, "FailedScheduling")
    assert (event["type"], event["message"], event["action"]) == ("Warning", NO_ROOM, "Scheduling")


def test_a_refusal_that_somebody_wrote_without_a_time_gets_one(registry: Registry) -> None:
    def come() -> None:
        create(registry, full("a"), full("b"))()
        bare = {"conditions": [{"type": "PodScheduled", "status": "False"}]}
        registry.modify("pods", "default", "b", lambda found: found.update(status=bare))

    scheduled(registry, create(registry, node("n")), come)
    assert condition(registry, "b")["message"] == NO_ROOM


def test_the_next_one_comes_when_a_pod_goes(registry: Registry) -> None:
    scheduled(
        registry,
        create(registry, node("n")),
        create(registry, full("a"), full("b"), full("c")),
        delete(registry, "a"),
    )
    assert where(registry) == {"b": "n", "c": None}


def test_the_next_one_comes_when_a_pod_ends(registry: Registry) -> None:
    def end() -> None:
        registry.modify("pods", "default", "a", lambda p: p["status"].update(phase="Succeeded"))

    scheduled(registry, create(registry, node("n")), create(registry, full("a"), full("b")), end)
    assert where(registry) == {"a": "n", "b": "n"}


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n["spec"].pop("unschedulable"),
        lambda n: n["spec"].update(unschedulable=False),
    ],
)
def test_uncordoning_lets_pods_in(registry: Registry, change: Callable[[Object], Any]) -> None:
    scheduled(
        registry,
        create(registry, node("n", unschedulable=True)),
        create(registry, full("a")),
        lambda: registry.modify("nodes", "", "n", change),
    )
    assert where(registry) == {"a": "n"}


def test_a_heartbeat_is_no_news(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    news: list[str] = []
    plain = Board.set_node

    def set_node(board: Board, room: NodeRoom) -> None:
        news.append(room.name)
        plain(board, room)

    def beat(at: str) -> None:
        def change(found: Object) -> None:
            found["status"]["conditions"][0]["lastHeartbeatTime"] = at

        registry.modify("nodes", "", "n", change)

    monkeypatch.setattr(Board, "set_node", set_node)
    beats = [partial(beat, f"2026-11-21T02:00:0{second}Z") for second in range(2)]
    scheduled(registry, create(registry, node("n")), create(registry, full("a")), *beats)
    assert news == ["n"]


@pytest.mark.parametrize(
    "spec",
    [
        {"schedulerName": "another"},
        {"schedulingGates": [{"name": "wait"}]},
        {"nodeName": "elsewhere"},
    ],
    ids=["another scheduler's", "gated", "placed by hand"],
)
def test_pods_that_are_not_ours(registry: Registry, spec: Object) -> None:
    scheduled(registry, create(registry, node("n")), create(registry, full("a", **spec)))
    assert where(registry) == {"a": spec.get("nodeName")}
    assert told(registry, "Scheduled") == told(registry, "FailedScheduling") == []


def test_an_opened_gate(registry: Registry) -> None:
    scheduled(
        registry,
        create(registry, node("n")),
        create(registry, full("a", schedulingGates=[{"name": "wait"}])),
        lambda: registry.modify("pods", "default", "a", lambda p: p["spec"].pop("schedulingGates")),
    )
    assert where(registry) == {"a": "n"}


def gated(name: str) -> Object:
    return full(name, schedulingGates=[{"name": "wait"}])


def opened_after_an_hour(registry: Registry, name: str) -> Callable[[], Any]:
    def change(found: Object) -> None:
        found["metadata"]["creationTimestamp"] = stamp(datetime.now(UTC) - timedelta(hours=1))
        found["spec"].pop("schedulingGates")

    return lambda: registry.modify("pods", "default", name, change)


def test_the_time_behind_a_gate_gives_no_node_to_come(registry: Registry) -> None:
    scheduled(
        registry,
        create(registry, node("n"), pod("first", {"cpu": "2"}), gated("big")),
        opened_after_an_hour(registry, "big"),
        create(registry, pod("small", {"cpu": "1"})),
    )
    assert (where(registry)["small"], nominated(registry)) == ("n", {})


def test_the_time_behind_a_gate_is_no_place_in_the_line(registry: Registry) -> None:
    scheduled(
        registry,
        create(registry, node("n"), full("first"), gated("opened")),
        create(registry, full("waits")),
        opened_after_an_hour(registry, "opened"),
        delete(registry, "first"),
    )
    assert where(registry) == {"waits": "n", "opened": None}


VOLUME = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}


def test_a_missing_claim_is_waited_for(registry: Registry) -> None:
    seen = []
    scheduled(
        registry,
        create(registry, node("n")),
        create(registry, full("a", volumes=[VOLUME])),
        lambda: seen.append(condition(registry, "a")["message"]),
        create(registry, claim("data")),
    )
    assert seen == ['0/1 nodes are available: persistentvolumeclaim "data" not found. not found']
    assert where(registry) == {"a": "n"}


def test_a_claim_that_is_being_deleted_takes_no_more_pods(registry: Registry) -> None:
    registry.create("persistentvolumeclaims", "default", claim("data"))
    registry.delete("persistentvolumeclaims", "default", "data")
    seen = []

    def let_go() -> None:
        seen.append(condition(registry, "a")["message"])
        registry.modify(
            "persistentvolumeclaims", "default", "data", lambda c: c["metadata"].pop("finalizers")
        )
        registry.create("persistentvolumeclaims", "default", claim("data"))

    scheduled(
        registry,
        create(registry, node("n")),
        create(registry, full("a", volumes=[VOLUME])),
        let_go,
    )
    (message,) = seen
    assert message == (
        '0/1 nodes are available: persistentvolumeclaim "data" is being deleted. no new claims to '
        "deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for "
        "scheduling."
    )
    assert where(registry) == {"a": "n"}


def test_gpus_are_given_once(registry: Registry) -> None:
    gpus = {"nvidia.com/gpu": "4"}
    wanted = [pod(f"p{number}", {"nvidia.com/gpu": "1"}) for number in range(6)]
    scheduled(registry, create(registry, node("n", gpus)), create(registry, *wanted))
    assert sorted(name for name, at in where(registry).items() if at) == ["p0", "p1", "p2", "p3"]


def test_a_restart_counts_what_runs_and_keeps_quiet(registry: Registry) -> None:
    scheduled(registry, create(registry, node("n")), create(registry, full("a"), full("b")))
    version = registry.store.rv
    scheduled(registry)
    assert registry.store.rv == version
    scheduled(registry, delete(registry, "a"))
    assert where(registry) == {"b": "n"}


def passing(registry: Registry, times: int) -> list[Callable[[], Any]]:
    """Small pods that come and go one after the other."""
    return [
        act
        for number in range(times)
        for act in (
            create(registry, pod(f"s{number}", {"cpu": "1"})),
            delete(registry, f"s{number}"),
        )
    ]


def nominated(registry: Registry) -> dict[str, str]:
    pods = registry.list("pods")
    return {
        p["metadata"]["name"]: p["status"]["nominatedNodeName"]
        for p in pods
        if "nominatedNodeName" in p["status"]
    }


def test_a_reservation_is_told_as_a_nomination(registry: Registry) -> None:
    """That is where Kubernetes tells it, and where others look for it."""
    first = pod("first", {"cpu": "2"})
    start = [create(registry, node("n"), first), create(registry, full("big"))]
    scheduled(registry, *start, *passing(registry, 7))
    assert nominated(registry) == {}
    more = [create(registry, pod("late", {"cpu": "1"}))]
    scheduled(registry, *passing(registry, 8), *more)
    assert nominated(registry) == {"big": "n"}
    assert "1 node(s) were reserved" in condition(registry, "late")["message"]
    version = registry.store.rv
    scheduled(registry)
    assert (nominated(registry), registry.store.rv) == ({"big": "n"}, version)
    scheduled(registry, delete(registry, "first"))
    assert (where(registry), nominated(registry)) == ({"big": "n", "late": None}, {})


def test_a_nomination_ends_with_its_node(registry: Registry) -> None:
    start = [create(registry, node("n"), pod("first", {"cpu": "2"})), create(registry, full("big"))]
    seen: list[dict[str, str]] = []
    scheduled(
        registry,
        *start,
        *passing(registry, 8),
        lambda: seen.append(nominated(registry)),
        lambda: registry.delete("nodes", "", "n", DeleteOptions()),
    )
    assert (seen, nominated(registry)) == ([{"big": "n"}], {})


def test_the_nomination_of_a_pod_bound_by_hand_is_taken_off_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = [create(registry, node("n"), pod("first", {"cpu": "2"})), create(registry, full("big"))]
    modify, written = registry.modify, []

    def noted(plural: str, namespace: str, name: str, change: Callable[[Object], None]) -> Any:
        written.append(name)
        return modify(plural, namespace, name, change)

    def bind() -> None:
        modify("pods", "default", "big", lambda found: found["spec"].update(nodeName="n"))
        monkeypatch.setattr(registry, "modify", noted)

    scheduled(registry, *start, *passing(registry, 8), bind, *passing(registry, 3))
    assert written.count("big") == 1
    assert (where(registry)["big"], nominated(registry)) == ("n", {})


def test_priority(registry: Registry) -> None:
    urgent = {
        "kind": "PriorityClass",
        "apiVersion": "scheduling.k8s.io/v1",
        "metadata": {"name": "urgent"},
        "value": 100,
    }
    registry.create("priorityclasses.scheduling.k8s.io", "", urgent)
    scheduled(
        registry,
        create(registry, full("low"), full("high", priorityClassName="urgent")),
        create(registry, node("n")),
    )
    assert where(registry) == {"low": None, "high": "n"}


def test_what_a_pod_asks_for_as_a_whole_is_no_other_pods_business(registry: Registry) -> None:
    registry.create("nodes", "", node("n"))
    registry.create("pods", "default", pod("big", resources={"requests": {"cpu": "5"}}))
    registry.create("pods", "default", pod("small"))
    scheduled(registry)
    assert "nodeName" not in registry.get("pods", "default", "big")["spec"]
    assert registry.get("pods", "default", "small")["spec"]["nodeName"] == "n"
