"""Moments as text: to the second, never rounded up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobman.local.moments import micro_stamp, stamp, stamp_ns


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 2, 32, 52, 999_999, UTC), "2026-11-21T02:32:52Z"),
        (datetime(1969, 12, 31, 23, 59, 59, 500_000, UTC), "1969-12-31T23:59:59Z"),
        (datetime(1, 1, 2, tzinfo=UTC), "0001-01-02T00:00:00Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), "9999-12-31T23:59:59Z"),
    ],
)
def test_a_second_is_cut_off(moment: datetime, text: str) -> None:
    assert stamp(moment) == text


def test_nanoseconds() -> None:
    assert stamp_ns(0) == "1970-01-01T00:00:00Z"
    assert stamp_ns(1_999_999_999) == "1970-01-01T00:00:01Z"


def test_a_microsecond_of_an_early_year() -> None:
    assert micro_stamp(datetime(1, 1, 2, tzinfo=UTC)) == "0001-01-02T00:00:00.000000Z"
