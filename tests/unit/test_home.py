"""Where the user's own files are: HOME, else what the system knows, else an error that says so."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from plugins.command_line import Run

from jobman.errors import ConfigError
from jobman.values.home import home

NOBODY_S_UID = 3_999_999_999


def test_home_is_what_is_set_else_what_the_system_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    known = pwd.getpwall()[-1]
    monkeypatch.setattr(os, "geteuid", lambda: known.pw_uid)
    assert home({"HOME": "/some/where"}) == Path("/some/where")
    assert home({}) == home({"HOME": ""}) == Path(pwd.getpwuid(known.pw_uid).pw_dir)


def test_who_has_no_home_is_told_to_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY_S_UID)
    with pytest.raises(ConfigError, match=f"the system knows no user {NOBODY_S_UID}"):
        home({})


def test_a_command_without_a_home_ends_with_that_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY_S_UID)
    done = run("list", env={"HOME": ""})
    assert (done.code, done.out) == (2, "")
    assert done.talk.splitlines() == [
        f"error: no home directory: HOME is not set, and the system knows no user {NOBODY_S_UID}",
        "hint: set HOME to a directory of your own",
    ]
