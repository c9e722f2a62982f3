"""Copying a pod's log, each byte once, over as many connections as it takes.

The server is always asked for timestamps: they tell, after a lost connection, what is new.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from jobman.errors import InvalidError, JobmanError, UnavailableError, UnreachableError
from jobman.jobs.pods import main_container
from jobman.kube.client import Client
from jobman.kube.objects import Pod

RECONNECTS = 5
"""How often in a row a log is asked for without getting anything new."""

Counts = dict[bytes, int]

_LONGEST_STAMP = 40
_NO_LOG = b"unable to retrieve container logs for "
"""What a kubelet sends, in the place of the log, for a container that it no longer has."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)(?: |$)")
"""A node writes in the zone of its own clock."""


@dataclass
class ResumePoint:
    """How far a log was read, to the second (of UTC) and, within the last seconds, to the line.

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

    def expects(self, stamp: bytes | None = None) -> bool:
        """Whether seen lines, or such of that stamp, are still to come again."""
        return bool(self._repeats) if stamp is None else stamp in self._repeats

    def accept(self, line: bytes) -> bool:
        """Whether `line` (with its stamp, without its newline) is new; it is counted as read."""
        match = _STAMP.match(line)
        return match is None or self.take(match)

    def take(self, stamp: re.Match[bytes]) -> bool:
        """`accept` of a line by its stamp."""
        text, second = stamp[0], _in_utc(stamp[1], stamp[2])
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


def _in_utc(second: bytes, zone: bytes) -> bytes:
    return second if zone == b"Z" else _moved_to_utc(second, zone)


@lru_cache(maxsize=64)
def _moved_to_utc(second: bytes, zone: bytes) -> bytes:
    """Many lines share a second; one that is no moment stays as it is."""
    try:
        moment = datetime.fromisoformat((second + zone).decode("ascii")).astimezone(UTC)
    except (ValueError, OverflowError):
        return second
    return moment.replace(tzinfo=None).isoformat().encode("ascii")


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take them."""

    def flush(self) -> object:
        """Pass on what was taken."""


@dataclass
class _Line:
    """A line as it comes: `at` bytes of it (stamp included) came, the first `hidden` are kept."""

    stamp: bytes
    hidden: int
    at: int = 0

    def more(self, data: bytes) -> bytes:
        """What is to be written of its next bytes."""
        begin = max(self.hidden - self.at, 0)
        self.at += len(data)
        return data[begin:]


_WHOLLY = sys.maxsize


