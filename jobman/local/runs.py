"""The runs of one container: each restart has a directory of its own, the last two are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from jobman.local import layout, places
from jobman.local.supervisor import Exit, Running, Spec, Supervisor, void

_BACKOFF_FIRST_S = 10.0
_BACKOFF_MAX_S = 300.0
_BACKOFF_FORGOTTEN_NS = 600 * 1_000_000_000
_KEPT = 2


def restart_delay_s(restarts: int) -> float:
    """How long to wait before the next restart: nothing, then 10 s doubling up to 300 s."""
    if restarts == 0:
        return 0.0
    return min(_BACKOFF_FIRST_S * 2.0 ** min(restarts - 1, 10), _BACKOFF_MAX_S)


def _ran_long(ended: Exit) -> bool:
    """Whether it ran so long that earlier failures are forgotten."""
    ran_ns = ended.finished_ns - ended.started_ns
    return bool(ended.started_ns) and ran_ns > _BACKOFF_FORGOTTEN_NS


class Runs:
    """All runs of one container; `wake` is called when something about them changes."""

    def __init__(
        self, supervisor: Supervisor, pod_directory: Path, name: str, wake: Callable[[], None]
    ) -> None:
        self._supervisor = supervisor
        self._pod_directory = pod_directory
        self._name = name
        self._wake = wake
        self.current: Running | None = None
        self.ended: Exit | None = None
        self.previous: Exit | None = None
        self.number = -1
        self._streak = 0

    def directory_of(self, number: int) -> Path:
        """Where that run is, was or will be."""
        return self._pod_directory / layout.run_directory(self._name, number)

    @property
    def directory(self) -> Path:
        """Where the present or last run is."""
        return self.directory_of(self.number)

    @property
    def next_directory(self) -> Path:
        """Where the next run will be."""
        return self.directory_of(self.number + 1)

    @property
    def started(self) -> bool:
        """Whether it has ever been started."""
        return self.number >= 0

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.current is not None

    @property
    def restart_count(self) -> int:
        """How often it has been started after the first time."""
        return max(self.number, 0)

    def restart_at_ns(self) -> int:
        """When the next run may begin: nanoseconds since 1970."""
        if self.ended is None:
            return 0
        streak = 0 if _ran_long(self.ended) else self._streak
        return self.ended.finished_ns + int(restart_delay_s(streak) * 1e9)

    def restore(self) -> None:
        """Find what an earlier daemon left: a run that goes on, has ended, or was never begun."""
        numbers = self._numbers()
        while numbers and self._was_never_begun(self.directory_of(numbers[-1])):
            places.remove_tree(self.directory_of(numbers.pop()))
        if not numbers:
            return
        self.number = numbers[-1]
        self._streak = self.number
        if len(numbers) > 1:
            self.previous = Exit.read(self.directory_of(numbers[-2]))
            if self.previous is not None and _ran_long(self.previous):
                self._streak = 1
        found = self._supervisor.find(self.directory)
        if found is not None:
            self._take(found)

    def _was_never_begun(self, directory: Path) -> bool:
        """Whether no process came of it; then none ever will."""
        return self._supervisor.find(directory) is None and void(directory)

    async def start(self, spec: Spec) -> None:
        """Begin the next run. Raises StartFailedError, after which nothing has changed."""
        found = await self._supervisor.start(self.next_directory, spec)
        if self.ended is not None:
            self._streak = self._next_streak()
        self.previous, self.ended = self.ended, None
        self.number += 1
        self._take(found)
        self._forget_old()

    def _next_streak(self) -> int:
        assert self.ended is not None
        return 1 if _ran_long(self.ended) else self._streak + 1

    def _take(self, found: Running | Exit) -> None:
        if isinstance(found, Exit):
            self.ended = found
            return
        self.current = found
        found.exit.add_done_callback(self._over)

    def _over(self, future: asyncio.Future[Exit]) -> None:
        if future.cancelled():
            return
        self.current, self.ended = None, future.result()
        self._wake()

    def _forget_old(self) -> None:
        if self.number >= _KEPT:
            for number in self._numbers():
                if number <= self.number - _KEPT:
                    places.remove_tree(self.directory_of(number))

    def _numbers(self) -> list[int]:
        """The runs that have left something on the disk, oldest first."""
        try:
            names = [path.name for path in self._pod_directory.iterdir()]
        except FileNotFoundError:  # nothing of the pod was ever begun
            return []
        runs = [layout.run_of(name) for name in names if "." in name]
        return sorted(number for container, number in runs if container == self._name)

    def terminate(self) -> None:
        """SIGTERM, if it runs."""
        if self.current is not None:
            self.current.terminate()

    def kill(self) -> None:
        """SIGKILL to all of it, if it runs."""
        if self.current is not None:
            self.current.kill()
