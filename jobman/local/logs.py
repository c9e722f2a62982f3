"""The log of one container of a pod, as a kubelet answers for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from jobman.local import crilog, layout, logfile
from jobman.local.api.agent import LogOptions
from jobman.local.api.status import ApiError, bad_request
from jobman.local.logfile import Wanted
from jobman.local.notify import DirectoryWatcher
from jobman.local.podstatus import container_id

Object = dict[str, Any]

_IMAGE_TROUBLE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)


def run_number(pod: Object, container: str, *, previous: bool) -> int:
    """Which run of the container the log is asked of. Raises ApiError where there is none."""
    name = pod["metadata"]["name"]
    status = _status_of(pod, container)
    state = status.get("state", {})
    waiting = state.get("waiting")
    last = "terminated" in status.get("lastState", {})
    count = status.get("restartCount", 0)
    if previous:
        if not last:
            raise bad_request(
                f'previous terminated container "{container}" in pod "{name}" not found'
            )
        return int(count if _is_last_run(state) else count - 1)
    if (waiting is not None and not last) or not state:
        reason = (waiting or {}).get("reason", "ContainerCreating")
        why = "image can't be pulled" if reason in _IMAGE_TROUBLE else reason
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')
    return int(count)


def _is_last_run(state: Object) -> bool:
    """Whether lastState tells of the newest run: the container waits to be started again."""
    return "waiting" in state


def _status_of(pod: Object, container: str) -> Object:
    status = pod.get("status", {})
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for found in status.get(kind) or []:
            if found["name"] == container:
                return dict(found)
    return {}


async def read(
    directory: Path,
    pod: Object,
    container: str,
    options: LogOptions,
    watcher: DirectoryWatcher,
) -> AsyncIterator[bytes]:
    """The log in pieces; `directory` is the pod's. Raises ApiError before the first."""
    number = run_number(pod, container, previous=options.previous)
    place = directory / layout.run_directory(container, number)
    if not place.is_dir():
        shown = container_id(pod["metadata"]["uid"], container, number)
        yield f"unable to retrieve container logs for {shown}".encode()
        return
    async for chunk in logfile.read(place, wanted(options), watcher):
        yield chunk


def lacks_head(directory: Path, pod: Object, container: str, options: LogOptions) -> bool:
    """Whether the beginning of what is asked for was rotated away."""
    number = run_number(pod, container, previous=options.previous)
    sign = crilog.DROPPED if wanted(options).rotated else ".1"
    return (directory / layout.run_directory(container, number) / f"{layout.LOG}{sign}").exists()


def wanted(options: LogOptions) -> Wanted:
    """The options in the log file's terms."""
    since_ns = None
    if options.since_seconds is not None:
        since_ns = time.time_ns() - options.since_seconds * 1_000_000_000
    elif options.since_time is not None:
        since_ns = int(options.since_time.timestamp() * 1_000_000) * 1000
    return Wanted(
        follow=options.follow and not options.previous,
        tail=options.tail_lines,
        since_ns=since_ns if since_ns is None else max(since_ns, 0),  # no log is older
        timestamps=options.timestamps,
        limit_bytes=options.limit_bytes,
    )


def no_address() -> ApiError:
    """The pod's node is not this machine: nobody there to ask."""
    return ApiError(500, "", "no preferred addresses found; known addresses: []")
