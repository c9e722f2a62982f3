"""Our Job controller lives through recorded Jobs, and tells of them what the real one told."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugins.job_replay import recorded, replayed
from plugins.recordings import names

SCENARIOS = [name.removesuffix("/watch-jobs") for name in names("jobs", "*/watch-jobs")]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_statuses_and_events_as_recorded(scenario: str, tmp_path: Path) -> None:
    theirs, ours = recorded(scenario), replayed(scenario, tmp_path)
    assert len(theirs.statuses) > 1
    assert ours.statuses == theirs.statuses
    assert ours.events == theirs.events
