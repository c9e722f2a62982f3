"""Waiting until a job has started, finished, or can never start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jobman.jobs.follow import follow as follow
from jobman.jobs.observe import Observation, Timeout
from jobman.jobs.state import JobView
from jobman.kube.client import Client

Goal = Literal["started", "finished"]


def until(
    client: Client,
    job_name: str,
    namespace: str | None,
    *,
    goal: Goal,
    timeout_s: float | None,
    on_state: Callable[[JobView], None],
    since: float | None = None,
) -> JobView:
    """Wait until the job has started or finished, or is Stuck; its view at that moment.

    `on_state` is called with the first view and with each that differs from the one before.
    The waiting began at `since` (of the monotonic clock), None: now.
    Raises WaitTimeoutError, and NotFoundError when the job is, or gets, deleted.
    """
    observation = Observation(client, job_name, namespace)
    timeout = Timeout(timeout_s, f"job {job_name} has not {goal}", since=since)
    with observation.watching():
        view = observation.view()
        on_state(view)
        while not (observation.is_over(view) or _reached(view, goal)):
            observation.receive(timeout)
            observation.require_existing()
            view, before = observation.view(), view
            if view != before:
                on_state(view)
        return observation.outcome()


def _reached(view: JobView, goal: Goal) -> bool:
    return goal == "started" and any(pod.has_started for pod in view.pods)
