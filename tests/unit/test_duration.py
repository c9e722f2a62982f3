"""Durations and points in time."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.values.duration import format_age, format_rfc3339, parse_duration, parse_rfc3339


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("45s", 45),
        ("2h30m", 9000),
        ("7d", 604800),
        ("1w", 604800),
        ("1-02:00:00", 93600),
        ("02:00:00", 7200),
        ("10:30", 630),
        ("1-12:00", 129600),
        ("1-12", 129600),
        ("0-00:10", 600),
        (" 5m ", 300),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-5", "5x", "h", "1:99", "1e3", "1-", "1-2-3", "1-5:", "5 m", "m5", "٣", "9" * 40]
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (-1, "0s"),
        (-5, "<invalid>"),
        (119, "119s"),
        (120, "2m"),
        (192, "3m12s"),
        (600, "10m"),
        (10799, "179m"),
        (3 * 3600, "3h"),
        (5 * 3600 + 120, "5h2m"),
        (47 * 3600, "47h"),
        (2 * 86400 + 3 * 3600, "2d3h"),
        (12 * 86400, "12d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_age_as_kubectl_writes_it(seconds: float, shown: str) -> None:
    assert format_age(seconds) == shown


@given(st.integers(0, 7_000_000_000_000_000))
def test_rfc3339_round_trip(microseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert parse_rfc3339(format_rfc3339(moment)) == moment


def test_rfc3339_forms() -> None:
    east = timezone(timedelta(hours=2))
    moment = datetime(2026, 11, 21, 2, 32, 52, tzinfo=east)
    assert format_rfc3339(moment) == "2026-11-21T00:32:52Z"
    assert parse_rfc3339("2026-11-21T02:32:52+02:00") == moment
    assert parse_rfc3339("2026-11-21T02:32:52.123456789Z").microsecond == 123456
    for text in ("", "2026-11-21", "2026-11-21T02:32:52", "now"):
        with pytest.raises(ValueError, match="no RFC 3339 time"):
            parse_rfc3339(text)


@given(st.text(alphabet="0123456789.-:wdhms e", max_size=14) | st.from_regex(r"\d{1,500}:\d\d"))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    seconds = 0.0
    with contextlib.suppress(ValueError):
        seconds = parse_duration(text)
    assert 0 <= seconds <= 100 * 365 * 86400


@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_slurms_form_and_units_agree(days: int, hours: int, minutes: int, seconds: int) -> None:
    slurm = f"{days}-{hours:02}:{minutes:02}:{seconds:02}"
    assert parse_duration(slurm) == parse_duration(f"{days}d{hours}h{minutes}m{seconds}s")
