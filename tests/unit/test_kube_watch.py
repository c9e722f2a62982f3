"""A watch survives what servers and networks do to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from plugins.scripted_server import Asked, Reply, ScriptedServer

from jobman.errors import ApiError, ForbiddenError, UnreachableError
from jobman.kube import watch as watching
from jobman.kube.client import Client
from jobman.kube.objects import ObjectMeta, Pod
from jobman.kube.resources import PODS
from jobman.kube.stream import lines
from jobman.kube.watch import Watch, Watched

POD_LIST = "/api/v1/namespaces/team/pods"
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}


def pod(uid: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": f"pod-{uid}", "uid": uid, "resourceVersion": str(version)}}


def line(kind: str, item: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    spec = {"containers": None}
    return line("BOOKMARK", {"metadata": {"resourceVersion": str(version)}, "spec": spec})


class Collection:
    """The pods of a scripted server: lists and watch connections in turn."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.lists: list[Reply] = []
        self.watches: list[Reply] = []
        self.asked: list[str] = []
        server.script("GET", POD_LIST, self.reply)

    def reply(self, asked: Asked) -> Reply:
        if "watch" not in asked.query:
            self.asked.append("list")
            return self.lists.pop(0)
        self.asked.append(f"watch {asked.query['resourceVersion']}")
        return self.watches.pop(0) if self.watches else Reply(403)

    def listed(self, version: int, *items: dict[str, Any]) -> None:
        metadata = {"resourceVersion": str(version)}
        self.lists.append(Reply(200, {"metadata": metadata, "items": list(items)}))

    def watched(self, *chunks: bytes, cut: bool = False) -> None:
        self.watches.append(Reply(chunks=chunks, cut=cut))


@pytest.fixture
def pods(scripted_server: ScriptedServer) -> Collection:
    return Collection(scripted_server)


def seen(watch: Watch[Pod]) -> list[str]:
    """The changes until the script's end, which is a 403."""
    found: list[Watched[Pod]] = []
    with pytest.raises(ForbiddenError), watch:
        found.extend(watch)
    return [f"{c.type} {c.object.metadata.uid}{c.object.metadata.resource_version}" for c in found]


def test_it_begins_with_what_is_there(client: Client, pods: Collection) -> None:
    pods.listed(5, pod("a", 1), pod("b", 2))
    pods.watched(line("MODIFIED", pod("a", 6)), line("DELETED", pod("b", 7)))
    assert seen(client.watch(PODS)) == ["ADDED a1", "ADDED b2", "MODIFIED a6", "DELETED b7"]
    assert pods.asked == ["list", "watch 5", "watch 7"]


def test_it_goes_on_from_a_version(client: Client, pods: Collection) -> None:
    pods.watched(line("ADDED", pod("a", 6)))
    assert seen(client.watch(PODS, resource_version="5")) == ["ADDED a6"]
    assert pods.asked == ["watch 5", "watch 6"]


def test_what_it_asks_for(client: Client, pods: Collection) -> None:
    seen(client.watch(PODS, labels="x=y", resource_version="5", deadline_s=20))
    (asked,) = pods.server.requests
    assert asked.query == {
        "labelSelector": "x=y", "watch": "true", "allowWatchBookmarks": "true",
        "resourceVersion": "5", "timeoutSeconds": "20",
    }  # fmt: skip
    assert "Accept-Encoding" not in asked.headers or "gzip" not in asked.headers["Accept-Encoding"]


def test_a_cut_connection_goes_unnoticed(client: Client, pods: Collection) -> None:
    pods.watched(line("ADDED", pod("a", 6)), b'{"type": "MODIF', cut=True)
    pods.watched(line("MODIFIED", pod("a", 7)))
    assert seen(client.watch(PODS, resource_version="5")) == ["ADDED a6", "MODIFIED a7"]
    assert pods.asked == ["watch 5", "watch 6", "watch 7"]


def test_bookmarks_move_it_on(client: Client, pods: Collection) -> None:
    pods.watched(bookmark(90))
    assert seen(client.watch(PODS, resource_version="5")) == []
    assert pods.asked == ["watch 5", "watch 90"]


@pytest.mark.parametrize("refused", [False, True], ids=["an ERROR line", "410"])
def test_a_forgotten_version_yields_the_difference(
    client: Client, pods: Collection, refused: bool
) -> None:
    pods.listed(5, pod("a", 1), pod("b", 2), pod("c", 3))
    pods.watched(line("MODIFIED", pod("a", 6)))
    if refused:
        pods.watches.append(Reply(410, GONE))
    else:
        pods.watched(line("ERROR", GONE))
    pods.listed(20, pod("a", 6), pod("c", 15), pod("d", 16))
    pods.watched(line("MODIFIED", pod("d", 21)))
    assert seen(client.watch(PODS)) == [
        "ADDED a1", "ADDED b2", "ADDED c3", "MODIFIED a6",
        "DELETED b2", "MODIFIED c15", "ADDED d16", "MODIFIED d21",
    ]  # fmt: skip
    assert pods.asked == ["list", "watch 5", "watch 6", "list", "watch 20", "watch 21"]


