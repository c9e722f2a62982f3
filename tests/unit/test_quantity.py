"""Quantities as Kubernetes writes them."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.values.quantity import Quantity, format_bytes, format_free, parse


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1.5", "1500m"),
        ("1024Mi", "1Gi"),
        ("2000m", "2"),
        (1, "1"),
        (0.1, "100m"),
        ("1.0", "1"),
        ("1.5Gi", "1536Mi"),
        ("0.1Ki", "102400m"),
        ("1e3", "1e3"),
        ("1000", "1k"),
        ("1E", "1E"),
        ("0", "0"),
        ("0.0000000001", "1n"),
        (".5", "500m"),
        ("+2", "2"),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "inf",
        "1_000",
        "1 Gi",
        "1gi",
        "1KI",
        "e3",
        "1e",
        "--1",
        "1.2.3",
        "١",
        True,
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_negative_only_where_allowed() -> None:
    with pytest.raises(ValueError, match="'-1' is negative"):
        parse("-1")
    assert parse("-1", allow_negative=True).value == -1


@pytest.mark.parametrize(
    "text",
    ["9223372036854775808", "8Ei", "9" * 5000, "9" * 400 + "Ei", "1" + "0" * 61 + "n", "1e999"],
)
def test_what_is_too_large_is_the_largest(text: str) -> None:
    assert str(parse(text)) == "9223372036854775807"
    assert str(parse(f"-{text}", allow_negative=True)) == "-9223372036854775807"


def test_a_canonical_form_longer_than_any_amount_is_read_again() -> None:
    assert str(parse("7.9Ei")) == "9108079886394091110400m"
    assert parse("9108079886394091110400m") == parse("7.9Ei")


def test_what_is_too_small_is_the_smallest() -> None:
    assert parse("1e-30") == parse("1n")
    assert parse("-1e-30", allow_negative=True) == parse("-1n", allow_negative=True)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_floats_that_are_no_numbers(number: float) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        parse(number)


@pytest.mark.parametrize(("one", "other"), [("500m", "0.5"), ("1Gi", 1073741824), ("1k", "1000")])
def test_equal_as_numbers(one: str, other: str) -> None:
    assert parse(one) == parse(other)
    assert hash(parse(one)) == hash(parse(other))


amounts = st.builds(
    lambda number, suffix: f"{number}{suffix}",
    st.decimals(0, 100_000, places=3).map(lambda d: format(d, "f")),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi"]),
)


@given(amounts)
def test_the_canonical_form_means_the_same(text: str) -> None:
    quantity = parse(text)
    again = parse(str(quantity))
    assert again == quantity
    assert str(again) == str(quantity)


@given(amounts, amounts)
def test_order_and_sums_are_those_of_the_numbers(one: str, other: str) -> None:
    a, b = parse(one), parse(other)
    assert (a < b) == (a.value < b.value)
    assert (a + b).value == a.value + b.value
    assert (a + b - b) == a


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse(text), Quantity)


def test_int_ceil() -> None:
    assert parse("1500m").int_ceil == 2
    assert not parse("1500m").is_whole
    assert Quantity(Decimal(2)).int_ceil == 2


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (512, "512 B"), (1536, "1.5 KiB"), (20 * 1024**2, "20 MiB")]
)
def test_bytes_for_people(count: int, shown: str) -> None:
    assert format_bytes(count) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0"),
        (2**20 - 1, "0"),
        (512 * 2**20, "512Mi"),
        (65436 * 2**20, "63.9Gi"),
        (64 * 2**30, "64Gi"),
        (16 * 2**30 - 1, "15.9Gi"),
    ],
)
def test_what_is_free_for_people(count: int, shown: str) -> None:
    assert format_free(count) == shown


@given(st.integers(0, 2**50))
def test_no_more_is_shown_as_free_than_there_is(count: int) -> None:
    assert count - max(2**30 // 10 + 1, 2**20) < parse(format_free(count)).value <= count
