"""Reading and writing descriptors that do not block, on the daemon's loop and on the tests'."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from jobman.local import descriptors

PATIENCE_S = 20


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine on one of the loops, for so long at most."""
    return lambda work: request.param(asyncio.wait_for(work, PATIENCE_S))


class Pairs:
    """Pairs of descriptors that do not block; what is left open of them is closed at the end."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def open(self, make: Callable[[], tuple[int, int]]) -> tuple[int, int]:
        pair = make()
        for fd in pair:
            os.set_blocking(fd, False)
        self._open.extend(pair)
        return pair

    def close(self, fd: int) -> None:
        self._open.remove(fd)
        os.close(fd)

    def close_all(self) -> None:
        for fd in self._open:
            os.close(fd)


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    made = Pairs()
    yield made
    made.close_all()


@pytest.mark.parametrize("make", [os.pipe, os.openpty])
def test_what_comes_later_is_read(run: Any, pairs: Pairs, make: Any) -> None:
    reader, writer = pairs.open(make)

    async def work() -> None:
        reading = asyncio.create_task(descriptors.read(reader, 100))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not reading.done()
        await descriptors.write(writer, b"word")
        assert await reading == b"word"

    run(work())


def test_the_end_of_a_pipe_is_read_as_nothing(run: Any, pairs: Pairs) -> None:
    reader, writer = pairs.open(os.pipe)

    async def work() -> None:
        reading = asyncio.create_task(descriptors.read(reader, 100))
        await asyncio.sleep(0)
        pairs.close(writer)
        assert await reading == b""

    run(work())


def test_the_end_of_a_terminal_is_an_error(run: Any, pairs: Pairs) -> None:
    master, slave = pairs.open(os.openpty)

    async def work() -> None:
        reading = asyncio.create_task(descriptors.read(master, 100))
        await asyncio.sleep(0)
        pairs.close(slave)
        with pytest.raises(OSError, match="Input/output"):
            await reading

    run(work())


def test_more_than_there_is_room_for_is_written_as_it_is_read(run: Any, pairs: Pairs) -> None:
    reader, writer = pairs.open(os.pipe)
    text = os.urandom(1_000_000)

    async def work() -> None:
        writing = asyncio.create_task(descriptors.write(writer, text))
        seen = b""
        while len(seen) < len(text):
            seen += await descriptors.read(reader, 100_000)
        await writing
        assert seen == text

    run(work())


def test_a_writer_learns_that_nobody_reads_any_more(run: Any, pairs: Pairs) -> None:
    reader, writer = pairs.open(os.pipe)

    async def work() -> None:
        writing = asyncio.create_task(descriptors.write(writer, bytes(1_000_000)))
        await asyncio.sleep(0)
        assert not writing.done()
        pairs.close(reader)
        with pytest.raises(BrokenPipeError):
            await writing

    run(work())
