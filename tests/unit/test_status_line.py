"""The line that is rewritten on a terminal."""

from __future__ import annotations

import pytest
from plugins.command_line import Stream

from jobman.cli.context import AppContext
from jobman.cli.render.status_line import ERASE, StatusLine

SAID = "job a: 12 nodes are full"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (25, SAID),
        (24, "job a: 12 nodes are …"),
        (12, "job a: 12 …"),
        (11, "job a: …"),
        (10, "job a: …"),
        (4, "jo…"),
    ],
)
def test_a_line_is_cut_between_words(columns: int, shown: str) -> None:
    err = Stream(terminal=True)
    StatusLine(AppContext(out=Stream(terminal=False), err=err, columns=columns)).show(SAID)
    assert err.bytes.decode() == ERASE + shown
