"""Bringing a pod down: SIGTERM, the grace period, SIGKILL to everything that is left."""

from __future__ import annotations

import time

from jobman.local.pod_report import Reporter
from jobman.local.pod_state import Object, PodState

_LOOK_AGAIN_S = 5.0


class Stopper:
    """Ends the containers of one pod; sidecars after the others, the last that began first."""

    def __init__(self, state: PodState, report: Reporter) -> None:
        self._state = state
        self._report = report
        self._kill_at: float | None = None
        self._asked: set[str] = set()

    @property
    def began(self) -> bool:
        """Whether anything had to be asked to end."""
        return bool(self._asked)

    def bring_down(self, kill_at: float, *, silent: bool = False) -> float | None:
        """Do the next step; seconds until the one after, None when nothing runs any more.

        `kill_at` is a time (seconds since 1970) that only ever moves forward to an earlier one.
        """
        living = [c for c in self._state.containers if self._state.runs_of(c).running]
        if not living:
            return None
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        left_s = self._kill_at - time.time()
        if left_s <= 0:
            for container in living:
                self._state.runs_of(container).kill()
                self._tell(container, silent)
            return _LOOK_AGAIN_S
        mains = [c for c in living if not self._state.is_sidecar(c)]
        for container in mains or living[-1:]:
            if container["name"] not in self._asked:
                self._state.runs_of(container).terminate()
                self._tell(container, silent)
        return left_s

    def _tell(self, container: Object, silent: bool) -> None:
        """The container has been asked to end, which is told once."""
        name = container["name"]
        if name not in self._asked:
            self._asked.add(name)
            if not silent:
                self._report.event(container, "Normal", "Killing", f"Stopping container {name}")
