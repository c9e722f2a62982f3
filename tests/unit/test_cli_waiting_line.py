"""The line that says why a job waits, while it is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from plugins.command_line import Stream
from plugins.job_world import NAMESPACE, NOW, JobWorld, a_job, a_pod
from plugins.scripted_server import Asked, Reply

from jobman.cli.context import AppContext
from jobman.cli.waiting_line import Pace, WaitingLine
from jobman.jobs.state import JobView
from jobman.values.enums import State

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"
AT_ONCE = Pace(settle_s=0.01, least_s=0.0, again_s=0.05, most_s=0.05)
ONCE = Pace(settle_s=0.01, least_s=0.0, again_s=3600, most_s=3600)
SAID = "0/1 nodes are available: 1 Insufficient cpu."
WAITS = JobView(state=State.PENDING, reason="Unschedulable", message=SAID)
RUNS = JobView(state=State.RUNNING)
DENIED = Reply(403, {"kind": "Status", "reason": "Forbidden", "message": "not you", "code": 403})
PLAIN = f"job a: Pending: Unschedulable: {SAID}"
NEVER = "job a: Pending: it can never fit: it asks for 4 cpu, and the nearest has 2 cpu in all (n1)"


class Seen(Stream):
    """A stream of which each writing can be awaited."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__(terminal=terminal)
        self.changed = threading.Condition()

    def write(self, text: str) -> int:
        with self.changed:
            count = super().write(text)
            self.changed.notify_all()
        return count

    def wait_for(self, text: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: text in self.bytes.decode(), 10), self.bytes


def a_node(cpu: str) -> dict[str, Any]:
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": {"cpu": cpu, "pods": "110"}, "conditions": ready}
    return {"metadata": {"name": "n1"}, "spec": {}, "status": status}


def a_list(*items: dict[str, Any], goes_on: bool = False) -> Reply:
    meta = {"resourceVersion": "9"} | ({"continue": "more"} if goes_on else {})
    return Reply(200, {"kind": "List", "metadata": meta, "items": items})


@pytest.fixture
def big(world: JobWorld) -> JobWorld:
    """A job whose pod is bigger than the only node."""
    wants = {"resources": {"requests": {"cpu": "4"}}}
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod = a_pod("a", phase="Pending", conditions=[said | {"message": WAITS.message}])
    pod["spec"] = {"containers": [{"name": "main"} | wants]}
    world.jobs.put(a_job("a", container=wants))
    world.pods.put(pod)
    world.server.script("GET", PODS, a_list())
    world.server.script("GET", NODES, a_list(a_node("2")))
    return world


App = Callable[[bool], AppContext]


@pytest.fixture
def app(big: JobWorld, write_kubeconfig: Callable[..., Path]) -> App:
    kubeconfig = write_kubeconfig(big.server.url, context={"namespace": NAMESPACE})
    environ = {"KUBECONFIG": str(kubeconfig)}

    def make(terminal: bool) -> AppContext:
        err = Seen(terminal=terminal)
        return AppContext(
            out=Stream(terminal=False), err=err, environ=environ, now=lambda: NOW, columns=200
        )

    return make


def seen(app: AppContext) -> Seen:
    assert isinstance(app.err, Seen)
    return app.err


def lines(app: AppContext) -> list[str]:
    return seen(app).bytes.decode().splitlines()


def test_the_state_first_and_then_why(app: App) -> None:
    piped = app(False)
    with WaitingLine(piped, "a", NAMESPACE, ONCE) as line:
        line.show(WAITS)
        seen(piped).wait_for(NEVER)
        line.show(JobView(state=State.PENDING, reason="Unschedulable", message="other words"))
        line.show(RUNS)
    assert lines(piped) == [PLAIN, NEVER]


def test_a_terminal_is_left_empty(app: App) -> None:
    terminal = app(True)
    with WaitingLine(terminal, "a", NAMESPACE, ONCE) as line:
        line.show(WAITS)
        seen(terminal).wait_for(NEVER)
    assert seen(terminal).bytes.decode() == f"\r\x1b[K{PLAIN}\r\x1b[K{NEVER}\r\x1b[K"


def test_it_is_looked_at_again_and_said_when_it_is_new(app: App, big: JobWorld) -> None:
    big.server.script("GET", NODES, a_list(a_node("2")), a_list(a_node("2")), a_list(a_node("3")))
    piped = app(False)
    with WaitingLine(piped, "a", NAMESPACE, AT_ONCE) as line:
        line.show(WAITS)
        seen(piped).wait_for("has 3 cpu in all")
    assert lines(piped) == [PLAIN, NEVER, NEVER.replace("has 2", "has 3")]


@pytest.mark.parametrize(
    ("pods", "asked"),
    [([Reply(400)], {1}), ([a_list(goes_on=True)] * 5, {5, 6})],  # one more is asked for ahead
    ids=["it cannot be learnt", "too many pods to be counted"],
)
def test_what_is_said_when_the_cluster_is_not_looked_at(
    app: App, big: JobWorld, pods: Sequence[Reply], asked: set[int]
) -> None:
    """The line stays what the state says, or what the scheduler says."""
    piped, done = app(False), threading.Event()
    *before, last = pods

    def at_last(request: Asked) -> Reply:
        done.set()
        return last

    big.server.script("GET", PODS, *before, at_last)
    with WaitingLine(piped, "a", NAMESPACE, ONCE) as line:
        line.show(WAITS)
        assert done.wait(10)
        line.show(RUNS)
    assert len(big.server.asked("GET", PODS)) in asked
    assert "never fit" not in seen(piped).bytes.decode()


def test_a_job_that_starts_at_once_costs_no_request(app: App, big: JobWorld) -> None:
    piped = app(False)
    with WaitingLine(piped, "a", NAMESPACE) as line:
        line.show(WAITS)
        line.show(RUNS)
    assert big.server.requests == []


def test_few_requests(app: App, big: JobWorld) -> None:
    piped = app(False)
    with WaitingLine(piped, "a", NAMESPACE, ONCE) as line:
        line.show(WAITS)
        seen(piped).wait_for(NEVER)
    asked = [request.path for request in big.server.requests if request.method == "GET"]
    assert len(asked) <= 8, asked


def test_one_that_may_read_its_namespace_alone(app: App, big: JobWorld) -> None:
    for path in (PODS, NODES):
        big.server.script("GET", path, DENIED)
    piped = app(False)
    with WaitingLine(piped, "a", NAMESPACE, ONCE) as line:
        line.show(WAITS)
        seen(piped).wait_for(
            "job a: Pending: no node that may take it has enough left: less than 4 cpu on 1 node"
        )
