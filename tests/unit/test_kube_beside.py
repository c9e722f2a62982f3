"""What is made ahead of its use comes in order, and what is there comes together."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jobman.kube.beside import Ahead


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
