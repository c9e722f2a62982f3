"""Waiting for jobs, against a server whose objects change meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from plugins.job_world import (
    BATCH,
    CORE,
    JobWorld,
    a_job,
    a_pod,
    creating,
    exited,
    running,
    stuck,
)
from plugins.scripted_server import Asked, Reply

from jobman.errors import ApiNotFoundError, ForbiddenError, NotFoundError, WaitTimeoutError
from jobman.jobs.state import JobView
from jobman.jobs.wait import until
from jobman.kube.client import Client
from jobman.values.enums import State

FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
COMPLETE = {"type": "Complete", "status": "True"}


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Run `act` in a thread of its own; what it raises fails the test."""
    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


def steps_of(views: list[JobView]) -> list[tuple[str, str]]:
    return [(view.state.value, view.reason) for view in views]


def test_from_the_submission_to_the_exit_code(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    views: list[JobView] = []
    told = threading.Condition()

    def on_state(view: JobView) -> None:
        with told:
            views.append(view)
            told.notify_all()

    def then(expected: State) -> None:
        with told:
            assert told.wait_for(lambda: bool(views) and views[-1].state is expected, 30)

    def live() -> None:
        then(State.PENDING)
        world.pods.put(a_pod("a", **creating()))
        then(State.STARTING)
        world.pods.update("a-x", status=running())
        then(State.RUNNING)
        world.pods.update("a-x", status=exited(7))

    with meanwhile(live):
        view = until(client, "a", None, goal="finished", timeout_s=60, on_state=on_state)
    assert (view.state, view.exit_code) == (State.FAILED, 7)
    assert views[-1] == view
    assert steps_of(views) == [
        ("Pending", ""),
        ("Starting", "ContainerCreating"),
        ("Running", ""),
        ("Failed", "Error(exit 7)"),
    ]


def test_a_job_that_is_over_has_its_exit_code_at_once(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a", status={"conditions": [FAILED], "failed": 1}))
    world.pods.put(a_pod("a", **exited(7)))
    views: list[JobView] = []
    view = until(client, "a", None, goal="finished", timeout_s=60, on_state=views.append)
    assert (view.state, view.exit_code) == (State.FAILED, 7)
    assert views == [view]


@pytest.mark.parametrize("seen", [True, False], ids=["it ran", "not seen yet"])
def test_a_pod_that_is_seen_to_end_after_its_job_tells_the_exit_code(
    client: Client, world: JobWorld, seen: bool
) -> None:
    world.jobs.put(a_job("a"))
    if seen:
        world.pods.put(a_pod("a", **running()))

    begun, job_ended = threading.Event(), threading.Event()

    def on_state(_: JobView) -> None:
        (job_ended if begun.is_set() else begun).set()

    def end() -> None:
        assert begun.wait(30)
        world.jobs.update("a", status={"conditions": [FAILED], "failed": 1})
        assert job_ended.wait(30)
        world.pods.put(a_pod("a", **exited(7)))

    with meanwhile(end):
        view = until(client, "a", None, goal="finished", timeout_s=60, on_state=on_state)
    assert (view.state, view.exit_code) == (State.FAILED, 7)


def test_a_pod_that_never_shows_is_not_waited_for_long(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    begun = threading.Event()

    def end() -> None:
        assert begun.wait(30)
        world.jobs.update("a", status={"conditions": [FAILED]})

    with meanwhile(end):
        view = until(
            client, "a", None, goal="finished", timeout_s=60, on_state=lambda _: begun.set()
        )
    assert (view.state, view.exit_code) == (State.FAILED, None)


def test_started_is_enough_where_asked(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    view = until(client, "a", None, goal="started", timeout_s=60, on_state=lambda _: None)
    assert view.state is State.RUNNING


def test_what_can_never_start_ends_the_wait(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **stuck("InvalidImageName", "bad")))
    view = until(client, "a", None, goal="finished", timeout_s=60, on_state=lambda _: None)
    assert (view.state, view.reason, view.message) == (State.STUCK, "InvalidImageName", "bad")


def test_events_tell_why_there_is_no_pod(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.refusal("a", 'pods "a-b" is forbidden: no such service account')
    view = until(client, "a", None, goal="finished", timeout_s=60, on_state=lambda _: None)
    assert (view.state, view.reason) == (State.STUCK, "FailedCreate")
    (asked,) = [a for a in world.server.requests if a.path == f"{CORE}/events"][:1]
    assert "reason!=Scheduled" in asked.query["fieldSelector"].split(",")


def test_events_that_may_not_be_read_are_done_without(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    denied = {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403}

    def refuse(asked: Asked) -> Reply:
        world.pods.put(a_pod("a", **exited(0)))
        return Reply(403, denied)

    world.server.script("GET", f"{CORE}/events", refuse)
    view = until(client, "a", None, goal="finished", timeout_s=60, on_state=lambda _: None)
    assert view.state is State.SUCCEEDED
    assert world.server.asked("GET", f"{CORE}/events")


def test_pods_that_may_not_be_read_are_an_error(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    denied = {"kind": "Status", "reason": "Forbidden", "message": "no pods", "code": 403}
    world.server.script("GET", f"{CORE}/pods", Reply(403, denied))
    with pytest.raises(ForbiddenError, match="no pods"):
        until(client, "a", None, goal="finished", timeout_s=60, on_state=lambda _: None)


def test_the_timeout_bounds_the_waiting(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError) as caught:
        until(client, "a", None, goal="finished", timeout_s=0.3, on_state=lambda _: None)
    assert 0.3 <= time.monotonic() - began < 20
    assert caught.value.exit_code == 124
    assert "job a has not finished" in caught.value.message


def test_a_job_that_is_not_there(client: Client, world: JobWorld) -> None:
    with pytest.raises(ApiNotFoundError):
        until(client, "nope", None, goal="finished", timeout_s=60, on_state=lambda _: None)


def test_a_job_deleted_in_the_middle(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    seen = threading.Event()

    def live() -> None:
        assert seen.wait(30)
        world.jobs.remove("a")

    def on_state(view: JobView) -> None:
        if view.state is State.RUNNING:
            seen.set()

    with meanwhile(live), pytest.raises(NotFoundError, match="job a was deleted"):
        until(client, "a", None, goal="finished", timeout_s=60, on_state=on_state)


def test_a_job_that_is_deleted_when_done_keeps_its_outcome(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    begun = threading.Event()

    def live() -> None:
        assert begun.wait(30)
        leaving = a_job("a", status={"conditions": [COMPLETE], "succeeded": 1})
        leaving["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
        world.jobs.put(leaving)
        world.jobs.remove("a")

    with meanwhile(live):
        view = until(
            client, "a", None, goal="finished", timeout_s=60, on_state=lambda _: begun.set()
        )
    assert view.state is State.SUCCEEDED


def test_the_pod_of_an_earlier_job_of_that_name_is_not_its_own(
    client: Client, world: JobWorld
) -> None:
    world.jobs.put(a_job("a"))
    old = a_pod("a", **exited(0))
    old["metadata"]["ownerReferences"][0]["uid"] = "uid-earlier"
    world.pods.put(old)
    with pytest.raises(WaitTimeoutError):
        until(client, "a", None, goal="finished", timeout_s=0.5, on_state=lambda _: None)


def test_nothing_is_asked_again_and_again(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    with pytest.raises(WaitTimeoutError):
        until(client, "a", None, goal="finished", timeout_s=1.5, on_state=lambda _: None)
    assert [a.path for a in world.server.requests if a.query.get("watch") != "true"] == [
        f"{BATCH}/a",
        f"{CORE}/pods",
    ]
    assert len([a for a in world.server.requests if a.query.get("watch") == "true"]) == 2