class LogCopy:
    """One container's log on its way to `out`, unchanged to the byte.

    Feed it the chunks of a timestamped log; `reconnect` before those of a new connection. A line
    is passed on as it comes; where it was cut, the next connection's copy of it gives its rest.
    `lines` counts the lines begun, `size` the bytes written; `first` and `last` are stamps.
    `gap`: lines may be missing, for a later connection began with nothing seen before;
    `lacks_head`: the server said that the log's beginning is gone.
    """

    def __init__(self, out: Sink, *, timestamps: bool = False) -> None:
        self.point = ResumePoint()
        self.lines = 0
        self.size = 0
        self.first = b""
        self.last = b""
        self.gap = False
        self.lacks_head = False
        self._out = out
        self._timestamps = timestamps
        self._start = b""
        self._line: _Line | None = None
        self._torn: _Line | None = None
        self._resuming = False
        self._cut = False

    def reconnect(self, *, cut: bool = False) -> None:
        """A new connection sends the last seconds again; `cut`: the one before was broken off."""
        if self._line is not None and self._line.stamp and self._line.hidden != _WHOLLY:
            self._torn = self._line
        self._start, self._line = b"", None
        self.point.resume()
        self._resuming = self.point.expects()
        self._cut = cut and self._resuming

    def begin_run(self) -> None:
        """What follows is the log of another run of the container."""
        self.point = ResumePoint()
        self._torn = None
        self.reconnect()

    def feed(self, chunk: bytes) -> None:
        """Write what is new in `chunk`."""
        before = self.size
        if self._line is not None:
            rest, newline, chunk = chunk.partition(b"\n")
            self._write(self._line.more(rest + newline))
            self._line = None if newline else self._line
        if chunk:
            self._feed_lines(self._start + chunk)
        if self.size > before:
            self._out.flush()

    def end(self) -> None:
        """The log is over: a last line may lack its newline."""
        if self._start:
            self._write(self._begun(self._start).more(self._start))
        self.gap |= self._cut
        self._start, self._line, self._cut = b"", None, False
        self._out.flush()

    def _feed_lines(self, data: bytes) -> None:
        """Take what begins with a line's beginning; its last line may be unfinished."""
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            lines = whole.split(b"\n")
            if self._resuming or self._torn or self.point.expects():
                self._write(b"".join(self._compared(lines)))
            else:
                self._write(b"\n".join([*self._taken(lines), b""]))
        stamp = _STAMP.match(rest)
        if len(rest) > _LONGEST_STAMP or (stamp and stamp[0].endswith(b" ")):
            self._line, self._start = self._begun(rest), b""
            self._write(self._line.more(rest))
        else:
            self._start = rest

    def _taken(self, lines: list[bytes]) -> list[bytes]:
        """Lines that are all new."""
        new: list[bytes] = []
        stamp = None
        for line in lines:
            stamp = _STAMP.match(line)
            if stamp is not None:
                self.point.take(stamp)
                self.first = self.first or stamp[0]
            new.append(line if stamp is None or self._timestamps else line[stamp.end() :])
        self.lines += len(new)
        self.last = stamp[0] if stamp else self.last
        return new

    def _compared(self, lines: list[bytes]) -> Iterable[bytes]:
        """The same where some may have come before."""
        for line in lines:
            yield self._begun(line).more(line + b"\n")

    def _begun(self, start: bytes) -> _Line:
        """The line that begins with `start`: new, a repeat, or one whose end is missing."""
        stamp = _STAMP.match(start)
        if stamp is None:
            rest_of_a_line = self._resuming
            self.lines += not rest_of_a_line
            return _Line(b"", _WHOLLY if rest_of_a_line else 0)
        text = stamp[0]
        self.gap |= self._resuming and not self.point.expects(text)
        self._resuming = self._cut = False
        if self.point.take(stamp):
            self.lines += 1
            self.first, self.last = self.first or text, text
            return _Line(text, 0 if self._timestamps else len(text))
        torn = self._torn
        if torn is None or torn.stamp != text or self.point.expects(text):
            return _Line(text, _WHOLLY)
        self._torn = None
        return _Line(text, max(torn.hidden, torn.at))

    def _write(self, data: bytes) -> None:
        if data:
            self._out.write(data)
            self.size += len(data)


def copy_log(
    client: Client,
    pod: Pod,
    copy: LogCopy,
    *,
    tail: int | None,
    since_s: int | None,
    container: str | None = None,
    previous: bool = False,
) -> bool:
    """Copy what a container, by default the main one, has written; False where it has no log yet.

    A connection that is cut is taken up again where it ended. Raises ApiNotFoundError when the
    pod is gone, and JobmanError when its node no longer has the log.
    """
    asked: dict[str, Any] = {"container": container or main_container(pod), "previous": previous}
    window = {"tail": tail, "since_s": since_s}
    failures = 0
    while True:
        since, before = copy.point.since_time, copy.size
        try:
            part = {"since_time": since} if since else window
            return _read_once(client, pod, copy, asked | part)
        except (UnreachableError, UnavailableError):
            failures = 0 if copy.size > before else failures + 1
            if failures == RECONNECTS or not copy.lines:
                raise
            copy.reconnect(cut=True)


def _read_once(client: Client, pod: Pod, copy: LogCopy, query: Mapping[str, Any]) -> bool:
    meta = pod.metadata
    try:
        with client.log(meta.name, namespace=meta.namespace, timestamps=True, **query) as stream:
            copy.lacks_head |= stream.lacks_head and "since_time" not in query
            for chunk in stream:
                check_is_log(chunk, copy, meta.name)
                copy.feed(chunk)
            copy.end()
            return stream.has_log
    except InvalidError:
        return False


def check_is_log(chunk: bytes, copy: LogCopy, pod: str) -> None:
    """Raise JobmanError where a node says, as the log's text, that it has none."""
    if not copy.lines and chunk.startswith(_NO_LOG):
        raise JobmanError(f"the log of pod {pod} is gone from its node, though the pod is not")
