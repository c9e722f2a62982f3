"""Waiting for an answer while doing something else, and for several at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

A = TypeVar("A")
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


def in_order(do: Callable[[A], T], items: Iterable[A], most: int) -> Iterator[T]:
    """What `do` makes of each item, in their order, or what it raised; `most` at a time.

    Several at a time are done in threads that an interrupted command does not wait for. When the
    results are no longer asked for, no more are begun.
    """
    if most == 1:
        yield from map(do, items)
        return
    waiting: deque[tuple[Future[T], Callable[[], T]]] = deque(
        (Future(), partial(do, item)) for item in items
    )
    futures = [future for future, _ in waiting]

    def work() -> None:
        while True:
            try:
                future, ask = waiting.popleft()
            except IndexError:
                return
            _settle(future, ask)

    for _ in range(min(most, len(futures))):
        threading.Thread(target=work, daemon=True, name="in order").start()
    try:
        for future in futures:
            yield future.result()
    finally:
        waiting.clear()


class Ahead(Generic[T]):
    """The items of an iterator, made in a thread of its own, at most `most` before their use.

    Used in a `with`, at whose end no more are made.
    """

    def __init__(self, items: Iterator[T], most: int) -> None:
        self._items = items
        self._room = threading.Semaphore(most)
        self._made: SimpleQueue[Future[T] | None] = SimpleQueue()
        self._over = False

    def __enter__(self) -> Ahead[T]:
        threading.Thread(target=self._make, daemon=True, name="ahead").start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._over = True
        self._room.release()

    def __iter__(self) -> Iterator[T]:
        while (made := self._made.get()) is not None:
            self._room.release()
            yield made.result()

    def batches(self) -> Iterator[list[T]]:
        """The same, all that are there at a time, as soon as one is."""
        first = self._made.get()
        while first is not None:
            there = [first, *(self._made.get() for _ in range(self._made.qsize()))]
            batch = [made.result() for made in there if made is not None]
            self._room.release(len(batch))
            yield batch
            first = self._made.get() if len(batch) == len(there) else None

    def _make(self) -> None:
        while self._room.acquire() and not self._over:
            made: Future[T] = Future()
            try:
                made.set_result(next(self._items))
            except StopIteration:
                self._made.put(None)
                return
            except Exception as error:  # noqa: BLE001 - raised where the item is used
                made.set_exception(error)
            self._made.put(made)


def _begun(ask: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    threading.Thread(target=_settle, args=(future, ask), daemon=True, name="beside").start()
    return future


def _settle(future: Future[T], ask: Callable[[], T]) -> None:
    try:
        future.set_result(ask())
    except Exception as error:  # noqa: BLE001 - raised where the answer is waited for
        future.set_exception(error)
