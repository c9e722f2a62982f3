"""A bounded pool of threads for requests; nobody waits for it when the run ends at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Task = Callable[[], None]


class Workers:
    """Runs tasks, `urgent` ones first; a task must not raise: `broken` is told when it does."""

    def __init__(self, count: int, broken: Callable[[BaseException], None]) -> None:
        self._urgent: deque[Task] = deque()
        self._other: deque[Task] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._broken = broken
        for number in range(count):
            threading.Thread(target=self._work, daemon=True, name=f"map-{number}").start()

    def do(self, task: Task, *, urgent: bool = False) -> None:
        """Have `task` done by the next free thread."""
        with self._changed:
            (self._urgent if urgent else self._other).append(task)
            self._changed.notify()

    def close(self) -> None:
        """Begin nothing more; what has begun goes on by itself."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except BaseException as error:  # noqa: BLE001 - raised by whoever waits for the run
                self._broken(error)

    def _next(self) -> Task | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._urgent or self._other)
            if self._closed:
                return None
            return (self._urgent or self._other).popleft()
