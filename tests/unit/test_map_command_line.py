"""The command that a summary gives for what failed."""

from __future__ import annotations

import shlex

import pytest

from jobman.map.command_line import CommandLine


@pytest.mark.parametrize(
    ("options", "words", "expected"),
    [
        ((), (), "jobman -n map map --retry-reason OOMKilled"),
        (
            ("--seq", "3", "--rerun"),
            ("echo", "--rerun", "{i}"),
            "jobman -n map map --retry-reason OOMKilled --seq 3 echo --rerun '{i}'",
        ),
        (
            ("-i", "list", "--retry-failed", "pod.yaml", "--keep-pods"),
            (),
            "jobman -n map map --retry-reason OOMKilled -i list pod.yaml --keep-pods",
        ),
        (
            ("--retry-reason", "Error(exit 3)", "--retry-reason=x", "-i", "a b", "--"),
            ("sh", "-c", "--retry-reason"),
            "jobman -n map map --retry-reason OOMKilled -i 'a b' -- sh -c --retry-reason",
        ),
    ],
)
def test_just_what_failed_of_it(
    options: tuple[str, ...], words: tuple[str, ...], expected: str
) -> None:
    command = CommandLine(("jobman", "-n", "map", "map"), options, words)
    assert command.again("OOMKilled") == expected
    assert command.all == ("jobman", "-n", "map", "map", *options, *words)
    assert " ".join(command.retry).count("--retry-failed") == 1
    assert shlex.join(command.retry) == expected.replace(
        "--retry-reason OOMKilled", "--retry-failed", 1
    )


def test_a_reason_is_one_word() -> None:
    command = CommandLine(options=("-i", "-"), stdin=True)
    told = command.again("Error(exit 3)")
    assert command.retry == ()
    assert told.endswith(" -i - (with the same items on stdin)")
    assert shlex.split(told.partition(" (with")[0])[2:4] == ["--retry-reason", "Error(exit 3)"]
