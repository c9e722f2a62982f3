"""How work grows with what is asked: told by comparison, not by a clock that others keep busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

FEW, MANY = 400, 6400
_TRIES = 3


def assert_grows_in_proportion(work: Callable[[Any], object], asked: Callable[[int], Any]) -> None:
    """Sixteen times as much takes about sixteen times the work, where a square takes 256 times."""
    few, many = _cost(work, asked(FEW)), _cost(work, asked(MANY))
    assert many < 5 * (MANY / FEW) * max(few, 0.0005), f"{few=:.4f} {many=:.4f}"


def _cost(work: Callable[[Any], object], given: Any) -> float:
    """The processor's time of this thread alone; the least of a few tries."""
    return min(_once(work, given) for _ in range(_TRIES))


def _once(work: Callable[[Any], object], given: Any) -> float:
    begun = time.thread_time()
    work(given)
    return time.thread_time() - begun
