"""Kubernetes' resource quantities: `500m`, `1Gi`, `2`, `1e3`.

Strict: what a real API server refuses is refused here. Source: Kubernetes' resource.Quantity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_UP, Context, Decimal
from functools import total_ordering
from typing import Literal

Form = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SYNTAX = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3})?",
    re.ASCII,
)
_SMALLEST = Decimal("1e-9")
_EXACT = Context(prec=60)
_LARGEST = Decimal(2**63 - 1)


@total_ordering
@dataclass(frozen=True, eq=False)
class Quantity:
    """An amount: equal and ordered by value, written canonically in its own form."""

    value: Decimal
    form: Form = field(default="DecimalSI")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.value == other.value

    def __lt__(self, other: Quantity) -> bool:
        return self.value < other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(
            _EXACT.add(self.value, other.value), self.form if self.value else other.form
        )

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(_EXACT.subtract(self.value, other.value), self.form)

    @property
    def int_ceil(self) -> int:
        """The smallest whole number that is not less."""
        return int(self.value.to_integral_value(ROUND_CEILING))

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number."""
        return self.value == self.value.to_integral_value()

    def __str__(self) -> str:
        if self.form == "BinarySI" and self.is_whole and abs(self.value) >= 1024:
            return _binary(int(self.value))
        number, exponent = _in_thousands(self.value)
        if self.form == "DecimalExponent":
            return f"{number}e{exponent}" if exponent else str(number)
        suffix = next(name for name, power in _DECIMAL.items() if power == exponent)
        return f"{number}{suffix}"


ZERO = Quantity(Decimal(0))


def parse(text: str | int | float | Decimal, *, allow_negative: bool = False) -> Quantity:
    """The quantity that `text` writes. Raises ValueError with a plain reason.

    As a server has it: a fraction finer than a billionth is rounded up, away from zero, and what
    is more than 2**63-1 is that.
    """
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is no quantity")
    if isinstance(text, float | Decimal):
        text = str(Decimal(str(text))).replace("E", "e")
    match = _SYNTAX.fullmatch(str(text))
    if match is None:
        raise ValueError(f"'{text}' is no quantity (like 500m, 2, 1.5 or 4Gi)")
    number, suffix = Decimal(match["number"]), match["suffix"] or ""
    if number < 0 and not allow_negative:
        raise ValueError(f"'{text}' is negative")
    value, form = _scaled(number, suffix)
    if abs(value) > _LARGEST:
        return Quantity(_LARGEST.copy_sign(value), form)
    if value != value.quantize(_SMALLEST, context=_EXACT):
        value = value.quantize(_SMALLEST, rounding=ROUND_UP, context=_EXACT)
    return Quantity(value, form)


def _scaled(number: Decimal, suffix: str) -> tuple[Decimal, Form]:
    if suffix in _BINARY:
        return _EXACT.multiply(number, Decimal(1024) ** _BINARY[suffix]), "BinarySI"
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix], context=_EXACT), "DecimalSI"
    return number.scaleb(int(suffix[1:]), context=_EXACT), "DecimalExponent"


def _binary(whole: int) -> str:
    """The largest binary suffix that leaves a whole number."""
    for suffix, power in reversed(_BINARY.items()):
        if whole % 1024**power == 0:
            return f"{whole // 1024**power}{suffix}"
    return str(whole)


def _in_thousands(value: Decimal) -> tuple[int, int]:
    """A whole number and the greatest exponent, a multiple of three from -9 to 18."""
    if not value:
        return 0, 0
    exponent = 18
    while value.scaleb(-exponent, context=_EXACT) % 1:
        exponent -= 3
    return int(value.scaleb(-exponent, context=_EXACT)), exponent


def format_bytes(count: float, *, digits: int | None = None) -> str:
    """A size for people: `512 B`, `1.5 KiB`, `20 MiB`; with four digits `503.6 GiB`."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    amount, unit = float(count), 0
    while abs(amount) >= 1024 and unit < len(units) - 1:
        amount, unit = amount / 1024, unit + 1
    if digits is not None:
        return f"{amount:.{digits}g} {units[unit]}"
    shown = f"{amount:.0f}" if unit == 0 or abs(amount) >= 10 else f"{amount:.1f}"
    return f"{shown} {units[unit]}"


def format_free(count: int) -> str:
    """Bytes that are there to be asked for, never more than there are: `63.9Gi`, `512Mi`, `0`."""
    if count < 2**30:
        return f"{count // 2**20}Mi" if count >= 2**20 else "0"
    whole, tenth = divmod(count * 10 // 2**30, 10)
    return f"{whole}.{tenth}Gi" if tenth else f"{whole}Gi"