def test_what_the_caller_knew_is_part_of_the_difference(client: Client, pods: Collection) -> None:
    known = [Pod(metadata=ObjectMeta(uid=u, resource_version="1")) for u in "ab"]
    pods.watched(line("ERROR", GONE))
    pods.listed(20, pod("b", 1), pod("c", 9))
    watch = client.watch(PODS, resource_version="5", known=known)
    assert seen(watch) == ["DELETED a1", "ADDED c9"]


def test_trouble_of_the_server_is_waited_out(client: Client, pods: Collection) -> None:
    pods.listed(5)
    trouble = {"kind": "Status", "code": 500, "message": "etcd leader changed"}
    pods.watched(line("ERROR", trouble))
    pods.watched(line("ADDED", pod("a", 6)))
    assert seen(client.watch(PODS)) == ["ADDED a6"]


def test_an_error_of_the_request_is_raised(client: Client, pods: Collection) -> None:
    pods.watched(line("ERROR", {"kind": "Status", "code": 400, "message": "bad selector"}))
    with pytest.raises(ApiError, match="bad selector"):
        list(client.watch(PODS, resource_version="5"))


@pytest.mark.parametrize(
    "text",
    [b"{\n", b"3\n", line("ADDED", {"metadata": {"labels": 3}}), b"<html>\n"],
    ids=["no JSON", "no object", "no pod", "HTML"],
)
def test_a_line_that_does_not_fit_is_an_error(
    client: Client, pods: Collection, text: bytes
) -> None:
    pods.watched(text)
    with pytest.raises(ApiError, match=r"cannot be read|web page"):
        list(client.watch(PODS, resource_version="5"))


def held(until: threading.Event, *first: bytes, most_s: float = 60) -> Iterator[bytes]:
    """Chunks, and then a silent connection."""
    yield from first
    until.wait(most_s)


def test_it_ends_at_the_deadline(client: Client, pods: Collection) -> None:
    over = threading.Event()
    pods.watches.append(Reply(chunks=held(over, line("ADDED", pod("a", 6)))))
    began = time.monotonic()
    changes = list(client.watch(PODS, resource_version="5", deadline_s=0.3))
    over.set()
    assert [change.type for change in changes] == ["ADDED"]
    assert 0.25 < time.monotonic() - began < 20


def test_a_change_is_there_at_once(client: Client, pods: Collection) -> None:
    over = threading.Event()
    pods.watches.append(Reply(chunks=held(over, line("ADDED", pod("a", 6)))))
    began = time.monotonic()
    with client.watch(PODS, resource_version="5") as watch:
        assert next(watch).object.metadata.uid == "a"
        assert time.monotonic() - began < 20
        over.set()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_another_thread_may_close_it(
    secure: bool,
    make_client: Callable[..., Client],
    request: pytest.FixtureRequest,
    certificate: tuple[Any, Any],
) -> None:
    server = request.getfixturevalue("scripted_https" if secure else "scripted_server")
    client = make_client(server, cluster={"certificate-authority": str(certificate[0])})
    over = threading.Event()
    pods = Collection(server)
    pods.watches.append(Reply(chunks=held(over, line("ADDED", pod("a", 6)))))
    watch = client.watch(PODS, resource_version="5")
    next(watch)
    threading.Timer(0.1, watch.close).start()
    began = time.monotonic()
    assert list(watch) == []
    assert time.monotonic() - began < 20
    over.set()


def test_an_outage_is_waited_out_but_not_for_ever(
    client: Client, pods: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "OUTAGE_S", 0.2)
    pods.watches += [Reply(cut=True)] * 100
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        list(client.watch(PODS, resource_version="5"))
    assert time.monotonic() - began > 0.2


def test_an_outage_begins_when_the_connection_is_lost(client: Client, pods: Collection) -> None:
    lived = held(threading.Event(), line("ADDED", pod("a", 6)), most_s=0.5)
    pods.watches.append(Reply(chunks=lived, cut=True))
    pods.watched(line("MODIFIED", pod("a", 7)))
    watch = client.watch(PODS, resource_version="5", outage_s=0.2)
    assert seen(watch) == ["ADDED a6", "MODIFIED a7"]


def test_a_server_that_never_answered_is_an_error_at_the_deadline(
    make_client: Callable[..., Client],
) -> None:
    with pytest.raises(UnreachableError):
        list(make_client("http://127.0.0.1:1").watch(PODS, deadline_s=0.1))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], []),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b\nc", b"\n"], [b"ab", b"c"]),
        ([b"\n\na\n"], [b"", b"", b"a"]),
        ([b"a\nunfinished"], [b"a"]),
    ],
    ids=["none", "two", "split", "empty", "unfinished"],
)
def test_lines(chunks: list[bytes], expected: list[bytes]) -> None:
    assert list(lines(chunks)) == expected
