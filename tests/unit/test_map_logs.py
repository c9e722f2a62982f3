"""The log of a pod that runs, on its way into a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from plugins.scripted_server import Reply, ScriptedServer

from jobman.kube.client import Client
from jobman.kube.objects import Container, ObjectMeta, Pod, PodSpec
from jobman.map import logs
from jobman.map.logs import Follower, LogFile

PATH = "/api/v1/namespaces/team/pods/p/log"
POD = Pod(
    metadata=ObjectMeta(name="p", namespace="team"),
    spec=PodSpec(containers=[Container(name="main")]),
)


def line(second: int) -> bytes:
    return b"2026-01-01T00:00:%02d.500000000Z %d\n" % (second, second)


def test_what_a_follower_has_not_read_when_its_pod_ends_is_read_on(
    client: Client, scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def lagging() -> Iterator[bytes]:
        yield line(1)
        begun.set()
        ended.wait(30)
        yield from (line(second) for second in range(2, 50))

    scripted_server.script("GET", PATH, Reply(chunks=lagging()))
    follower = Follower(client, POD, LogFile(tmp_path / "log", followed=True))
    assert begun.wait(30)
    threading.Timer(0.05, ended.set).start()
    follower.finish().close()
    assert (tmp_path / "log").read_bytes() == b"".join(b"%d\n" % n for n in range(1, 50))
    assert len(scripted_server.requests) == 1


def test_lines_that_are_lost_in_the_middle_are_told_first(
    client: Client, scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    """The server breaks off a follow that it cannot go on with, which begins anew at once."""
    cut = [Reply(chunks=[line(second)], cut=True) for second in range(20)]
    resumed = threading.Event()

    def later() -> Iterator[bytes]:
        yield line(40)
        resumed.set()

    scripted_server.script("GET", PATH, *cut, Reply(chunks=later()), Reply(chunks=[line(40)]))
    log = LogFile(tmp_path / "log", followed=True)
    follower = Follower(client, POD, log)
    assert resumed.wait(15 * logs.RETRY_S)
    assert logs.bring_home(client, POD, follower.finish())
    told, *lines = (tmp_path / "log").read_text().splitlines()
    assert "lines were lost: the log was rotated before they were read" in told
    assert lines == [*map(str, range(20)), "40"]


def test_a_follow_that_came_too_late_for_the_beginning_says_so(
    client: Client, scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    rotated = {"Warning": '299 - "the log was rotated: its beginning is gone"'}
    begun = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield line(3)
        begun.set()

    whole = Reply(chunks=[line(3)])
    scripted_server.script("GET", PATH, Reply(headers=rotated, chunks=chunks()), whole)
    follower = Follower(client, POD, LogFile(tmp_path / "log", followed=True))
    assert begun.wait(30)
    assert logs.bring_home(client, POD, follower.finish())
    assert "its beginning has been rotated away" in (tmp_path / "log").read_text()
