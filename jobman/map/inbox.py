"""What has happened, and what is to happen later, for the one thread that decides."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from itertools import count
from queue import Empty, SimpleQueue

Act = Callable[[], None]
MOST_AT_ONCE = 1000


class Inbox:
    """Acts posted by any thread, and by signal handlers; run by the thread that receives."""

    def __init__(self) -> None:
        self._acts: SimpleQueue[Act] = SimpleQueue()
        self._timers: list[tuple[float, int, Act]] = []
        self._numbers = count()

    def post(self, act: Act) -> None:
        """Have `act` run by the thread that receives."""
        self._acts.put(act)

    def later(self, delay_s: float, act: Act) -> None:
        """Have `act` run in `delay_s` seconds; for the receiving thread alone."""
        at = time.monotonic() + delay_s
        heapq.heappush(self._timers, (at, next(self._numbers), act))

    def receive(self, patience_s: float = math.inf) -> None:
        """Wait for what comes next, `patience_s` seconds at most, and run all that has come."""
        wait_s = min(self._until_next_timer(), patience_s)
        try:
            act = self._acts.get(timeout=None if wait_s == math.inf else wait_s)
        except Empty:
            pass
        else:
            act()
            for _ in range(min(self._acts.qsize(), MOST_AT_ONCE)):
                self._acts.get()()
        while self._until_next_timer() <= 0:
            heapq.heappop(self._timers)[2]()

    def _until_next_timer(self) -> float:
        return max(self._timers[0][0] - time.monotonic(), 0.0) if self._timers else math.inf
