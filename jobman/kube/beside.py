"""Waiting for one answer while doing something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def beside(ask: Callable[[], T]) -> Callable[[], T]:
    """Begin `ask` in a thread that an interrupted command does not wait for.

    What it returns waits for the answer, and raises what `ask` raised.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except Exception as error:  # noqa: BLE001 - raised where the answer is waited for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="beside").start()
    return future.result
