"""Following logs, against a server whose connections end in every way they can."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from plugins.job_world import JobWorld, a_job, a_pod, creating, exited, running, stuck
from plugins.scripted_server import Asked, Reply

from jobman.errors import NotFoundError, WaitTimeoutError
from jobman.jobs.follow import Pauses, follow
from jobman.jobs.state import JobView
from jobman.kube.client import Client
from jobman.values.enums import State

TEXT = {"Content-Type": "text/plain"}


def stamped(*lines: str, first: int = 0) -> bytes:
    """Lines with stamps a tenth of a second apart, from the number `first` on."""
    return b"".join(
        b"2026-11-21T11:52:%02d.%d00000000Z %s\n" % (n // 10, n % 10, line.encode())
        for n, line in enumerate(lines, first)
    )


def log_of(*chunks: bytes, cut: bool = False, then: Callable[[], None] | None = None) -> Any:
    """A reply that streams the chunks, and does `then` before it ends."""

    def reply(asked: Asked) -> Reply:
        def parts() -> Iterator[bytes]:
            yield from chunks
            if then is not None:
                then()

        return Reply(200, headers=TEXT, chunks=parts(), cut=cut)

    return reply


def run(client: Client, name: str = "a", **options: Any) -> tuple[JobView, bytes]:
    out = io.BytesIO()
    usual = {"on_state": lambda view: None, "timeout_s": 60, "pauses": Pauses(0.05, 0.05)}
    view = follow(client, name, None, out=out, **usual | options)
    return view, out.getvalue()


def ends(world: JobWorld, code: int = 0, pod: str = "a-x") -> Callable[[], None]:
    return lambda: world.pods.update(pod, status=exited(code))


def test_the_log_and_then_the_outcome(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    world.log(
        "a-x",
        log_of(stamped("one", "two"), then=ends(world, 4)),
        log_of(stamped("one", "two")),
    )
    view, out = run(client)
    assert out == b"one\ntwo\n"
    assert (view.state, view.exit_code) == (State.FAILED, 4)
    first, last = world.asked_logs("a-x")
    assert first == {"container": "main", "follow": "true", "timestamps": "true"}
    assert "follow" not in last
    assert last["sinceTime"] == "2026-11-21T11:52:00Z"


def test_it_waits_for_the_start(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **creating()))
    world.log("a-x", log_of(stamped("up"), then=ends(world)))
    seen: list[str] = []

    def on_state(view: JobView) -> None:
        seen.append(view.state.value)
        if view.state is State.STARTING:
            world.pods.update("a-x", status=running())

    _, out = run(client, on_state=on_state)
    assert out == b"up\n"
    assert seen == ["Starting", "Running", "Succeeded"]


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "clean end"])
def test_a_connection_that_ends_too_early_is_taken_up_again(
    client: Client, world: JobWorld, cut: bool
) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    whole = stamped("one", "two", "three", "four")
    world.log(
        "a-x",
        log_of(stamped("one", "two"), b"2026-11-21T11:52:00.2000", cut=cut),
        log_of(whole, then=ends(world)),
        log_of(whole),
    )
    view, out = run(client)
    assert out == b"one\ntwo\nthree\nfour\n"
    assert view.state is State.SUCCEEDED
    assert len(world.asked_logs("a-x")) == 3


@pytest.mark.parametrize("zone_h", [8, -5])
def test_a_node_whose_clock_is_not_on_utc(client: Client, world: JobWorld, zone_h: int) -> None:
    """The server sends what is no older than `sinceTime`, whole seconds."""
    begin = datetime(2026, 11, 21, 11, 52, tzinfo=timezone(timedelta(hours=zone_h)))
    log = [(begin + timedelta(seconds=n), f"line {n}\n") for n in range(6)]

    def since(asked: Asked, lines: int) -> bytes:
        first = datetime.fromisoformat(asked.query.get("sinceTime", "2000-01-01T00:00:00Z"))
        sent = [f"{at.isoformat()} {text}" for at, text in log[:lines] if at >= first]
        return "".join(sent).encode()

    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    world.log(
        "a-x",
        lambda asked: log_of(since(asked, 4), cut=True)(asked),
        lambda asked: log_of(since(asked, 5), then=ends(world))(asked),
        lambda asked: log_of(since(asked, 6))(asked),
    )
    lacking: list[str] = []
    _, out = run(client, on_incomplete=lambda _, why: lacking.append(why))
    assert out.decode() == "".join(text for _, text in log)
    assert lacking == []


def test_what_came_between_the_streams_end_and_the_containers_is_read(
    client: Client, world: JobWorld
) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    whole = stamped("one", "last words")[:-1]
    world.log("a-x", log_of(stamped("one"), then=ends(world)), log_of(whole))
    _, out = run(client)
    assert out == b"one\nlast words"


def test_a_job_that_is_over_is_read_once(client: Client, world: JobWorld) -> None:
    done = {"type": "Complete", "status": "True"}
    world.jobs.put(a_job("a", status={"conditions": [done], "succeeded": 1}))
    world.pods.put(a_pod("a", **exited(0)))
    world.log("a-x", log_of(stamped("done")))
    view, out = run(client, tail=5, since_s=60)
    assert (view.state, out) == (State.SUCCEEDED, b"done\n")
    assert world.asked_logs("a-x") == [
        {"container": "main", "timestamps": "true", "tailLines": "5", "sinceSeconds": "60"}
    ]


def test_a_pod_that_is_seen_after_the_end_of_its_job_is_read(
    client: Client, world: JobWorld
) -> None:
    world.jobs.put(a_job("a"))
    world.log("a-x", log_of(stamped("quick")))
    complete = {"type": "Complete", "status": "True"}

    def end(view: JobView) -> None:
        if view.state is State.PENDING:
            world.jobs.update("a", status={"conditions": [complete], "succeeded": 1})
        elif not view.pods:
            world.pods.put(a_pod("a", **exited(0)))

    view, out = run(client, on_state=end)
    assert (view.state, out) == (State.SUCCEEDED, b"quick\n")


def test_the_window_is_for_the_first_connection_alone(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    world.log(
        "a-x",
        log_of(stamped("five", first=5), cut=True),
        log_of(stamped("four", "five", "six", first=4), then=ends(world)),
        log_of(stamped("six", first=6)),
    )
    _, out = run(client, tail=1)
    assert [("tailLines" in query, "sinceTime" in query) for query in world.asked_logs("a-x")] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert out.startswith(b"five\n")
    assert out.endswith(b"six\n")


def test_timestamps_stay_where_wanted(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **exited(0)))
    world.log("a-x", log_of(stamped("done")))
    assert run(client, timestamps=True)[1] == stamped("done")


def test_a_log_that_is_not_there_yet_is_asked_for_again(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    starting = {"kind": "Status", "reason": "BadRequest", "message": "waiting", "code": 400}
    world.log(
        "a-x",
        Reply(400, starting),
        Reply(204),
        log_of(stamped("up"), then=ends(world)),
        log_of(stamped("up")),
    )
    assert run(client)[1] == b"up\n"


def test_all_pods_in_the_order_of_their_index(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a", spec={"completions": 2, "parallelism": 2}))
    for index, name in enumerate(["a-0-z", "a-1-b"]):
        pod = a_pod("a", name, **exited(0))
        mark = {"batch.kubernetes.io/job-completion-index": str(index)}
        pod["metadata"]["annotations"] = mark
        world.pods.put(pod)
        world.log(name, log_of(stamped(f"from {index}")))
    view, out = run(client)
    assert out == b"from 0\nfrom 1\n"
    assert (view.state, view.exit_code) == (State.SUCCEEDED, None)


def test_a_retry_is_followed_too(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a", spec={"backoffLimit": 1}))
    world.pods.put(a_pod("a", "a-1", **running()))

    def again() -> None:
        world.pods.update("a-1", status=exited(1))
        world.pods.put(a_pod("a", "a-2", age_s=10, **running()))

    world.log("a-1", log_of(stamped("first"), then=again), log_of(stamped("first")))
    world.log("a-2", log_of(stamped("second"), then=ends(world, 0, "a-2")), log_of(b""))
    view, out = run(client)
    assert out == b"first\nsecond\n"
    assert view.state is State.SUCCEEDED


def test_what_can_never_start_has_no_log(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **stuck("ErrImageNeverPull", "absent")))
    view, out = run(client)
    assert (view.state, out) == (State.STUCK, b"")
    assert world.asked_logs("a-x") == []


def test_a_job_that_is_deleted_gives_its_last_words(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))

    def gone() -> None:
        world.jobs.remove("a")
        leaving = a_pod("a", **exited(143))
        leaving["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
        world.pods.put(leaving)
        world.pods.remove("a-x")

    world.log("a-x", log_of(stamped("last words"), then=gone), Reply(404, {"code": 404}))
    out = io.BytesIO()
    with pytest.raises(NotFoundError, match="job a was deleted"):
        follow(client, "a", None, out=out, on_state=lambda _: None, timeout_s=60)
    assert out.getvalue() == b"last words\n"


def test_the_timeout_ends_a_quiet_log_and_its_threads(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    quiet = threading.Event()
    world.log("a-x", log_of(stamped("one"), then=lambda: quiet.wait(60) and None))
    before = set(threading.enumerate())
    out = io.BytesIO()
    try:
        with pytest.raises(WaitTimeoutError):
            follow(client, "a", None, out=out, on_state=lambda _: None, timeout_s=0.4)
        left = [t for t in set(threading.enumerate()) - before if t.name in ("log", "watch")]
        for thread in left:
            thread.join(20)
        assert not any(thread.is_alive() for thread in left)
    finally:
        quiet.set()
    assert out.getvalue() == b"one\n"
