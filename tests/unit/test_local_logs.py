"""Container logs: what is written is what is read, by line, time, size, and as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.local import crilog, layout, logfile, notify
from jobman.local.api.agent import LinesLostError
from jobman.local.crilog import MAX_PIECE, LineEncoder, LogWriter
from jobman.local.logfile import LineDecoder, Wanted, tail_offset
from jobman.local.notify import DirectoryWatcher

SECOND = 1_000_000_000


def encoded(*chunks: bytes, now_ns: int = 0) -> bytes:
    encoder = LineEncoder()
    return b"".join(encoder.feed(chunk, now_ns) for chunk in chunks) + encoder.finish(now_ns)


def decoded(data: bytes, wanted: Wanted | None = None) -> bytes:
    return LineDecoder(wanted or Wanted()).decode(data.split(b"\n")[:-1])


def reading(
    directory: Path, wanted: Wanted, body: Callable[[bytearray], Awaitable[None]] | None = None
) -> bytes:
    """Read a log to its end, with `body` running beside it."""

    async def read() -> bytes:
        got = bytearray()
        watcher = DirectoryWatcher()
        beside = asyncio.ensure_future(body(got)) if body else None
        try:
            async for chunk in logfile.read(directory, wanted, watcher):
                got += chunk
            if beside is not None:
                await beside
        finally:
            watcher.close()
        return bytes(got)

    return asyncio.run(asyncio.wait_for(read(), 30))


def ended(directory: Path) -> None:
    (directory / layout.EXIT).write_text("{}")


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_bytes_pass_unharmed(chunks: list[bytes]) -> None:
    assert decoded(encoded(*chunks)) == b"".join(chunks)


@pytest.mark.parametrize(
    ("data", "tags"),
    [
        (b"", b""),
        (b"a\n", b"F"),
        (b"a", b"P"),
        (b"\n", b"F"),
        (b"x" * MAX_PIECE + b"\n", b"F"),
        (b"x" * (MAX_PIECE + 1) + b"\n", b"PF"),
        (b"x" * 40_000 + b"\nshort\n", b"PPFF"),
        (b"x" * 1_000_000, b"P" * 62),
    ],
    ids=["nothing", "line", "no-newline", "empty", "full", "over", "40000", "1MB"],
)
@pytest.mark.parametrize("size", [1 << 16, 5000], ids=["at-once", "in-parts"])
def test_long_lines_are_cut_into_pieces(data: bytes, tags: bytes, size: int) -> None:
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    lines = encoded(*chunks).split(b"\n")[:-1]
    assert b"".join(line[crilog.PREFIX_BYTES - 2 : crilog.PREFIX_BYTES - 1] for line in lines) == (
        tags
    )
    assert decoded(encoded(*chunks)) == data


def test_a_stamp_has_nine_digits() -> None:
    assert crilog.stamp(5 * SECOND + 42) == b"1970-01-01T00:00:05.000000042Z"
    assert encoded(b"hi\n", now_ns=SECOND) == b"1970-01-01T00:00:01.000000000Z stdout F hi\n"


def test_timestamps_once_a_line() -> None:
    data = encoded(b"x" * 40_000 + b"\n\nlast", now_ns=SECOND)
    stamp = b"1970-01-01T00:00:01.000000000Z "
    wanted = stamp + b"x" * 40_000 + b"\n" + stamp + b"\n" + stamp + b"last"
    assert decoded(data, Wanted(timestamps=True)) == wanted


@pytest.mark.parametrize(
    ("since_s", "lines"), [(0, b"1\n2\n3\n"), (2, b"2\n3\n"), (3, b"3\n"), (4, b"")]
)
def test_since(since_s: int, lines: bytes) -> None:
    data = b"".join(encoded(b"%d\n" % s, now_ns=s * SECOND) for s in (1, 2, 3))
    assert decoded(data, Wanted(since_ns=since_s * SECOND)) == lines


def test_a_line_that_began_before_has_no_stamp_in_its_middle() -> None:
    encoder = LineEncoder()
    begun = encoder.feed(b"x" * MAX_PIECE, SECOND)
    data = begun + encoder.feed(b"end\nnext\n", 2 * SECOND)
    assert begun.count(b"\n") == 1
    wanted = b"end\n1970-01-01T00:00:02.000000000Z next\n"
    assert decoded(data, Wanted(since_ns=2 * SECOND, timestamps=True)) == wanted


def test_the_limit_cuts_in_mid_line() -> None:
    decoder = LineDecoder(Wanted(limit_bytes=5))
    assert decoder.decode(encoded(b"abc\ndef\n").split(b"\n")[:-1]) == b"abc\nd"
    assert decoder.is_full()


@given(st.integers(0, 40), st.integers(1, 9))
def test_tail_counts_lines(tail: int, count: int) -> None:
    import io

    data = encoded(*(b"line %d\n" % number for number in range(count)))
    offset = tail_offset(io.BytesIO(data), tail)
    assert data[offset:].count(b"\n") == min(tail, count)
    assert data[offset - 1 : offset] in (b"", b"\n")


def test_tail_of_a_big_file(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / layout.LOG), max_bytes=1 << 30, max_files=2)
    writer.feed(b"".join(b"line %06d\n" % n for n in range(40_000)))
    assert reading(tmp_path, Wanted(tail=3)) == b"line 039997\nline 039998\nline 039999\n"
    assert reading(tmp_path, Wanted(tail=0)) == b""
    assert reading(tmp_path, Wanted(tail=10**9)).count(b"\n") == 40_000


def test_rotation_bounds_the_disk_and_loses_no_line_in_between(tmp_path: Path) -> None:
    path = tmp_path / layout.LOG
    writer = LogWriter(str(path), max_bytes=1000, max_files=3)
    for number in range(200):
        writer.feed(b"number %03d\n" % number)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["log", "log.1", "log.2", "log.dropped"]
    kept = b"".join(decoded((tmp_path / name).read_bytes()) for name in ("log.2", "log.1", "log"))
    first = int(kept.split()[1])
    assert kept == b"".join(b"number %03d\n" % n for n in range(first, 200))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 3 * 1100


def test_a_full_disk_stops_the_writer_and_nothing_is_torn() -> None:
    full = Path("/dev/full")
    writer = LogWriter(str(full), max_bytes=1 << 20, max_files=2)
    writer.feed(b"one\ntwo\n")
    assert writer.pending == encoded(b"one\ntwo\n")[:0] or b"one" in writer.pending
    assert not writer.flush()


def test_what_found_no_room_is_given_up_whole(tmp_path: Path) -> None:
    path = tmp_path / layout.LOG
    writer = LogWriter(str(path), max_bytes=1 << 20, max_files=2)
    writer.feed(b"whole\n")
    with path.open("ab") as file:
        file.write(b"2026-01-01T00:00:00.000000000Z stdout F to")
    writer.drop_torn_line()
    assert decoded(path.read_bytes()) == b"whole\n"


def test_follow_brings_lines_as_they_come(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / layout.LOG), max_bytes=1 << 20, max_files=2)
    writer.feed(b"before\n")

    async def write(got: bytearray) -> None:
        await _until(lambda: got == b"before\n")
        writer.feed(b"par")
        await asyncio.sleep(0.02)
        assert got == b"before\n"
        writer.feed(b"tial\n")
        await _until(lambda: got.endswith(b"partial\n"))
        writer.feed(b"end")
        writer.finish()
        ended(tmp_path)

    assert reading(tmp_path, Wanted(follow=True), write) == b"before\npartial\nend"


def test_follow_goes_on_after_a_rotation(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / layout.LOG), max_bytes=500, max_files=2)
    writer.feed(b"0\n")

    async def write(got: bytearray) -> None:
        for number in range(1, 60):
            writer.feed(b"%d\n" % number)
            await _until(lambda last=b"%d\n" % number: got.endswith(last))  # type: ignore[misc]
        ended(tmp_path)

    got = reading(tmp_path, Wanted(follow=True), write)
    assert got == b"".join(b"%d\n" % number for number in range(60))


@pytest.mark.parametrize("begun", [True, False], ids=["lags", "comes-late"])
def test_follow_goes_through_the_rotated_files_that_are_kept(tmp_path: Path, begun: bool) -> None:
    writer = LogWriter(str(tmp_path / layout.LOG), max_bytes=500, max_files=10)
    lines = [b"%d\n" % number for number in range(70)]

    async def write(got: bytearray) -> None:
        await _until(lambda: got == lines[0])
        _write(writer, lines[1:])
        ended(tmp_path)

    _write(writer, lines[:1] if begun else lines)
    if not begun:
        ended(tmp_path)
    assert (tmp_path / "log.3").exists() is not begun
    assert reading(tmp_path, Wanted(follow=True), write if begun else None) == b"".join(lines)
    assert (tmp_path / "log.5").exists()
    assert not (tmp_path / "log.dropped").exists()
    assert reading(tmp_path, Wanted()) == decoded((tmp_path / "log").read_bytes())


def test_follow_that_is_overtaken_says_so_after_what_it_has(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / layout.LOG), max_bytes=500, max_files=3)
    lines = [b"%d\n" % number for number in range(70)]
    came: list[bytearray] = []

    async def write(got: bytearray) -> None:
        came.append(got)
        await _until(lambda: got == lines[0])
        _write(writer, lines[1:])

    _write(writer, lines[:1])
    with pytest.raises(LinesLostError):
        reading(tmp_path, Wanted(follow=True), write)
    assert len(came[0]) > len(lines[0])
    assert b"".join(lines[:20]).startswith(came[0])
    assert (tmp_path / "log.dropped").exists()


def _write(writer: LogWriter, lines: list[bytes]) -> None:
    for line in lines:
        writer.feed(line)


def test_follow_of_a_silent_container_ends_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / layout.LOG).write_bytes(encoded(b"all that there is\n"))
    assert reading(tmp_path, Wanted(follow=True, limit_bytes=3)) == b"all"


def test_follow_of_what_has_ended_ends(tmp_path: Path) -> None:
    LogWriter(str(tmp_path / layout.LOG), max_bytes=500, max_files=2).feed(b"done\n")
    ended(tmp_path)
    assert reading(tmp_path, Wanted(follow=True, tail=1)) == b"done\n"
    assert reading(tmp_path, Wanted(follow=True, limit_bytes=2)) == b"do"


def test_of_what_has_written_nothing_there_is_no_file_and_an_empty_log(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / layout.LOG), max_bytes=500, max_files=2)
    writer.feed(b"")
    assert writer.flush()
    writer.finish()
    writer.drop_torn_line()
    writer.close()
    assert not list(tmp_path.iterdir())
    assert reading(tmp_path, Wanted()) == reading(tmp_path, Wanted(tail=3)) == b""
    ended(tmp_path)
    assert reading(tmp_path, Wanted(follow=True)) == b""


@pytest.mark.parametrize("wanted", [Wanted(follow=True), Wanted(follow=True, tail=1)])
def test_follow_awaits_the_first_output(tmp_path: Path, wanted: Wanted) -> None:
    writer = LogWriter(str(tmp_path / layout.LOG), max_bytes=500, max_files=2)

    async def write(got: bytearray) -> None:
        await asyncio.sleep(0.02)
        writer.feed(b"first\n")
        await _until(lambda: got == b"first\n")
        writer.feed(b"second\n")
        ended(tmp_path)

    assert reading(tmp_path, wanted, write) == b"first\nsecond\n"


def test_follow_without_inotify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "FALLBACK_S", 0.01)
    writer = LogWriter(str(tmp_path / layout.LOG), max_bytes=500, max_files=2)

    async def read() -> bytes:
        watcher = DirectoryWatcher()
        watcher.close()  # as where the system gives no more watches
        got = bytearray()

        async def write() -> None:
            await asyncio.sleep(0.03)
            writer.feed(b"late\n")
            await _until(lambda: got == b"late\n")
            ended(tmp_path)

        beside = asyncio.create_task(write())
        async for chunk in logfile.read(tmp_path, Wanted(follow=True), watcher):
            got.extend(chunk)
        await beside
        return bytes(got)

    assert asyncio.run(asyncio.wait_for(read(), 30)) == b"late\n"


async def _until(holds: Callable[[], bool]) -> None:
    """Let the loop run until it holds; the test's own time limit bounds it."""
    while not holds():
        await asyncio.sleep(0.001)


def test_watches_are_given_back(tmp_path: Path) -> None:
    async def watch() -> set[int]:
        watcher = DirectoryWatcher()
        with contextlib.closing(watcher):
            with watcher.changes(tmp_path) as one, watcher.changes(tmp_path) as other:
                (tmp_path / "new").touch()
                await asyncio.wait_for(asyncio.gather(one.wait(), other.wait()), 30)
            return set(watcher._waiting)

    assert asyncio.run(watch()) == set()
