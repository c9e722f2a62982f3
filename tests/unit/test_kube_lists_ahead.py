"""The next pages of a long list are on their way early, and are the right ones."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest
from plugins.scripted_server import Asked, Reply, ScriptedServer

from jobman.errors import ApiError, UnavailableError
from jobman.kube.client import Client
from jobman.kube.lists import PAGES_AHEAD
from jobman.kube.resources import PODS

PATH = "/api/v1/namespaces/team/pods"


def body(number: int, *, last: int, metadata_first: bool) -> bytes:
    meta: dict[str, Any] = {"resourceVersion": "1"}
    if number < last:
        meta["continue"] = f"page_{number + 1}=="
    items = [
        {"metadata": {"name": f"p{number}", "uid": f"u{number}", "labels": {"continue": "no"}}}
    ]
    parts = {"metadata": meta, "items": items}
    return json.dumps(parts if metadata_first else dict(reversed(parts.items()))).encode()


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}], ids=["plain", "packed"])
@pytest.mark.parametrize("metadata_first", [True, False])
def test_every_page_once_and_in_order(
    client: Client, scripted_server: ScriptedServer, metadata_first: bool, headers: dict[str, str]
) -> None:
    bodies = [body(n, last=4, metadata_first=metadata_first) for n in range(5)]
    replies = [Reply(200, each, headers) for each in bodies]
    scripted_server.script("GET", PATH, *replies)
    found = [pod.metadata.name for page in client.pages(PODS) for pod in page.items]
    assert found == ["p0", "p1", "p2", "p3", "p4"]
    tokens = [asked.query.get("continue") for asked in scripted_server.requests]
    assert tokens == [None, "page_1==", "page_2==", "page_3==", "page_4=="]


def test_a_page_is_asked_for_while_the_one_before_is_worked_on(
    client: Client, scripted_server: ScriptedServer
) -> None:
    third = threading.Event()

    def reply(asked: Asked) -> Reply:
        number = int((asked.query.get("continue") or "_0").split("_")[1].rstrip("="))
        if number == 2:
            third.set()
        return Reply(200, body(number, last=2, metadata_first=True))

    scripted_server.script("GET", PATH, reply)
    pages = client.pages(PODS)
    next(pages)
    next(pages)
    assert third.wait(30)


def test_few_pages_are_asked_for_that_nobody_has_used(
    client: Client, scripted_server: ScriptedServer
) -> None:
    enough = threading.Event()

    def reply(asked: Asked) -> Reply:
        number = int((asked.query.get("continue") or "_0").split("_")[1].rstrip("="))
        if number == PAGES_AHEAD:
            enough.set()
        return Reply(200, body(number, last=20, metadata_first=True))

    scripted_server.script("GET", PATH, reply)
    pages = client.pages(PODS)
    next(pages)
    assert enough.wait(30)
    [ahead] = [each for each in threading.enumerate() if each.name == "ahead"]
    pages.close()
    ahead.join(30)
    assert not ahead.is_alive()
    assert len(scripted_server.requests) == 1 + PAGES_AHEAD


def test_a_page_damaged_on_its_way_is_an_error(
    client: Client, scripted_server: ScriptedServer
) -> None:
    damaged = gzip.compress(body(1, last=2, metadata_first=True))[:-20]
    replies = [Reply(200, body(0, last=2, metadata_first=True)), Reply(200, damaged)]
    scripted_server.script("GET", PATH, *replies)
    with pytest.raises(ApiError, match="the list of Pods cannot be read"):
        list(client.pages(PODS))


def test_trouble_with_a_page_asked_for_early_is_raised(
    client: Client, scripted_server: ScriptedServer
) -> None:
    replies = [Reply(200, body(n, last=3, metadata_first=True)) for n in range(2)]
    scripted_server.script("GET", PATH, *replies, Reply(503))
    with pytest.raises(UnavailableError):
        list(client.pages(PODS))
