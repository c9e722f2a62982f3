"""One writer at a time, and a publisher that outlives its API server."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from plugins.scripted_server import Asked, Reply, ScriptedServer

from jobman.config.flavors import is_gpu
from jobman.errors import ForbiddenError
from jobman.kube.client import Client
from jobman.queue.lease import WriterLease
from jobman.queue.publish import HeldError, Place, Publisher

NAME, NAMESPACE = "queue-writer", "public"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
CONFIGMAP = f"/api/v1/namespaces/{NAMESPACE}/configmaps/queue"
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
MISSING = Reply(404, {"kind": "Status", "reason": "NotFound", "code": 404})
CONFLICT = Reply(409, {"kind": "Status", "reason": "Conflict", "code": 409})
FORBIDDEN = Reply(403, {"kind": "Status", "reason": "Forbidden", "code": 403})
EMPTY = Reply(200, {"kind": "List", "metadata": {}, "items": []})


class OneLease:
    """A lease on a server, changed as a server lets it be."""

    def __init__(self, server: ScriptedServer) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        server.script("GET", f"{LEASES}/{NAME}", lambda _: self._reply())
        server.script("POST", LEASES, self._create)
        server.script("PUT", f"{LEASES}/{NAME}", self._replace)

    def _reply(self) -> Reply:
        return Reply(200, self.lease) if self.lease else MISSING

    def _create(self, asked: Asked) -> Reply:
        return CONFLICT if self.lease else self._kept(asked)

    def _replace(self, asked: Asked) -> Reply:
        stale = asked.body["metadata"]["resourceVersion"] != str(self.version)
        return CONFLICT if stale else self._kept(asked)

    def _kept(self, asked: Asked) -> Reply:
        self.version += 1
        meta = asked.body["metadata"] | {"resourceVersion": str(self.version), "uid": "u"}
        self.lease = asked.body | {"metadata": meta}
        return self._reply()


@dataclass
class Clock:
    """Seconds as a test says."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def on_server(scripted_server: ScriptedServer) -> OneLease:
    return OneLease(scripted_server)


def a_lease(client: Client, clock: Clock) -> WriterLease:
    return WriterLease(client, NAME, NAMESPACE, duration_s=20, clock=clock)


def test_the_first_has_it_and_keeps_it(client: Client, on_server: OneLease) -> None:
    clock = Clock()
    first, second = a_lease(client, clock), a_lease(client, clock)

    assert [first.hold(), second.hold(), first.hold()] == [True, False, True]
    assert (first.valid, second.valid) == (True, False)
    assert second.holder == first.holder


def test_given_back_it_is_free_at_once(client: Client, on_server: OneLease) -> None:
    clock = Clock()
    first, second = a_lease(client, clock), a_lease(client, clock)
    first.hold()
    first.release()

    assert (first.valid, second.hold()) == (False, True)


def test_a_dead_holder_is_followed_when_it_was_seen_still_for_long_enough(
    client: Client, on_server: OneLease
) -> None:
    clock = Clock()
    first, second = a_lease(client, clock), a_lease(client, clock)
    first.hold()
    clock.now = 100
    assert not second.hold()
    assert second.runs_out_in_s == 20
    clock.now = 119
    assert not second.hold()
    clock.now = 120

    assert second.hold()
    assert not first.hold()


def test_a_holder_that_renews_stays(client: Client, on_server: OneLease) -> None:
    clock = Clock()
    first, second = a_lease(client, clock), a_lease(client, clock)
    for clock.now in (0, 15, 30, 45):
        assert first.hold()
        assert not second.hold()


def test_of_two_that_take_it_at_once_one_does(client: Client, on_server: OneLease) -> None:
    clock = Clock()
    leases = [a_lease(client, clock) for _ in range(2)]
    got: list[bool] = []
    threads = [
        threading.Thread(target=lambda each=each: got.append(each.hold())) for each in leases
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got) in ([False, True], [False, False])
    assert sum(lease.valid for lease in leases) == sum(got)


@pytest.fixture
def cluster(scripted_server: ScriptedServer, on_server: OneLease) -> ScriptedServer:
    for path in ("/api/v1/pods", "/apis/batch/v1/jobs", "/api/v1/nodes"):
        scripted_server.script("GET", path, EMPTY)
    written = {"kind": "ConfigMap", "metadata": {"name": "queue"}}
    scripted_server.script("PATCH", CONFIGMAP, Reply(200, written))
    return scripted_server


def a_publisher(client: Client) -> Publisher:
    place = Place(NAMESPACE, "queue")
    return Publisher(client, place, is_gpu=is_gpu, label=None, now=lambda: NOW)


def test_once_writes_and_gives_the_lease_back(
    client: Client, cluster: ScriptedServer, on_server: OneLease
) -> None:
    done = a_publisher(client).once(a_lease(client, Clock()))

    assert (done.pods, done.groups) == (0, 0)
    assert on_server.lease is not None
    assert on_server.lease["spec"]["holderIdentity"] == ""
    assert len(cluster.asked("PATCH", CONFIGMAP)) == 1


def test_once_beside_a_living_one_is_refused(
    client: Client, cluster: ScriptedServer, on_server: OneLease
) -> None:
    clock = Clock()
    other, mine = a_lease(client, clock), WriterLease(client, NAME, NAMESPACE, duration_s=0)
    other.hold()
    with pytest.raises(HeldError, match="another publisher"):
        a_publisher(client).once(mine)
    assert not cluster.asked("PATCH", CONFIGMAP)


def until_said(client: Client, rounds: int) -> list[str]:
    """What a publisher says in so many rounds."""
    stop, said = threading.Event(), list[str]()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == rounds:
            stop.set()

    a_publisher(client).forever(a_lease(client, Clock()), every_s=0.01, stop=stop, say=say)
    return said


def test_an_api_server_that_goes_and_comes_back_is_outlived(
    client: Client, cluster: ScriptedServer
) -> None:
    down = Reply(503, {"kind": "Status", "reason": "ServiceUnavailable", "code": 503})
    cluster.script("GET", "/api/v1/pods", EMPTY, *[down] * 12, EMPTY)

    said = until_said(client, 5)

    assert said[0].startswith("published 0 pods")
    assert said[1].startswith("not published, trying again in 0.01s:")
    assert said[-1].startswith("published 0 pods")


def test_missing_rights_end_it(client: Client, cluster: ScriptedServer) -> None:
    cluster.script("GET", "/api/v1/pods", FORBIDDEN)
    cluster.script("GET", f"/api/v1/namespaces/{NAMESPACE}/pods", FORBIDDEN)
    with pytest.raises(ForbiddenError):
        until_said(client, 1)
