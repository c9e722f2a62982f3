"""A real server's recorded answers, against the embedded server's answers to the same requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.replay import Replay, replay
from plugins.replay_recordings import recordings
from plugins.replay_report import NOT_MATCHED, in_docs, report, unmatched

LISTED = unmatched()
DOCS = Path(__file__).parents[2] / "docs" / "local-cluster.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with replay(tmp_path_factory.mktemp("replay")) as made:
        yield made


@pytest.mark.parametrize("name", sorted(recordings().keys() - LISTED.keys()))
def test_the_answer_is_as_recorded(server: Replay, name: str) -> None:
    assert server.differences(recordings()[name]) == []


@pytest.mark.parametrize("name", sorted(LISTED))
def test_what_is_listed_does_differ(server: Replay, name: str) -> None:
    assert server.differences(recordings()[name]), f"{name} matches: take it out of {NOT_MATCHED}"


def test_docs_tell_what_does_not_match() -> None:
    assert in_docs(DOCS.read_text()) == report()
