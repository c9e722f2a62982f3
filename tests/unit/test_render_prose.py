"""Sentences broken between words."""

from __future__ import annotations

import pytest
from plugins.command_line import Stream

from jobman.cli.context import AppContext
from jobman.cli.render.prose import broken

SAID = "  - gpu-07 has nvidia.com/gpu free"


@pytest.mark.parametrize(
    ("terminal", "columns", "line", "lines"),
    [
        (True, 40, SAID, [SAID]),
        (True, 20, SAID, ["  - gpu-07 has", "    nvidia.com/gpu", "    free"]),
        (True, 3, "a-long-word b", ["a-long-word", "    b"]),
        (True, 20, f"{SAID}\nas it was logged", [SAID, "as it was logged"]),
        (False, 20, SAID, [SAID]),
    ],
)
def test_a_line_is_broken_between_words(
    terminal: bool, columns: int, line: str, lines: list[str]
) -> None:
    app = AppContext(out=Stream(terminal=terminal), err=Stream(terminal=False), columns=columns)
    assert broken(app, line, "    ").split("\n") == lines
