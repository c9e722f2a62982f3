"""The queue as it changes: lists once, then watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from plugins.job_world import CORE, MANAGED, NAMESPACE, NOW, Collection, JobWorld, ago
from plugins.scripted_server import Reply

from jobman.config.flavors import is_gpu
from jobman.errors import ForbiddenError
from jobman.kube.client import Client
from jobman.queue.group import Counts
from jobman.queue.live import Live
from jobman.queue.sources import Query
from jobman.values.enums import QueueBy

PODS, JOBS, NODES = "/api/v1/pods", "/apis/batch/v1/jobs", "/api/v1/nodes"
EVENTS = "/api/v1/events"
FORBIDDEN = Reply(403, {"kind": "Status", "reason": "Forbidden", "code": 403})
Object = dict[str, Any]


def pod(name: str, *, node: str = "", phase: str = "Pending") -> Object:
    labels = MANAGED | {"jobman/user": "alice", "jobman/flavor": "small"}
    meta = {"name": name, "labels": labels, "creationTimestamp": ago(60)}
    spec = {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": "1"}}}]}
    return {"metadata": meta, "spec": spec, "status": {"phase": phase}}


def node(name: str) -> Object:
    ready = {"type": "Ready", "status": "True"}
    status = {"allocatable": {"cpu": "4", "pods": "9"}, "conditions": [ready]}
    return {"metadata": {"name": name}, "status": status}


@dataclass
class Moving:
    """A cluster whose pods, Jobs and nodes change; the clock goes as told."""

    pods: Collection
    jobs: Collection
    nodes: Collection
    quotas: Collection
    events: Collection
    now: datetime = NOW

    def clock(self) -> datetime:
        return self.now


@pytest.fixture
def moving(world: JobWorld) -> Moving:
    quotas = f"{CORE}/resourcequotas", "ResourceQuota"
    kinds = ((PODS, "Pod"), (JOBS, "Job"), (NODES, "Node"), quotas, (EVENTS, "Event"))
    return Moving(*(Collection(world, path, kind) for path, kind in kinds))


@pytest.fixture
def live(client: Client, moving: Moving) -> Iterator[Live]:
    moving.nodes.put(node("n1"))
    moving.pods.put(pod("a"))
    query = Query(user="alice", namespace=NAMESPACE, is_gpu=is_gpu, by=QueueBy.NAMESPACE)
    with Live(client, query, now=moving.clock) as found:
        yield found


def counts(live: Live) -> Counts:
    (group,) = live.snapshot().groups
    return group.counts


def soon(look: Callable[[], Any], expected: Any) -> None:
    deadline = time.monotonic() + 30
    while (seen := look()) != expected:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)


def test_changes_are_seen_without_asking_again(live: Live, moving: Moving, world: JobWorld) -> None:
    assert counts(live) == Counts(waiting=1)
    lists = len([r for r in world.server.requests if r.query.get("watch") != "true"])

    moving.pods.put(pod("a", node="n1", phase="Running"))
    moving.pods.put(pod("b"))
    soon(lambda: counts(live), Counts(waiting=1, running=1))
    assert live.snapshot().nodes is not None
    assert [n.free["cpu"] for n in live.snapshot().nodes or ()] == [3000]

    moving.pods.remove("b")
    soon(lambda: counts(live), Counts(running=1))
    moving.nodes.put(node("n2"))
    soon(lambda: len(live.snapshot().nodes or ()), 2)
    assert len([r for r in world.server.requests if r.query.get("watch") != "true"]) == lists


def test_quotas_are_followed_too(live: Live, moving: Moving) -> None:
    moving.quotas.put({"metadata": {"name": "q"}, "status": {"hard": {"pods": "3"}}})
    soon(lambda: [quota.left for quota in live.snapshot().quotas], [{"pods": 3000}])


def test_a_version_for_each_change(live: Live, moving: Moving) -> None:
    live.snapshot()
    before = live.version
    live.snapshot()
    assert live.version == before
    moving.pods.put(pod("b"))
    soon(lambda: counts(live).waiting, 2)
    assert live.version > before


def test_a_new_job_without_pods_waits_when_they_should_have_come(
    live: Live, moving: Moving
) -> None:
    template = {"spec": {"containers": []}}
    meta = {"name": "j", "creationTimestamp": ago(0)}
    moving.jobs.put({"metadata": meta, "spec": {"template": template}})
    moving.pods.put(pod("b"))
    soon(lambda: counts(live).waiting, 2)

    moving.now = NOW + timedelta(seconds=11)

    assert counts(live).waiting == 3
    moving.jobs.remove("j")
    soon(lambda: counts(live).waiting, 2)


def test_a_new_job_whose_pods_are_refused_waits_at_once(live: Live, moving: Moving) -> None:
    meta = {"name": "j", "creationTimestamp": ago(0)}
    moving.jobs.put({"metadata": meta, "spec": {"template": {"spec": {"containers": []}}}})
    moving.events.put(an_event("Job", "j", "FailedCreate", "exceeded quota: q"))
    soon(lambda: counts(live), Counts(waiting=2))


def an_event(kind: str, name: str, reason: str, message: str) -> Object:
    about = {"kind": kind, "namespace": NAMESPACE, "name": name}
    meta = {"name": f"{name}.{reason}", "creationTimestamp": ago(100)}
    seen = {"firstTimestamp": ago(100), "reason": reason, "message": message}
    return {"metadata": meta, "involvedObject": about, "type": "Warning", **seen}


def test_a_volume_that_fails_for_long_is_stuck(live: Live, moving: Moving) -> None:
    creating = {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}
    slow = pod("a", node="n1")
    moving.pods.put(slow | {"status": slow["status"] | {"containerStatuses": [creating]}})
    soon(lambda: counts(live), Counts(starting=1))
    moving.events.put(an_event("Pod", "a", "FailedMount", "timed out"))
    soon(lambda: counts(live), Counts(stuck=1))
    moving.pods.put(pod("a", node="n1", phase="Running"))
    soon(lambda: counts(live), Counts(running=1))


def test_a_volume_that_is_there_at_last_is_not_stuck(live: Live, moving: Moving) -> None:
    creating = {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}
    slow = pod("a", node="n1")
    moving.pods.put(slow | {"status": slow["status"] | {"containerStatuses": [creating]}})
    moving.events.put(an_event("Pod", "a", "FailedMount", "timed out"))
    soon(lambda: counts(live), Counts(stuck=1))
    moving.events.put(an_event("Pod", "b", "Pulling", "another's"))
    moving.events.put(an_event("Pod", "a", "Pulling", "a big image"))
    soon(lambda: counts(live), Counts(starting=1))


def test_a_job_whose_pods_are_refused_is_stuck(live: Live, moving: Moving) -> None:
    meta = {"name": "j", "creationTimestamp": ago(60)}
    moving.jobs.put({"metadata": meta, "spec": {"template": {"spec": {"containers": []}}}})
    soon(lambda: counts(live), Counts(waiting=2))
    moving.events.put(an_event("Job", "j", "FailedCreate", "pods is forbidden: no"))
    soon(lambda: counts(live), Counts(waiting=1, stuck=1))
    moving.jobs.remove("j")
    soon(lambda: counts(live), Counts(waiting=1))


def test_events_of_other_trouble_change_nothing(live: Live, moving: Moving) -> None:
    meta = {"name": "j", "creationTimestamp": ago(60)}
    moving.jobs.put({"metadata": meta, "spec": {"template": {"spec": {"containers": []}}}})
    soon(lambda: counts(live), Counts(waiting=2))
    before = live.version
    moving.events.put(an_event("Node", "n1", "NodeNotReady", "gone"))
    moving.events.put(an_event("Job", "j", "FailedCreate", "pods is forbidden: no"))
    soon(lambda: counts(live), Counts(waiting=1, stuck=1))
    assert live.version == before + 1


def test_events_that_may_not_be_read_are_done_without(
    client: Client, moving: Moving, world: JobWorld
) -> None:
    world.server.script("GET", EVENTS, FORBIDDEN)
    moving.pods.put(pod("a"))
    query = Query(user="alice", namespace=NAMESPACE, is_gpu=is_gpu, by=QueueBy.NAMESPACE)
    with Live(client, query, now=moving.clock) as found:
        assert counts(found) == Counts(waiting=1)
        assert found.snapshot().of_whole_cluster


def test_a_lost_right_ends_it(live: Live, moving: Moving, world: JobWorld) -> None:
    world.server.script("GET", PODS, FORBIDDEN)
    world.closed = True

    def error() -> type[Exception] | None:
        try:
            live.snapshot()
        except ForbiddenError as found:
            return type(found)
        return None

    soon(error, ForbiddenError)
