"""Who may work on a run: one at a time, and a dead one is followed at once where it can be seen."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from plugins.scripted_server import Asked, Reply, ScriptedServer

from jobman.errors import ApiNotFoundError, JobmanError
from jobman.kube.client import Client
from jobman.kube.resources import LEASES
from jobman.map.lease import CancelledError, HeldError, Holder, RunLease, is_alive, myself

ME = myself()
DEAD = Holder(ME.host, "999999999.1")
ELSEWHERE = Holder("another/boot/1", "7.70")


def lease_of(client: Client, lost: list[JobmanError] | None = None, **options: Any) -> RunLease:
    told = [] if lost is None else lost
    return RunLease(client, "abc", lost=told.append, **({"duration_s": 1} | options))


def holder(client: Client) -> str | None:
    return client.get(LEASES, "jobman-map-abc").spec.holder_identity


def exists(client: Client) -> bool:
    return any(lease.metadata.name == "jobman-map-abc" for lease in client.list(LEASES).items)


def until(look: Callable[[], object], timeout_s: float = 30) -> None:
    """Return when `look` sees something; the lease is renewed by a thread of its own."""
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def held_by(client: Client, who: Holder) -> None:
    spec = {"holderIdentity": str(who), "leaseDurationSeconds": 15}
    head = {"apiVersion": LEASES.group_version, "kind": LEASES.kind}
    client.create(LEASES, {**head, "metadata": {"name": "jobman-map-abc"}, "spec": spec})


def change_holder(client: Client, who: Holder) -> None:
    patch = {"spec": {"holderIdentity": str(who), "renewTime": _now()}}
    client.patch(LEASES, "jobman-map-abc", patch)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**6:06}Z"


@contextmanager
def renewing(client: Client) -> Iterator[None]:
    over = threading.Event()

    def renew() -> None:
        while not over.wait(0.1):
            change_holder(client, ELSEWHERE)

    thread = threading.Thread(target=renew)
    thread.start()
    yield
    over.set()
    thread.join()


def test_it_is_held_while_the_run_lasts_and_gone_afterwards(map_client: Client) -> None:
    lease = lease_of(map_client)
    assert not lease.valid
    assert not lease.confirmed()
    lease.acquire()
    with lease.held():
        assert holder(map_client) == str(ME)
        before = map_client.get(LEASES, lease.name).metadata.resource_version
        until(lambda: map_client.get(LEASES, lease.name).metadata.resource_version != before)
        assert lease.valid
    with pytest.raises(ApiNotFoundError):
        holder(map_client)


def test_a_second_runner_is_refused_at_once(map_client: Client) -> None:
    first = lease_of(map_client)
    first.acquire()
    with first.held():
        began = time.monotonic()
        with pytest.raises(
            HeldError, match=f"another runner works on this run: .*process {_pid()}"
        ):
            lease_of(map_client, duration_s=15).acquire()
        assert time.monotonic() - began < 10


def _pid() -> str:
    return ME.process.partition(".")[0]


def test_a_dead_holder_on_this_host_is_followed_at_once(map_client: Client) -> None:
    held_by(map_client, DEAD)
    began = time.monotonic()
    lease = lease_of(map_client, duration_s=15)
    lease.acquire()
    with lease.held():
        assert time.monotonic() - began < 10
        assert holder(map_client) == str(ME)


def test_a_silent_holder_elsewhere_is_followed_after_its_time(map_client: Client) -> None:
    held_by(map_client, ELSEWHERE)
    began = time.monotonic()
    lease = lease_of(map_client)
    lease.acquire()
    with lease.held():
        assert time.monotonic() - began >= 1
        assert holder(map_client) == str(ME)


def test_a_living_holder_elsewhere_keeps_it(map_client: Client) -> None:
    held_by(map_client, ELSEWHERE)
    with renewing(map_client), pytest.raises(HeldError, match="another, process 7"):
        lease_of(map_client, duration_s=15).acquire()


@pytest.mark.parametrize("end", [None, KeyboardInterrupt, ValueError])
def test_that_of_an_unfinished_run_stays_without_a_holder(
    map_client: Client, end: type[BaseException] | None
) -> None:
    lease = lease_of(map_client, duration_s=15, told=lambda: {"far": "enough"})
    lease.acquire()
    with contextlib.suppress(KeyboardInterrupt, ValueError), lease.held(over=lambda: False):
        if end:
            raise end
    found = map_client.get(LEASES, lease.name)
    assert (found.spec.holder_identity, found.metadata.annotations["far"]) == ("", "enough")
    began = time.monotonic()
    another = lease_of(map_client, duration_s=15)
    another.acquire()
    assert time.monotonic() - began < 1
    with another.held():
        assert holder(map_client) == str(ME)


def test_one_that_was_taken_over_is_told(map_client: Client) -> None:
    lost: list[JobmanError] = []
    lease = lease_of(map_client, lost)
    lease.acquire()
    with lease.held():
        change_holder(map_client, ELSEWHERE)
        until(lambda: lost)
    assert [type(error) for error in lost] == [HeldError]
    assert not lease.valid
    assert not lease.confirmed()
    assert holder(map_client) == str(ELSEWHERE)


def test_one_that_somebody_deleted_is_made_anew(map_client: Client) -> None:
    lease = lease_of(map_client)
    lease.acquire()
    with lease.held():
        map_client.delete(LEASES, lease.name)
        until(lambda: exists(map_client))
        assert holder(map_client) == str(ME)
        assert lease.valid


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, ValueError])
def test_it_is_given_back_however_the_run_ends(
    map_client: Client, end: type[BaseException]
) -> None:
    lease = lease_of(map_client)
    lease.acquire()
    with pytest.raises(end), lease.held():
        raise end
    with pytest.raises(ApiNotFoundError):
        holder(map_client)


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        pytest.param(ME, True, id="this very process"),
        pytest.param(
            Holder(ME.host, ME.process + "9"), False, id="its id, started at another time"
        ),
        pytest.param(DEAD, False, id="no such process"),
        pytest.param(Holder(ME.host, "x"), False, id="nonsense"),
        pytest.param(Holder(ME.host, ""), False, id="nobody"),
        pytest.param(ELSEWHERE, None, id="on another host"),
    ],
)
def test_who_is_alive(who: Holder, expected: bool | None) -> None:
    assert is_alive(who, ME) is expected


def test_a_holder_comes_back_from_its_text() -> None:
    assert Holder.of_text(str(ME)) == ME


def test_a_cancelled_run_ends_its_runner_which_gives_the_lease_back(map_client: Client) -> None:
    told: list[JobmanError] = []
    lease = lease_of(map_client, told, user="alice")
    lease.acquire()
    with lease.held():
        mark = {"metadata": {"annotations": {"jobman/cancelled-by": "bob"}}}
        map_client.patch(LEASES, lease.name, mark)
        until(lambda: told)
        assert [type(error) for error in told] == [CancelledError]
        assert "cancelled by bob" in told[0].message
        assert not lease.valid
        assert lease.confirmed()
    with pytest.raises(ApiNotFoundError):
        holder(map_client)


def test_who_cancelled_a_run_stays_known_until_it_is_taken_up(map_client: Client) -> None:
    told: list[JobmanError] = []
    lease = lease_of(map_client, told)
    lease.acquire()
    with lease.held(over=lambda: False):
        mark = {"metadata": {"annotations": {"jobman/cancelled-by": "bob"}}}
        map_client.patch(LEASES, lease.name, mark)
        until(lambda: told)
    assert map_client.get(LEASES, lease.name).metadata.annotations["jobman/cancelled-by"] == "bob"
    again = lease_of(map_client)
    again.acquire()
    with again.held():
        notes = map_client.get(LEASES, lease.name).metadata.annotations
        assert "jobman/cancelled-by" not in notes


def test_an_answer_that_comes_late_tells_of_a_lease_that_has_run_out(
    scripted_server: ScriptedServer, make_client: Callable[..., Client]
) -> None:
    """Somebody else may have it by then: it holds since the server wrote it, not since it said."""

    def late(asked: Asked) -> Reply:
        threading.Event().wait(1.1)
        return Reply(201, {"metadata": {"name": "l", "uid": "l", "resourceVersion": "1"}})

    scripted_server.script("POST", "/apis/coordination.k8s.io/v1/namespaces/team/leases", late)
    lease = lease_of(make_client(scripted_server))
    lease.acquire()
    with lease.held():
        assert not lease.valid
