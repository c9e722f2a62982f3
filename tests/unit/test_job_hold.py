"""Stopping a job: its logs are read before it is suspended, and only whole ones called so."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from plugins.job_world import BATCH, JobWorld, a_job, a_pod, exited, running
from plugins.scripted_server import Asked, Reply

from jobman.errors import ForbiddenError, JobmanError, UnavailableError
from jobman.jobs import standing
from jobman.jobs.hold import Stopped, stop
from jobman.kube.client import Client
from jobman.kube.objects import Job
from jobman.kube.resources import JOBS

TEXT = {"Content-Type": "text/plain"}
FIRST = b"2026-11-21T11:52:01.1Z first\n"
LAST = b"2026-11-21T11:52:02.2Z last\n"
DENIED = Reply(403, {"kind": "Status", "reason": "Forbidden", "message": "not you", "code": 403})
DOWN = Reply(503, {"kind": "Status", "reason": "ServiceUnavailable", "message": "no", "code": 503})


class Sink:
    """Takes what comes until it has taken `room` bytes; then its disk is full."""

    def __init__(self, room: int = 1000) -> None:
        self.taken = b""
        self._room = room

    def write(self, data: bytes, /) -> None:
        if len(self.taken) + len(data) > self._room:
            raise OSError(28, "No space left on device")
        self.taken += data

    def flush(self) -> None:
        pass


class Stopping:
    """A job of two pods that say `last` when it is suspended; their node serves `again` only.

    The first `cut` follows of a pod's log end too early.
    """

    def __init__(self, world: JobWorld, client: Client) -> None:
        self.world = world
        self.client = client
        self.suspended = threading.Event()
        self.let_go = threading.Event()
        self.answer: Reply | None = None
        world.jobs.put(a_job("a"))
        world.server.script("PATCH", f"{BATCH}/a", self._suspend)
        for name in ("a-0", "a-1"):
            pod = a_pod("a", name, **running())
            pod["spec"]["terminationGracePeriodSeconds"] = 0
            world.pods.put(pod)
            self.serve(name)

    def serve(self, pod: str, *, again: bytes = FIRST, ends: bool = True, cut: int = 0) -> None:
        def follow(_: Asked) -> Reply:
            return Reply(200, headers=TEXT, chunks=chunks())

        def chunks() -> Iterator[bytes]:
            yield again
            self.suspended.wait(60)
            if not ends:
                self.let_go.wait(60)
            self.world.pods.update(pod, status=exited(143))
            yield LAST

        early = [Reply(200, again, headers=TEXT)] * cut
        self.world.log(pod, Reply(200, FIRST, headers=TEXT), *early, follow)

    def _suspend(self, asked: Asked) -> Reply:
        if self.answer is not None:
            return self.answer
        assert asked.body["spec"] == {"suspend": True}
        self.suspended.set()
        return Reply(200, self.world.jobs.objects["a"])

    def stop(self, sinks: dict[str, Sink], patience_s: float = 30.0) -> Stopped:
        job: Job = self.client.get(JOBS, "a")
        now = standing.read(self.client, job)
        return stop(self.client, now, lambda pod: sinks[pod.name], patience_s=patience_s)

    @property
    def asked(self) -> int:
        return len(self.world.server.asked("PATCH", f"{BATCH}/a"))


@pytest.fixture
def stopping(world: JobWorld, client: Client) -> Iterator[Stopping]:
    found = Stopping(world, client)
    yield found
    found.suspended.set()
    found.let_go.set()


@pytest.mark.parametrize(("room", "lacking"), [(1000, set()), (len("first\n"), {"a-0"})])
def test_a_log_whose_place_is_full_is_not_whole(
    stopping: Stopping, room: int, lacking: set[str]
) -> None:
    sinks = {"a-0": Sink(room), "a-1": Sink()}
    assert stopping.stop(sinks) == Stopped(frozenset(lacking))
    assert sinks["a-1"].taken == b"first\nlast\n"
    assert (sinks["a-0"].taken == b"first\nlast\n") == (not lacking)


def test_nothing_is_stopped_when_a_place_is_full_before(stopping: Stopping) -> None:
    with pytest.raises(JobmanError, match=r"a-1 cannot .*nothing is stopped: .*No space"):
        stopping.stop({"a-0": Sink(), "a-1": Sink(3)})
    assert stopping.asked == 0


def test_nothing_is_stopped_when_a_log_is_rotated_meanwhile(stopping: Stopping) -> None:
    stopping.serve("a-1", again=FIRST[:-3] + b"\n")
    with pytest.raises(JobmanError, match="nothing is stopped: 4 of 6 bytes came"):
        stopping.stop({"a-0": Sink(), "a-1": Sink()}, patience_s=0.3)
    assert stopping.asked == 0


def test_a_log_that_does_not_end_in_time_is_not_whole(stopping: Stopping) -> None:
    stopping.serve("a-1", ends=False)
    done = stopping.stop({"a-0": Sink(), "a-1": Sink()}, patience_s=2.0)
    assert "a-1" in done.lacking


def test_a_log_goes_on_where_a_follow_has_ended_before_its_container(stopping: Stopping) -> None:
    stopping.serve("a-1", cut=2)
    sinks = {"a-0": Sink(), "a-1": Sink()}
    assert stopping.stop(sinks) == Stopped(frozenset())
    assert sinks["a-1"].taken == b"first\nlast\n"


def test_a_log_of_a_pod_that_is_gone_is_over(stopping: Stopping) -> None:
    def follow(_: Asked) -> Reply:
        return Reply(200, headers=TEXT, chunks=chunks())

    def chunks() -> Iterator[bytes]:
        yield FIRST
        stopping.suspended.wait(60)
        stopping.world.pods.remove("a-1")
        yield LAST

    stopping.world.log("a-1", Reply(200, FIRST, headers=TEXT), follow)
    sinks = {"a-0": Sink(), "a-1": Sink()}
    assert stopping.stop(sinks) == Stopped(frozenset())
    assert sinks["a-1"].taken == b"first\nlast\n"


def test_a_refusal_stops_nothing(stopping: Stopping) -> None:
    stopping.answer = DENIED
    with pytest.raises(ForbiddenError):
        stopping.stop({"a-0": Sink(), "a-1": Sink()})


def test_a_cluster_that_does_not_answer_may_have_stopped_it(stopping: Stopping) -> None:
    stopping.answer = DOWN
    done = stopping.stop({"a-0": Sink(), "a-1": Sink()})
    assert isinstance(done.doubt, UnavailableError)
    assert done.lacking == {"a-0", "a-1"}
