"""Waiting for the end of a run that another process carries out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from jobman.errors import WaitTimeoutError
from jobman.kube.client import Client
from jobman.kube.objects import Lease
from jobman.kube.resources import LEASES
from jobman.map import reach
from jobman.map.lease import DURATION_S
from jobman.map.presence import Presence
from jobman.values.duration import format_age

LOOK_AGAIN_S = 2 * DURATION_S
"""A runner that was killed says nothing: after this it is looked whether it lives."""


def until_over(
    client: Client, run: Presence, *, now: Callable[[], datetime], timeout_s: float | None
) -> Presence:
    """The run as it is when nobody carries it out any more. Raises WaitTimeoutError."""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    while run.living and run.lease is not None:
        left_s = LOOK_AGAIN_S if end is None else min(end - time.monotonic(), LOOK_AGAIN_S)
        if left_s <= 0:
            raise WaitTimeoutError(
                f"{run.name} is not over after {format_age(timeout_s or 0)}; it goes on"
            )
        if (last := _given_back(client, run.lease, left_s)) is not None:
            return replace(run, pods=(), lease=last, living=False)
        run = reach.find(client, run.name, now=now()) or replace(run, pods=(), living=False)
    return run


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
