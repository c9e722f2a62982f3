"""Bringing a pod's log home: each line once, over as many connections as it takes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from jobman.errors import ApiNotFoundError, JobmanError
from jobman.jobs import pods as pod_views
from jobman.jobs.logs import LogCopy, copy_log
from jobman.jobs.rotation import lack
from jobman.kube.client import Client
from jobman.kube.logstream import LogStream
from jobman.kube.objects import Pod

RETRY_S = 2.0
"""How long a followed log that cannot be read is left alone."""
QUIET_S = 2.0
"""How long the rest of an ended pod's log may keep a follower waiting."""

_TAIL_BYTES = 4096
_LONGEST_LINE = 500


class LogFile(LogCopy):
    """A container's log on its way into a file; it is to be closed.

    `followed`: it is read from the container's start on, so that no rotation comes before it.
    """

    def __init__(self, path: Path, *, followed: bool = False) -> None:
        self.path = path
        self.followed = followed
        self._file = path.open("wb")
        super().__init__(self._file)

    def write(self, text: str) -> None:
        """Put in words of our own."""
        self._file.write(text.encode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def bring_home(client: Client, pod: Pod, log: LogFile) -> bool:
    """Complete `log` and close it; whether something of it may be missing, as it begins to say.

    Raises ApiNotFoundError when the pod is gone, and what any request may raise.
    """
    log.reconnect(cut=log.followed)
    copy_log(client, pod, log, tail=None, since_s=None)
    log.close()
    container = pod_views.main_container(pod)
    exact = log.followed or client.connection.embedded
    why = lack(pod, container, log, from_start=True, exact=exact)
    if why:
        _put_first(log.path, f"[jobman: {why}]\n".encode())
    return bool(why)


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
        self._stopped = False
        self._thread = threading.Thread(target=self._read, daemon=True, name="log")
        self._thread.start()

    def finish(self) -> LogFile:
        """End it when it has read what there is; what it has not is left to `bring_home`."""
        self._over.set()
        before = -1
        while self._thread.is_alive() and self.log.size > before:
            before = self.log.size
            self._thread.join(QUIET_S)
        return self.stop()

    def stop(self) -> LogFile:
        """End it at once."""
        self._stopped = True
        self._over.set()
        if self._stream is not None:
            self._stream.close()
        self._thread.join()
        return self.log

    def _read(self) -> None:
        while not self._over.is_set():
            before = self.log.size
            try:
                self._connected()
            except ApiNotFoundError:
                return
            except JobmanError:
                if self.log.size > before:
                    continue  # cut off: the node may be rotating what comes next
            self._over.wait(RETRY_S)

    def _connected(self) -> None:
        """One connection, to its end."""
        meta = self._pod.metadata
        since = self.log.point.since_time
        query: dict[str, Any] = {"since_time": since} if since else {}
        self.log.reconnect(cut=True)
        with self._client.log(
            meta.name,
            namespace=meta.namespace,
            container=pod_views.main_container(self._pod),
            timestamps=True,
            follow=True,
            **query,
        ) as stream:
            self._stream = stream
            if self._stopped:
                return
            self.log.lacks_head |= stream.lacks_head and not since
            for chunk in stream:
                self.log.feed(chunk)
