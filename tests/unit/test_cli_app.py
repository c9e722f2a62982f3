"""The root knows each command by its name, without a look into its module."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
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


@pytest.mark.parametrize("encoding", ["ascii", "ascii:surrogateescape", "utf-8"])
@pytest.mark.parametrize(
    ("words", "plain", "text"),
    [
        (("flavors",), "f\\xfcr gro\\xdfe", "für große"),
        (("flavors", "-o", "json"), "für große", "für große"),
        (("flavors", "-o", "yaml"), "für große", "für große"),
        (("settings", "path"), "n\\xe9.\\udcff", "né.\\udcff"),
    ],
)
def test_stdout_takes_what_its_encoding_lacks(
    encoding: str, words: tuple[str, ...], plain: str, text: str, tmp_path: Path
) -> None:
    """What programs read is UTF-8 in any case."""
    file = tmp_path / "né.\udcff"
    requests = {"requests": {"cpu": 1}}
    flavor = {"name": "gpu", "description": "für große", "resources": requests}
    file.write_text(json.dumps({"job": {"resources": {"predefined": [flavor]}}}))
    done = subprocess.run(
        [sys.executable, "-m", "jobman", "-s", file, *words],
        env={"HOME": str(tmp_path), "PYTHONIOENCODING": encoding, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    wanted = plain if encoding.startswith("ascii") else text
    assert wanted.encode() in done.stdout


@pytest.mark.parametrize(
    ("shell", "code", "out", "err"),
    [
        ("settings path >&-", 0, "", ""),
        ("settings path 2>&-", 0, "s.json", ""),
        ("settings path <&- 2>&-", 0, "s.json", ""),
        ("--help >/dev/full", 1, "", "error: writing the output: No space left on device\n"),
        ("submit --help >/dev/full", 1, "", "error: writing the output: No space left on device\n"),
        ("list $'\\xff'", 2, "", "error: 'metadata.name=\\udcff' is not UTF-8"),
    ],
)
def test_streams_that_a_shell_has_closed_and_words_of_other_bytes(
    shell: str, code: int, out: str, err: str, tmp_path: Path
) -> None:
    file = tmp_path / "s.json"
    file.write_text('{"user": "me"}')
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "c", "context": {"cluster": "c"}}
    config = {"clusters": [cluster], "contexts": [context], "current-context": "c"}
    (tmp_path / "config").write_text(json.dumps(config))
    done = subprocess.run(
        ["bash", "-c", f'"$0" -m jobman -s "$1" {shell}', sys.executable, file],
        env={"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, bool(done.stdout)) == (code, bool(out))
    assert out in done.stdout
    assert done.stderr.startswith(err)
    assert "Traceback" not in done.stderr


def test_one_command_does_not_wait_for_the_others() -> None:
    code = "import sys; sys.argv = ['jobman', 'flavors']; from jobman.cli.app import main; main()"
    told = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
    done = subprocess.run([sys.executable, "-c", told + code], capture_output=True, check=True)
    modules = done.stderr.decode().split()
    assert "jobman.cli.flavors" in modules
    assert not {"jobman.cli.submit", "jobman.cli.map", "kubernetes"} & set(modules)


def test_a_handled_interrupt_is_told_by_the_exit_code_alone(tmp_path: Path) -> None:
    """Also where it came while code from a string ran, as it does while dataclasses are made."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, jobman.cli.app as app\n"
        "def main():\n"
        "    try:\n"
        "        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n"
        "app.main = main\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "jobman"], env={"PYTHONPATH": str(tmp_path)}, check=False
    )
    assert done.returncode == 130
