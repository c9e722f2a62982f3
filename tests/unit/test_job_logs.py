"""A log arrives whole, each line once, however often its connection is cut."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.errors import JobmanError
from jobman.jobs.logs import LogCopy, ResumePoint, check_is_log

BEGIN = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def stamp(microseconds: int, zone_minutes: int = 0) -> bytes:
    zone = timezone(timedelta(minutes=zone_minutes))
    moment = (BEGIN + timedelta(microseconds=microseconds)).astimezone(zone)
    offset = moment.isoformat()[-6:] if zone_minutes else "Z"
    return (moment.strftime("%Y-%m-%dT%H:%M:%S.%f000") + offset).encode()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2026-11-21T02:32:52.123456789Z hello", b"hello"),
        (b"2026-11-21T02:32:52.123456789Z ", b""),
        (b"2026-11-21T02:32:52.123456789Z", b""),
        (b"2026-11-21T02:32:52Z  two spaces", b" two spaces"),
        (b"2026-11-21T02:32:52.1+01:00 zone", b"zone"),
        (
            b"2026-11-21T02:32:52.1Z 2026-11-21T02:32:52.1Z its own",
            b"2026-11-21T02:32:52.1Z its own",
        ),
        (b"unable to retrieve container logs", b"unable to retrieve container logs"),
        (b"2026-11-21T02:32:52Zglued", b"2026-11-21T02:32:52Zglued"),
    ],
)
def test_a_stamp_is_taken_off(line: bytes, expected: bytes) -> None:
    out = io.BytesIO()
    copy = LogCopy(out)
    copy.feed(line)
    copy.end()
    assert out.getvalue() == expected


def test_what_is_asked_for_after_a_cut() -> None:
    point = ResumePoint()
    assert point.since_time is None
    for second in (0, 0, 7_000_000):
        assert point.accept(stamp(second) + b" x")
    assert point.since_time == "2026-11-21T12:00:00Z"
    point.accept(stamp(9_000_000) + b" y")
    assert point.since_time == "2026-11-21T12:00:07Z"


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (b"2026-11-22T00:15:59.9+08:00", "2026-11-21T16:15:59Z"),
        (b"2026-11-21T20:15:59.9-05:30", "2026-11-22T01:45:59Z"),
        (b"2026-11-21T20:15:59-00:00", "2026-11-21T20:15:59Z"),
        (b"2026-11-21T23:59:60+08:00", "2026-11-21T23:59:60Z"),
        (b"0001-01-01T00:00:00+08:00", "0001-01-01T00:00:00Z"),
    ],
)
def test_it_is_asked_for_in_utc(stamp: bytes, expected: str) -> None:
    point = ResumePoint()
    point.accept(stamp + b" x")
    assert point.since_time == expected


def test_a_clock_that_is_put_back_an_hour_moves_no_line() -> None:
    summer, winter = b"2026-10-25T02:59:59.9+02:00", b"2026-10-25T02:00:00.1+01:00"
    point = ResumePoint()
    for text in (summer, winter):
        assert point.accept(text + b" x")
    assert point.since_time == "2026-10-25T00:59:59Z"
    point.accept(b"2026-10-25T02:00:01.1+01:00 x")
    assert point.since_time == "2026-10-25T01:00:00Z"


def test_lines_without_a_stamp_are_always_new() -> None:
    point = ResumePoint()
    assert point.accept(b"rpc error: code = NotFound")
    point.resume()
    assert point.accept(b"rpc error: code = NotFound")


def test_repeats_are_counted_so_that_equal_lines_all_arrive() -> None:
    point = ResumePoint()
    line = stamp(5) + b" same"
    assert [point.accept(line) for _ in range(2)] == [True, True]
    point.resume()
    assert [point.accept(line) for _ in range(3)] == [False, False, True]


CONTENT = st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"\r"))
STEPS_US = st.sampled_from([0, 0, 1, 300, 250_000, 999_999, 5_000_000])
LINES = st.lists(st.tuples(STEPS_US, CONTENT), max_size=25)


@given(
    lines=LINES,
    newline_at_end=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    zone_minutes=st.sampled_from([0, 480, -300, 345]),
    data=st.data(),
)
def test_every_byte_once_through_any_cuts(
    lines: list[tuple[int, bytes]],
    newline_at_end: bool,
    cuts: list[int],
    zone_minutes: int,
    data: st.DataObject,
) -> None:
    at, log = 0, []
    for step, content in lines:
        at += step
        log.append((at // 1_000_000, stamp(at, zone_minutes) + b" " + content))
    out = io.BytesIO()
    copy = LogCopy(out)
    for cut in [*cuts, None]:
        served = answer(log, copy.point.since_time, newline_at_end)
        copy.reconnect(cut=True)
        for piece in pieces(served[:cut], data):
            copy.feed(piece)
    copy.end()
    expected = b"\n".join(content for _, content in lines)
    assert out.getvalue() == expected + (b"\n" if lines and newline_at_end else b"")
    assert copy.lines == len(lines)
    assert not copy.gap


def answer(log: list[tuple[int, bytes]], since: str | None, newline_at_end: bool) -> bytes:
    """What a server sends: whole seconds are all that it knows of `since`."""
    first = 0 if since is None else (datetime.fromisoformat(since) - BEGIN).total_seconds()
    text = b"\n".join(line for second, line in log if second >= first)
    return text + (b"\n" if text and newline_at_end else b"")


def pieces(text: bytes, data: st.DataObject) -> list[bytes]:
    size = data.draw(st.integers(1, 40))
    return [text[i : i + size] for i in range(0, len(text), size)]


def test_timestamps_are_kept_where_wanted() -> None:
    out = io.BytesIO()
    copy = LogCopy(out, timestamps=True)
    copy.feed(stamp(1) + b" a\n" + stamp(2) + b" b")
    copy.end()
    assert out.getvalue() == stamp(1) + b" a\n" + stamp(2) + b" b"


def test_a_line_of_a_megabyte_in_small_pieces() -> None:
    out = io.BytesIO()
    copy = LogCopy(out)
    line = b"\xff\x00\x1b" * 350_000
    text = stamp(1) + b" " + line + b"\n"
    for begin in range(0, len(text), 16_384):
        copy.feed(text[begin : begin + 16_384])
    assert out.getvalue() == line + b"\n"


def test_lines_out_of_order_are_no_repeats() -> None:
    out = io.BytesIO()
    copy = LogCopy(out)
    late, early = stamp(1_000_001) + b" out\n", stamp(999_999) + b" err\n"
    copy.feed(late + early)
    copy.reconnect()
    copy.feed(late + early + stamp(1_000_002) + b" new\n")
    assert out.getvalue() == b"out\nerr\nnew\n"


def test_a_line_is_passed_on_before_its_end_and_completed_after_a_cut() -> None:
    out = io.BytesIO()
    copy = LogCopy(out)
    copy.feed(stamp(1) + b" same\n" + stamp(1) + b" begun by a lo")
    assert out.getvalue() == b"same\nbegun by a lo"
    copy.reconnect(cut=True)
    copy.feed(stamp(1) + b" same\n" + stamp(1) + b" begun")
    copy.reconnect(cut=True)
    copy.feed(stamp(1) + b" same\n" + stamp(1) + b" begun by a log line\n" + stamp(2) + b" x\n")
    copy.end()
    assert out.getvalue() == b"same\nbegun by a log line\nx\n"
    assert (copy.lines, copy.gap) == (3, False)


def test_the_rest_of_a_line_that_began_before_the_last_second_is_no_line() -> None:
    out = io.BytesIO()
    copy = LogCopy(out)
    copy.feed(stamp(1) + b" one\n" + stamp(2_000_000) + b" two\n")
    copy.reconnect()
    copy.feed(b"ne\n" + stamp(2_000_000) + b" two\n" + stamp(3_000_000) + b" three\n")
    copy.end()
    assert out.getvalue() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("again", "cut", "gap"),
    [
        pytest.param(b"seen\nnew\n", True, False, id="goes on where it was"),
        pytest.param(b"new\n", True, True, id="begins later"),
        pytest.param(b"new\n", False, True, id="begins later after a clean end"),
        pytest.param(b"", True, True, id="empty after a cut"),
        pytest.param(b"", False, False, id="empty after a clean end"),
    ],
)
def test_a_gap_is_seen(again: bytes, cut: bool, gap: bool) -> None:
    copy = LogCopy(io.BytesIO())
    copy.feed(stamp(1) + b" seen\n")
    copy.reconnect(cut=cut)
    lines = again.splitlines(keepends=True)
    for line in lines:
        copy.feed((stamp(1) if line == b"seen\n" else stamp(9_000_000)) + b" " + line)
    copy.end()
    assert copy.gap is gap


def test_what_a_node_says_in_the_place_of_a_log_is_no_log() -> None:
    with pytest.raises(JobmanError, match="pod p is gone"):
        check_is_log(b"unable to retrieve container logs for x", LogCopy(io.BytesIO()), "p")
