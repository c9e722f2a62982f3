"""A container's directory is claimed once, tells its process while it runs, then how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugins.containers import supervised

from jobman.local import layout, record
from jobman.local.record import AlreadyClaimedError, Process
from jobman.local.supervisor import Exit, Running, Supervisor, void

PROCESS = Process(pid=4194304, ticks=1 << 40, boot="b" * 36, started_ns=1_800_000_000_000_000_000)
END = {"code": 3, "startedAt": 1, "finishedAt": 2}


@pytest.fixture
def claimed(tmp_path: Path) -> Iterator[int]:
    """The test's own directory, claimed and with a spec."""
    fd = record.claim(str(tmp_path))
    record.write_spec(fd, b'{"env": {"A": "b"}}')
    yield fd
    os.close(fd)


def test_what_is_told_can_be_read_until_the_end(tmp_path: Path, claimed: int) -> None:
    assert record.process(str(tmp_path)) is None
    record.tell_process(claimed, PROCESS)
    assert record.process(str(tmp_path)) == PROCESS
    assert record.spec(str(tmp_path)) == {"env": {"A": "b"}}
    assert Exit.read(tmp_path) is None
    record.tell_end(claimed, str(tmp_path), END)
    assert record.process(str(tmp_path)) is None
    with pytest.raises(ProcessLookupError):
        record.spec(str(tmp_path))
    assert Exit.read(tmp_path) == Exit(3, 1, 2)
    assert [path.name for path in tmp_path.iterdir()] == [layout.EXIT]


@pytest.mark.parametrize("length", [0, 3000, 100_000])
def test_an_end_of_any_length_is_whole(tmp_path: Path, claimed: int, length: int) -> None:
    record.tell_process(claimed, PROCESS)
    record.tell_end(claimed, str(tmp_path), END | {"error": "x" * length})
    assert Exit.read(tmp_path) == Exit(3, 1, 2, error="x" * length)


def test_an_end_is_text_whatever_the_words(tmp_path: Path, claimed: int) -> None:
    error = f"stat {os.fsdecode(bytes([0xFF]))}ü: no such file"
    text = record.tell_end(claimed, str(tmp_path), END | {"error": error})
    assert (tmp_path / layout.EXIT).read_bytes() == text
    assert Exit.read(tmp_path) == Exit(3, 1, 2, error="stat ?ü: no such file")


def nothing(_: int, __: str) -> None:
    """As it was claimed."""


def process_told(fd: int, _: str) -> None:
    record.tell_process(fd, PROCESS)


def over(fd: int, directory: str) -> None:
    record.tell_end(fd, directory, END)


@pytest.mark.parametrize("then", [nothing, process_told, over])
def test_a_directory_is_claimed_once(
    tmp_path: Path, claimed: int, then: Callable[[int, str], None]
) -> None:
    then(claimed, str(tmp_path))
    before = sorted(tmp_path.iterdir())
    assert record.is_claimed(str(tmp_path))
    with pytest.raises(AlreadyClaimedError):
        record.claim(str(tmp_path))
    assert not void(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_given_up_can_be_claimed_again(tmp_path: Path) -> None:
    record.give_up(record.claim(str(tmp_path)), str(tmp_path))
    assert not record.is_claimed(str(tmp_path))
    os.close(record.claim(str(tmp_path)))
    assert record.is_claimed(str(tmp_path))


def test_without_room_for_the_end_nothing_begins() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="space"):
        record.write_spec(full.fileno(), b"{}")


@pytest.mark.parametrize("name", [layout.CLAIM, layout.EXIT])
@pytest.mark.parametrize("text", ["", "1 2", '{"code": 3'], ids=["empty", "words", "torn"])
def test_what_the_machine_took_with_it_is_lost_and_never_begun_again(
    tmp_path: Path, name: str, text: str
) -> None:
    directory = tmp_path / "c"
    directory.mkdir()
    (directory / name).write_text(text)

    async def body(found: Supervisor) -> Running | Exit | None:
        return found.find(directory)

    ended = supervised(tmp_path, body)
    assert isinstance(ended, Exit)
    assert (ended.code, ended.lost, ended.started_ns) == (137, True, 0)
    assert not void(directory)
