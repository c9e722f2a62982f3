"""A real server's recorded answers, against the embedded server's answers to the same requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.api_server import ApiServer
from plugins.replay import USERS, replayed
from plugins.replay_recordings import recordings
from plugins.replay_report import NOT_MATCHED, in_docs, report, unmatched

LISTED = unmatched()
DOCS = Path(__file__).parents[2] / "docs" / "local-cluster.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    server = ApiServer(tmp_path_factory.mktemp("replay"), users=USERS)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("name", sorted(recordings().keys() - LISTED.keys()))
def test_the_answer_is_as_recorded(server: ApiServer, name: str) -> None:
    assert replayed(server, recordings()[name]) == []


@pytest.mark.parametrize("name", sorted(LISTED))
def test_what_is_listed_does_differ(server: ApiServer, name: str) -> None:
    assert replayed(server, recordings()[name]), f"{name} matches: take it out of {NOT_MATCHED}"


def test_docs_tell_what_does_not_match() -> None:
    assert in_docs(DOCS.read_text()) == report()
