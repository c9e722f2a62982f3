"""`jobman logs map-RUN`: the items' pods are read as those of a job are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins.command_line import Run
from plugins.job_world import MANAGED, JobWorld, ago, exited, running, stuck
from plugins.scripted_server import Asked, Reply

RUN = "bcdfghjk"
NAME = f"map-{RUN}"
ONE = b"2026-11-21T11:52:01.1Z one\n"
TWO = b"2026-11-21T11:52:02.2Z two\n"


def put(world: JobWorld, item: int, status: dict[str, Any] | None = None) -> str:
    """The item's pod, which waits for a node unless it has a status."""
    name = f"item-{item}"
    meta = {
        "name": name,
        "creationTimestamp": ago(500),
        "labels": MANAGED | {"jobman/run": RUN, "jobman/user": "alice"},
        "annotations": {"jobman/user": "alice", "jobman/item": str(item)},
    }
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
    world.pods.put({"metadata": meta, "spec": spec, "status": status or {"phase": "Pending"}})
    return name


def log_of(
    *chunks: bytes, cut: bool = False, then: Callable[[], object] = bool
) -> Callable[[Asked], Reply]:
    """A log; `then` is done before its connection ends."""

    def parts() -> Iterator[bytes]:
        yield from chunks
        then()

    text = {"Content-Type": "text/plain"}
    return lambda _: Reply(200, headers=text, chunks=parts(), cut=cut)


def test_a_pod_that_waits_is_waited_for(run: Run, world: JobWorld) -> None:
    name = put(world, 3)

    def begin(talk: str) -> None:
        if "item-3: Pending" in talk:
            put(world, 3, running())

    world.log(name, log_of(ONE, then=lambda: put(world, 3, exited(0))), log_of(ONE, TWO))
    done = run("logs", "-f", NAME, on_talk=begin)
    assert (done.code, done.out) == (0, "one\ntwo\n")
    assert "item-3: Pending" in done.talk


@pytest.mark.parametrize("follow", [True, False])
def test_a_connection_that_is_cut_is_taken_up_again(
    run: Run, world: JobWorld, follow: bool
) -> None:
    name = put(world, 3, running() if follow else exited(0))
    end = (lambda: put(world, 3, exited(0))) if follow else bool
    world.log(name, log_of(ONE, cut=True), log_of(ONE, TWO, then=end), log_of(ONE, TWO))
    done = run("logs", *(["-f"] if follow else []), NAME)
    assert (done.code, done.out) == (0, "one\ntwo\n")


def test_the_runner_deletes_a_pod_whose_log_it_has(run: Run, world: JobWorld) -> None:
    name = put(world, 3, running())
    gone = Reply(404, {"kind": "Status", "reason": "NotFound", "message": "no", "code": 404})
    world.log(name, log_of(ONE, TWO, then=lambda: world.pods.remove(name)), gone)
    done = run("logs", "-f", NAME)
    assert (done.code, done.out) == (0, "one\ntwo\n")


@pytest.mark.parametrize("follow", [True, False])
def test_where_they_go(run: Run, world: JobWorld, follow: bool) -> None:
    for item, line in ((3, ONE), (10, TWO)):
        world.log(put(world, item, exited(0)), log_of(line))
    words = ["logs", *(["-f"] if follow else []), NAME]
    assert run(*words).out == "one\ntwo\n"
    assert sorted(run(*words, "--all-pods").lines) == ["[item-10/10] two", "[item-3/3] one"]
    assert run(*words, "--index", "10", "--all-pods").lines == ["[item-10/10] two"]
    assert run(*words, "--save", "logs/").lines == ["logs/item-3.log", "logs/item-10.log"]
    assert Path("logs/item-10.log").read_text() == "two\n"
    assert run(*words, "--save", "both", "--timestamps").code == 0
    assert Path("both").read_bytes() == ONE + TWO


def gone(world: JobWorld) -> None:
    world.pods.remove("item-3")


def never(world: JobWorld) -> None:
    put(world, 3, stuck("ErrImageNeverPull"))


@pytest.mark.parametrize(
    ("becomes", "said"), [(gone, "item-3 has no log: it is gone"), (never, "it is Stuck")]
)
def test_one_that_never_starts_is_not_waited_for(
    run: Run, world: JobWorld, becomes: Callable[[JobWorld], None], said: str
) -> None:
    put(world, 3)
    world.log(put(world, 4, exited(0)), log_of(ONE))

    def begin(talk: str) -> None:
        if "Pending" in talk:
            becomes(world)

    done = run("logs", "-f", NAME, on_talk=begin)
    assert (done.code, done.out, said in done.talk) == (1, "one\n", True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 1, "no log yet: item-3 is Pending"),
        (("-p",), 1, "no log of an earlier run"),
        (("-c", "side"), 2, "it has: main"),
        (("--index", "3,7"), 1, "item-3 is Pending"),
        (("--index", "7"), 3, "item 7 of"),
    ],
)
def test_what_is_not_there(
    run: Run, world: JobWorld, words: tuple[str, ...], code: int, said: str
) -> None:
    put(world, 3)
    done = run("logs", NAME, *words)
    assert (done.code, done.raw, said in done.talk) == (code, b"", True), done.talk


def test_an_item_without_a_pod_beside_one_that_has_a_log(run: Run, world: JobWorld) -> None:
    world.log(put(world, 3, exited(0)), log_of(ONE))
    done = run("logs", NAME, "--index", "3,7")
    assert (done.code, done.out, "item 7 of" in done.talk) == (3, "one\n", True)


def test_a_log_that_its_node_has_lost_does_not_hide_the_others(run: Run, world: JobWorld) -> None:
    lost = b"unable to retrieve container logs for containerd://0123"
    world.log(put(world, 3, exited(0)), log_of(lost))
    for item in range(4, 12):
        world.log(put(world, item, exited(0)), log_of(ONE))
    done = run("logs", NAME)
    assert (done.code, done.out, "gone from its node" in done.talk) == (1, "one\n" * 8, True)
