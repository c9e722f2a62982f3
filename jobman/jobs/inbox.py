"""What threads have to tell, watches among them, done in the one thread that receives it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from jobman.errors import ForbiddenError, JobmanError
from jobman.kube.objects import KubeObject
from jobman.kube.watch import Watch

Act = Callable[[], None]
T = TypeVar("T", bound=KubeObject)


class Inbox:
    """`post` is for any thread; all else for the one that receives. To be closed."""

    def __init__(self) -> None:
        self._acts: SimpleQueue[Act] = SimpleQueue()
        self._watches: list[Watch[Any]] = []

    def post(self, act: Act) -> None:
        """Have `act` run in the thread that receives."""
        self._acts.put(act)

    def receive(self, patience_s: float) -> bool:
        """Do what has come; where nothing has, wait for it. Whether something came in time."""
        try:
            acts = [self._acts.get(timeout=patience_s)]
        except Empty:
            return False
        acts += [self._acts.get() for _ in range(self._acts.qsize())]
        for act in acts:
            act()
        return True

    def read(
        self, watch: Watch[T], take: Callable[[str, T], None], *, may_be_forbidden: bool = False
    ) -> None:
        """Have `take` told of each change; what ends the watch is raised by `receive`."""

        def run() -> None:
            try:
                for change in watch:
                    self.post(partial(take, change.type, change.object))
            except JobmanError as error:
                if not (may_be_forbidden and isinstance(error, ForbiddenError)):
                    self.post(partial(_raise, error))

        self._watches.append(watch)
        threading.Thread(target=run, daemon=True, name="watch").start()

    def close(self) -> None:
        """End the watches."""
        for watch in self._watches:
            watch.close()


def _raise(error: JobmanError) -> None:
    raise error
