"""Waiting for a run that another process carries out: for its start, or its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from jobman.errors import WaitTimeoutError
from jobman.jobs import pods as pod_views
from jobman.kube.client import Client
from jobman.kube.objects import Lease
from jobman.kube.resources import LEASES, PODS
from jobman.map import reach
from jobman.map.lease import DURATION_S
from jobman.map.pods import selector
from jobman.map.presence import Presence
from jobman.values.duration import format_age

LOOK_AGAIN_S = 2 * DURATION_S
"""A runner that was killed says nothing: after this it is looked whether it lives."""


def until_over(
    client: Client, run: Presence, *, now: Callable[[], datetime], timeout_s: float | None
) -> Presence:
    """The run as it is when nobody carries it out any more. Raises WaitTimeoutError."""
    patience = _Patience(run.name, "is not over", timeout_s)
    while run.living and run.lease is not None:
        if (last := _given_back(client, run.lease, patience.left_s)) is not None:
            return replace(run, pods=(), lease=last, living=False)
        run = _again(client, run, now())
    return replace(run, pods=()) if run.was_cancelled and not run.living else run


def until_started(
    client: Client, run: Presence, *, now: Callable[[], datetime], timeout_s: float | None
) -> Presence:
    """The run when it has started, or nothing of it will any more. Raises WaitTimeoutError."""
    patience = _Patience(run.name, "has not started", timeout_s)
    while not has_started(run) and (run.living or run.active):
        _await_start(client, run, patience.left_s, now)
        run = _again(client, run, now())
    return run


def has_started(run: Presence) -> bool:
    """Whether a pod of it has started, or an item has come to its end."""
    ended = run.record is not None and run.record.succeeded + run.record.failed > 0
    return ended or any(view.has_started for _, view in run.pods)


class _Patience:
    """How long to wait before looking again: `LOOK_AGAIN_S`, at the end of `timeout_s` less."""

    def __init__(self, run: str, lacking: str, timeout_s: float | None) -> None:
        self._told = f"{run} {lacking} after {format_age(timeout_s or 0)}; it goes on"
        self._end = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Raises WaitTimeoutError when nothing is left."""
        if self._end is None:
            return LOOK_AGAIN_S
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise WaitTimeoutError(self._told)
        return min(left_s, LOOK_AGAIN_S)


def _again(client: Client, run: Presence, now: datetime) -> Presence:
    """The same run as it is by now."""
    return reach.find(client, run.name, now=now) or replace(run, pods=(), living=False)


def _await_start(
    client: Client, run: Presence, patience_s: float, now: Callable[[], datetime]
) -> None:
    """Return when a pod of the run has started, at the latest after this time."""
    labels = selector(run.run)
    with client.watch(PODS, labels=labels, deadline_s=patience_s) as changes:
        pods = (pod_views.view(change.object, now=now()) for change in changes)
        any(pod.has_started for pod in pods)


def _given_back(client: Client, lease: Lease, patience_s: float) -> Lease | None:
    """The lease as its runner left it; None where that did not happen in this time."""
    with client.watch(
        LEASES,
        fields=f"metadata.name={lease.metadata.name}",
        resource_version=lease.metadata.resource_version,
        known=[lease],
        deadline_s=patience_s,
    ) as changes:
        for change in changes:
            if change.type == "DELETED" or not change.object.spec.holder_identity:
                return change.object
    return None
