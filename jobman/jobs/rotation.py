"""Logs whose beginning is gone: a node keeps the newest part of a long one.

Nothing in the API tells that a log was rotated. The silence between the container's start and the
first line does: at the pace of what came afterwards, enough was written in it to fill a log.
"""

from __future__ import annotations

from datetime import datetime

from jobman.jobs import containers
from jobman.jobs.logs import LogCopy
from jobman.kube.objects import Pod
from jobman.values.duration import parse_rfc3339

ROTATED_BYTES = 8 << 20
"""A kubelet rotates at 10 MiB, unless an administrator says otherwise."""
SILENT_S = 2.0
"""A first line this soon after the start is the first of all: starts are told to the second."""


def head_may_be_missing(started: datetime, first: datetime, last: datetime, size: int) -> bool:
    """Whether a log of `size` bytes from `first` to `last` is probably the rest of a longer one."""
    silent_s = (first - started).total_seconds()
    spoke_s = max((last - first).total_seconds(), 1.0)
    return silent_s > SILENT_S and size / spoke_s * silent_s > ROTATED_BYTES


def lacks_head(pod: Pod, container: str | None, copy: LogCopy, *, previous: bool = False) -> bool:
    """The same of a log that was read from its beginning."""
    status = containers.status(pod, container)
    if status is None or not copy.first:
        return False
    state = status.last_state if previous else status.state
    run = state.running or state.terminated
    if run is None or run.started_at is None:
        return False
    try:
        first, last = (parse_rfc3339(s.decode().strip()) for s in (copy.first, copy.last))
    except ValueError:
        return False
    return head_may_be_missing(run.started_at, first, last, copy.size)


def lack(
    pod: Pod,
    container: str | None,
    copy: LogCopy,
    *,
    from_start: bool,
    exact: bool,
    previous: bool = False,
) -> str:
    """Why a log that was read lacks something; empty where it does not.

    `from_start`: all of it was asked for; `exact`: of a server that tells when a head is gone.
    """
    named = f"the log of pod {pod.metadata.name} is incomplete"
    if copy.gap:
        return f"{named}: lines were lost: the log was rotated before they were read"
    if not from_start:
        return ""
    guessed = not exact and lacks_head(pod, container, copy, previous=previous)
    if copy.lacks_head or guessed:
        may = "has been" if copy.lacks_head else "may have been"
        return f"{named}: its beginning {may} rotated away on its node"
    return ""
