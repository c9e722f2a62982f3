"""What a command says to the person before the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from jobman.cli.context import AppContext


@pytest.mark.parametrize(
    ("say", "told"),
    [
        (lambda app: app.say("a\x1b[2Jb"), "a\\x1b[2Jb\n"),
        (lambda app: app.say("two\nlines of günther"), "two\nlines of günther\n"),
        (lambda app: app.warn("a\x9bb\u202ec\r"), "warning: a\\x9bb\\u202ec\\r\n"),
        (lambda app: app.agreed("delete \x07?"), "delete \\x07? [y/N] "),
    ],
)
def test_foreign_text_does_nothing_to_the_terminal(
    say: Callable[[AppContext], Any], told: str
) -> None:
    err = io.StringIO()
    say(AppContext(out=io.StringIO(), err=err, stdin=io.StringIO()))
    assert err.getvalue() == told
