"""The root knows each command by its name, without a look into its module."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer

from jobman.cli.app import COMMANDS, application


def names_of(*words: str) -> list[str]:
    command: Any = typer.main.get_command(application(words))
    return list(command.commands)


@pytest.mark.parametrize(("module", "names"), COMMANDS.items(), ids=COMMANDS)
def test_a_name_brings_its_modules_commands(module: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert sorted(names_of("-n", "team", name, "--help")) == sorted(names), module


@pytest.mark.parametrize("words", [(), ("--help",), ("lst",), ("--version",)])
def test_without_a_name_all_are_there(words: tuple[str, ...]) -> None:
    assert sorted(names_of(*words)) == sorted(name for names in COMMANDS.values() for name in names)


def test_a_word_that_is_no_command_does_no_harm() -> None:
    assert names_of("submit", "--", "list") == ["submit", "list"]


def test_one_command_does_not_wait_for_the_others() -> None:
    code = "import sys; sys.argv = ['jobman', 'flavors']; from jobman.cli.app import main; main()"
    told = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
    done = subprocess.run([sys.executable, "-c", told + code], capture_output=True, check=True)
    modules = done.stderr.decode().split()
    assert "jobman.cli.flavors" in modules
    assert not {"jobman.cli.submit", "jobman.cli.map", "kubernetes"} & set(modules)
