"""A log over HTTP: what its node finds out when half of it is sent."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.api_server import ApiServer

from jobman.local.api.agent import LinesLostError

LOG = "/api/v1/namespaces/default/pods/p/log"


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[ApiServer]:
    """A server with a pod `p` that says what `agent` is told to."""
    spec = {"nodeName": "n", "containers": [{"name": "main", "image": "i"}]}
    with ApiServer(tmp_path) as server:
        server.put("pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
        server.agent.chunks = [b"one\n", b"two\n"]
        yield server


def test_lines_that_are_lost_break_the_answer_off_after_what_was_read(logged: ApiServer) -> None:
    logged.agent.ending = LinesLostError()
    with pytest.raises(http.client.IncompleteRead) as caught:
        logged.ask("GET", LOG, {"follow": "true"})
    assert caught.value.partial == b"one\ntwo\n"


def test_lines_that_are_lost_before_anything_was_sent_are_an_error(logged: ApiServer) -> None:
    logged.agent.refusal = LinesLostError()
    answer = logged.ask("GET", LOG, {"follow": "true"})
    assert (answer.code, "rotated before it was read" in answer.text) == (500, True)
