"""What is made ahead of its use comes in order, and what is there comes together."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from jobman.kube.beside import Ahead, in_order

HANGING = """
import _thread, signal, threading
from jobman.kube.beside import in_order

def hang(_):
    _thread.interrupt_main()
    threading.Event().wait()

signal.signal(signal.SIGINT, signal.default_int_handler)
list(in_order(hang, range(3), 2))
"""


def test_what_is_there_comes_together() -> None:
    all_there, going_on = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield from range(5)
        all_there.set()
        going_on.wait(30)
        yield 5

    with Ahead(numbers(), 10) as ahead:
        batches = ahead.batches()
        all_there.wait(30)
        assert next(batches) == [0, 1, 2, 3, 4]
        going_on.set()
        assert list(batches) == [[5]]


@pytest.mark.parametrize("most", [1, 3, 100])
def test_no_item_is_lost_however_few_may_wait(most: int) -> None:
    with Ahead(iter(range(50)), most) as ahead:
        batches = list(ahead.batches())
    assert [number for batch in batches for number in batch] == list(range(50))
    assert max(len(batch) for batch in batches) <= most


def test_what_could_not_be_made_is_raised() -> None:
    def numbers() -> Iterator[int]:
        yield 0
        raise ValueError("no more")

    with Ahead(numbers(), 10) as ahead, pytest.raises(ValueError, match="no more"):
        list(ahead.batches())


@pytest.mark.parametrize("most", [1, 3, 100])
def test_results_are_in_order_and_so_many_at_a_time(most: int) -> None:
    lock, going, together = threading.Lock(), 0, 0

    def do(number: int) -> int:
        nonlocal going, together
        with lock:
            going += 1
            together = max(going, together)
        with lock:
            going -= 1
        return -number

    assert list(in_order(do, range(50), most)) == [-number for number in range(50)]
    assert together <= most
    assert list(in_order(do, [], most)) == []


def test_no_more_is_begun_where_one_fails() -> None:
    begun: list[int] = []

    def do(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ValueError("one")
        if number > 1:
            failed.wait(30)

    failed = threading.Event()
    with pytest.raises(ValueError, match="one"):
        list(in_order(do, range(50), 2))
    failed.set()
    assert len(begun) <= 4


def test_an_interrupted_command_does_not_wait_for_what_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, timeout=60)
    assert done.returncode != 0
    assert b"KeyboardInterrupt" in done.stderr
