"""Waiting for an answer while doing something else, and for several at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def beside(ask: Callable[[], T]) -> Callable[[], T]:
    """Begin `ask` in a thread that an interrupted command does not wait for.

    What it returns waits for the answer, and raises what `ask` raised.
    """
    return _begun(ask).result


def as_they_come(asks: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Begin all of `asks` so; their answers as they come, or what the next one raised."""
    done: SimpleQueue[Future[T]] = SimpleQueue()
    begun = [_begun(ask) for ask in asks]
    for future in begun:
        future.add_done_callback(done.put)
    for _ in begun:
        yield done.get().result()


def _begun(ask: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except Exception as error:  # noqa: BLE001 - raised where the answer is waited for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="beside").start()
    return future
