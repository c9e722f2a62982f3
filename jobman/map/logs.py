"""Bringing a pod's log home: each line once, over as many connections as it takes."""

from __future__ import annotations

import re
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from jobman.errors import JobmanError, NotFoundError
from jobman.jobs import pods as pod_views
from jobman.jobs.logs import LogCopy, copy_log
from jobman.jobs.pods import PodView
from jobman.kube.client import Client
from jobman.kube.logstream import LogStream
from jobman.kube.objects import Pod
from jobman.values.duration import parse_rfc3339

ROTATED_BYTES = 8 << 20
"""A container's log is rotated at 10 MiB, unless an administrator says otherwise."""
SILENT_S = 2.0
"""A first line this soon after the start is the log's first: starts are told to the second."""
RETRY_S = 2.0
"""How long a followed log that cannot be read is left alone."""

INCOMPLETE = b"[jobman: the beginning of this log may have been rotated away on its node]\n"
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+Z")
_TAIL_BYTES = 4096
_LONGEST_LINE = 500


def head_may_be_missing(
    started: datetime | None, first: datetime | None, ended: datetime | None, size: int
) -> bool:
    """Whether so much may have been written before the log's first line that it was rotated.

    The server sends what came since the last rotation, and nothing tells that there was more.
    The silence between the start and the first line does: at the rate of what came afterwards it
    would have filled a log.
    """
    if started is None or first is None or ended is None:
        return False
    silent_s = (first - started).total_seconds()
    spoke_s = max((ended - first).total_seconds(), 1.0)
    return silent_s > SILENT_S and size / spoke_s * silent_s > ROTATED_BYTES


class LogFile(LogCopy):
    """A container's log on its way into a file; it is to be closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begins: datetime | None = None
        self._file = path.open("wb")
        super().__init__(self._file)

    def feed(self, chunk: bytes) -> None:
        """Write the lines that `chunk` completes."""
        if self.begins is None and (stamp := _STAMP.match(chunk)):
            self.begins = _moment(stamp[0])
        super().feed(chunk)

    @property
    def written(self) -> int:
        """Bytes so far."""
        return self._file.tell()

    def write(self, text: str) -> None:
        """Put in words of our own."""
        self._file.write(text.encode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def _moment(stamp: bytes) -> datetime | None:
    try:
        return parse_rfc3339(stamp.decode("ascii"))
    except ValueError:
        return None


def bring_home(client: Client, pod: Pod, view: PodView, log: LogFile) -> bool:
    """Complete `log` and close it; whether its head may be missing.

    Raises ApiNotFoundError when the pod is gone, and what any request may raise.
    """
    from_start = not log.lines
    log.reconnect()
    copy_log(client, pod, log, tail=None, since_s=None)
    size = log.written
    log.close()
    started, ended = view.started_at, view.finished_at
    missing = from_start and head_may_be_missing(started, log.begins, ended, size)
    if missing:
        _put_first(log.path, INCOMPLETE)
    return missing


def _put_first(path: Path, line: bytes) -> None:
    aside = path.with_name(f"{path.name}~")
    with path.open("rb") as old, aside.open("wb") as new:
        new.write(line)
        while chunk := old.read(1 << 20):
            new.write(chunk)
    aside.replace(path)


def last_line(path: Path) -> str:
    """The last line that is not blank, as far as the file's end shows it."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _TAIL_BYTES, 0))
        lines = file.read().split(b"\n")
    found = next((line for line in reversed(lines) if line.strip()), b"")
    return found.decode("utf-8", "replace").strip()[-_LONGEST_LINE:]


class Follower:
    """Reads a running pod's log in a thread of its own, into a file that grows."""

    def __init__(self, client: Client, pod: Pod, log: LogFile) -> None:
        self.log = log
        self._client = client
        self._pod = pod
        self._stream: LogStream | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True, name="log")
        self._thread.start()

    def stop(self) -> LogFile:
        """End it; what it has not read is left to `bring_home`."""
        self._over.set()
        if self._stream is not None:
            self._stream.close()
        self._thread.join()
        return self.log

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                self._connected()
            except NotFoundError:
                return
            except JobmanError:
                pass
            self._over.wait(RETRY_S)

    def _connected(self) -> None:
        """One connection, to its end."""
        meta = self._pod.metadata
        since = self.log.point.since_time
        query: dict[str, Any] = {"since_time": since} if since else {}
        self.log.reconnect()
        with self._client.log(
            meta.name,
            namespace=meta.namespace,
            container=pod_views.main_container(self._pod),
            timestamps=True,
            follow=True,
            **query,
        ) as stream:
            self._stream = stream
            if self._over.is_set():
                return
            for chunk in stream:
                self.log.feed(chunk)
