"""Waiting for several jobs at the same time, with two watches however many they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from jobman.errors import WaitTimeoutError
from jobman.jobs.live import LiveJobs
from jobman.jobs.observe import LAG_S
from jobman.jobs.state import JobView
from jobman.kube.objects import Job
from jobman.values.duration import format_age
from jobman.values.enums import Goal, State

LOOK_AGAIN_S = 5.0
"""Trouble that lasts turns a starting job into a stuck one without any change to watch."""


class Waiting:
    """Jobs that are waited for; `views` are those of the jobs that are through, by uid.

    A job that was deleted before it came to an end has the view None.
    """

    def __init__(
        self, live: LiveJobs, jobs: Sequence[Job], goal: Goal, *, now: Callable[[], datetime]
    ) -> None:
        self.views: dict[str, JobView | None] = {}
        self._live = live
        self._jobs = jobs
        self._goal = goal
        self._now = now
        self._over_since: dict[str, float] = {}

    def until(
        self,
        *,
        any_one: bool,
        timeout_s: float | None,
        on_through: Callable[[Job, JobView | None], object],
    ) -> None:
        """Wait until all, or any one, reached the goal, or all can no longer reach it.

        `on_through` is called for each job when it is through. Raises WaitTimeoutError.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            for job in self._now_through():
                view = self.views[job.metadata.uid]
                on_through(job, view)
                if any_one and reached(view, self._goal):
                    return
            left = len(self._jobs) - len(self.views)
            if not left:
                return
            patience = 0.2 if self._over_since.keys() - self.views.keys() else LOOK_AGAIN_S
            left_s = patience if end is None else end - time.monotonic()
            if left_s <= 0:
                raise WaitTimeoutError(self._out_of_time(left, timeout_s or 0))
            self._live.wait(min(patience, left_s))

    def _out_of_time(self, left: int, timeout_s: float) -> str:
        after = f"not {self._goal} after {format_age(timeout_s)}"
        if len(self._jobs) == 1:
            return f"job {self._jobs[0].metadata.name} has {after}; it goes on"
        has, goes = ("has", "it goes") if left == 1 else ("have", "they go")
        return f"{left} of {len(self._jobs)} jobs {has} {after}; {goes} on"

    def _now_through(self) -> list[Job]:
        waiting = [job for job in self._jobs if job.metadata.uid not in self.views]
        return [job for job in waiting if self._is_through(job.metadata.uid)]

    def _is_through(self, uid: str) -> bool:
        live = self._live
        if uid not in live.jobs and uid not in live.deleted:
            self.views[uid] = None
            return True
        view = live.view(uid, now=self._now())
        if uid in live.deleted and not view.finished:
            self.views[uid] = None
            return True
        started = self._goal is Goal.STARTED and any(pod.has_started for pod in view.pods)
        if started or view.state is State.STUCK or (view.finished and self._is_settled(uid, view)):
            self.views[uid] = view
            return True
        return False

    def _is_settled(self, uid: str, view: JobView) -> bool:
        """The Job's end may be seen before its container's exit code is."""
        if view.state is State.SUCCEEDED or view.exit_code is not None or uid in self._live.deleted:
            return True
        since = self._over_since.setdefault(uid, time.monotonic())
        return time.monotonic() - since > LAG_S


def reached(view: JobView | None, goal: Goal) -> bool:
    """Whether a job that is through got where it was to get."""
    if view is None:
        return False
    if goal is Goal.STARTED:
        return view.finished or any(pod.has_started for pod in view.pods)
    return view.finished if goal is Goal.FINISHED else view.state is State.SUCCEEDED
