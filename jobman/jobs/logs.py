"""Copying a pod's log, each line once, over as many connections as it takes.

The server is always asked for timestamps: they tell, after a lost connection, what is new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from jobman.errors import InvalidError, UnavailableError, UnreachableError
from jobman.jobs.pods import main_container
from jobman.kube.client import Client
from jobman.kube.objects import Pod

RECONNECTS = 5

Counts = dict[bytes, int]

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)(?: |$)")


@dataclass
class ResumePoint:
    """How far a log was read, to the second and, within the last seconds, to the line.

    The server takes `sinceTime` to the second only and sends that second again. Stamps are
    counted, not compared: lines of two streams need not come in the order of their stamps.
    """

    _second: bytes = b""
    _seen: Counts = field(default_factory=dict)
    _second_before: bytes = b""
    _seen_before: Counts = field(default_factory=dict)
    _repeats: Counts = field(default_factory=dict)

    @property
    def since_time(self) -> str | None:
        """What to ask for as `sinceTime`; None while nothing was read."""
        first = self._second_before or self._second
        return first.decode("ascii") + "Z" if first else None

    def resume(self) -> None:
        """A new connection begins at `since_time`: what was seen since then comes again."""
        self._repeats = self._seen_before | self._seen

    def accept(self, line: bytes) -> bool:
        """Whether `line` (with its stamp, without its newline) is new; it is counted as read."""
        match = _STAMP.match(line)
        return match is None or self.take(match)

    def take(self, stamp: re.Match[bytes]) -> bool:
        """`accept` of a line by its stamp."""
        text, second = stamp[0], stamp[1]
        if self._repeats and self._is_repeat(text):
            return False
        if second > self._second:
            self._second_before, self._seen_before = self._second, self._seen
            self._second, self._seen = second, {}
        seen = self._seen if second == self._second else self._seen_before
        seen[text] = seen.get(text, 0) + 1
        return True

    def _is_repeat(self, stamp: bytes) -> bool:
        left = self._repeats.get(stamp, 0)
        if left > 1:
            self._repeats[stamp] = left - 1
        elif left:
            del self._repeats[stamp]
        return left > 0


def without_stamp(line: bytes) -> bytes:
    """The line as its program wrote it."""
    match = _STAMP.match(line)
    return line[match.end() :] if match else line


class LogCopy:
    """One container's log on its way to `out`, unchanged to the byte.

    Feed it the chunks of a timestamped log; `reconnect` before those of a new connection.
    """

    def __init__(self, out: BinaryIO, *, timestamps: bool = False) -> None:
        self.point = ResumePoint()
        self.lines = 0
        self._out = out
        self._timestamps = timestamps
        self._partial: list[bytes] = []

    def reconnect(self) -> None:
        """Forget half a line: the new connection sends it whole."""
        self._partial.clear()
        self.point.resume()

    def feed(self, chunk: bytes) -> None:
        """Write the lines that `chunk` completes."""
        head, newline, rest = chunk.rpartition(b"\n")
        if not newline:
            self._partial.append(rest)
            return
        lines = b"".join([*self._partial, head]).split(b"\n")
        self._partial = [rest] if rest else []
        new = self._new(lines)
        if new:
            self._out.write(b"\n".join([*new, b""]))
            self._out.flush()

    def end(self) -> None:
        """The log is over: a last line may lack its newline."""
        if self._partial:
            self._out.write(b"".join(self._new([b"".join(self._partial)])))
            self._out.flush()
            self._partial.clear()

    def _new(self, lines: list[bytes]) -> list[bytes]:
        new: list[bytes] = []
        for line in lines:
            stamp = _STAMP.match(line)
            if stamp is None or self._timestamps:
                new += [line] if stamp is None or self.point.take(stamp) else []
            elif self.point.take(stamp):
                new.append(line[stamp.end() :])
        self.lines += len(new)
        return new


def copy_log(
    client: Client, pod: Pod, copy: LogCopy, *, tail: int | None, since_s: int | None
) -> bool:
    """Copy what a pod's main container has written so far; False where it has no log yet.

    A connection that is cut is taken up again where it ended. Raises ApiNotFoundError when the
    pod is gone.
    """
    window = {"tail": tail, "since_s": since_s}
    for attempt in range(RECONNECTS):
        since = copy.point.since_time
        try:
            return _read_once(client, pod, copy, {"since_time": since} if since else window)
        except (UnreachableError, UnavailableError):
            if attempt == RECONNECTS - 1 or not copy.lines:
                raise
            copy.reconnect()
    return True


def _read_once(client: Client, pod: Pod, copy: LogCopy, query: Mapping[str, Any]) -> bool:
    meta = pod.metadata
    try:
        with client.log(
            meta.name,
            namespace=meta.namespace,
            container=main_container(pod),
            timestamps=True,
            **query,
        ) as stream:
            for chunk in stream:
                copy.feed(chunk)
            copy.end()
            return stream.has_log
    except InvalidError:
        return False
