"""WATCHes: changes as lines of JSON, one line made once for all who watch."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec

from jobman.local.api.lists import Selection
from jobman.local.api.status import expired
from jobman.local.mirror import CompactedError
from jobman.local.store import Store
from jobman.local.stored import Change, ChangeType, Record

BOOKMARK_S = 60.0
BACKLOG_MAX = 20_000
BACKLOG_BYTES = 64 * 1024 * 1024
_BATCH_BYTES = 64 * 1024
_LINES_KEPT, _LINES_BYTES = 2_000, 16 * 1024 * 1024
_EMPTY_PARTS: dict[str, dict[str, Any]] = {
    "Job": {
        "spec": {"template": {"metadata": {}, "spec": {"containers": None}}},
        "status": {},
    },
    "Pod": {"spec": {"containers": None}, "status": {}},
}
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
Encode = Callable[[dict[str, Any]], dict[str, Any]]


class _Lines:
    """The newest lines, so that many watchers share one."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, str], tuple[Record, bytes]] = OrderedDict()
        self._bytes = 0

    def of(self, kind: str, record: Record) -> bytes:
        key = (record.rv, kind)
        made = self._made.get(key)
        if made is not None and made[0] is record:  # a version is one of its store alone
            return made[1]
        line = b'{"type":"%s","object":%s}\n' % (kind.encode(), record.body)
        self._forget(made)
        self._made[key] = record, line
        self._bytes += len(line)
        while len(self._made) > _LINES_KEPT or self._bytes > _LINES_BYTES:
            self._forget(self._made.popitem(last=False)[1])
        return line

    def _forget(self, made: tuple[Record, bytes] | None) -> None:
        if made is not None:
            self._bytes -= len(made[1])


_lines = _Lines()


class TooSlowError(Exception):
    """The watcher does not read: it is let go, and lists again when it comes back."""


class Watch:
    """One watcher. `encode` puts objects into another form (tables); None leaves them."""

    def __init__(self, store: Store, selection: Selection, encode: Encode | None = None) -> None:
        self._store = store
        self._selection = selection
        self._encode = encode
        self._waiting: deque[bytes | Record] = deque()
        self._backlog_bytes = 0
        self._wake = asyncio.Event()
        self._too_slow = False
        self._over = False

    async def lines(
        self,
        version: int | None,
        *,
        bookmarks: bool = False,
        initial_end: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[bytes]:
        """Lines from `version` on (None: first everything that is there), until the timeout.

        A version that is forgotten ends it with an ERROR line. Raises TooSlowError.
        """
        self._begin(version, initial_end=initial_end)
        unsubscribe = self._store.subscribe(self._changed, self._selection.resource.name)
        try:
            async for batch in self._batches(bookmarks=bookmarks, timeout_s=timeout_s):
                yield batch
        finally:
            unsubscribe()

    def _begin(self, version: int | None, *, initial_end: bool) -> None:
        resource = self._selection.resource.name
        if version is None:
            listed = self._store.list(resource, self._selection.namespace)
            self._waiting.extend(self._selection.of(listed))  # whose lines are made when it is time
            if initial_end:
                self._waiting.append(self._bookmark(initial_end=True))
            return
        try:
            for change in self._store.since(resource, version):
                self._changed(change)
        except CompactedError as error:
            self._waiting.append(_expired_line(version, error.oldest))
            self._over = True

    async def _batches(self, *, bookmarks: bool, timeout_s: float | None) -> AsyncGenerator[bytes]:
        """The lines that wait, many in one; a bookmark when nothing came for a while."""
        loop = asyncio.get_running_loop()
        end = math.inf if timeout_s is None else loop.time() + timeout_s
        while True:
            if self._too_slow:
                raise TooSlowError
            if self._waiting:
                yield self._batch()
                continue
            if self._over:
                return
            pause = min(end - loop.time(), BOOKMARK_S if bookmarks else math.inf)
            self._wake.clear()
            try:
                async with asyncio.timeout(None if pause == math.inf else max(pause, 0)):
                    await self._wake.wait()
            except TimeoutError:
                self._over = loop.time() >= end
                if bookmarks:
                    self._waiting.append(self._bookmark())

    def _batch(self) -> bytes:
        """The next lines in one: all watchers share those that wait, and none shares these."""
        lines: list[bytes] = []
        size = 0
        while self._waiting and size < _BATCH_BYTES:
            first = self._waiting.popleft()
            lines.append(self._line("ADDED", first) if isinstance(first, Record) else first)
            size += len(lines[-1])
        self._backlog_bytes = max(self._backlog_bytes - size, 0)
        return b"".join(lines)

    def _changed(self, change: Change) -> None:
        line = None if self._too_slow else self._line_of(change)
        if line is None:
            return
        self._backlog_bytes += len(line)
        if len(self._waiting) >= BACKLOG_MAX or self._backlog_bytes > BACKLOG_BYTES:
            self._too_slow = True
            self._waiting.clear()  # it may be long before its caller reads again
        else:
            self._waiting.append(line)
        self._wake.set()

    def _line_of(self, change: Change) -> bytes | None:
        """The line of a change, as one sees it who looks through the selection."""
        takes = self._selection.takes
        if change.type == "DELETED":
            return self._line("DELETED", change.record) if takes(change.record) else None
        before = change.previous is not None and takes(change.previous)
        after = takes(change.record)
        if after:
            return self._line("MODIFIED" if before else "ADDED", change.record)
        if before and change.previous is not None:
            return self._line("DELETED", _as_of(change.previous, change.rv))
        return None

    def _line(self, kind: ChangeType, record: Record) -> bytes:
        if self._encode is None:
            return _lines.of(kind, record)
        return _encoded(kind, self._encode(record.object()))

    def _bookmark(self, *, initial_end: bool = False) -> bytes:
        resource = self._selection.resource
        about: dict[str, Any] = {"resourceVersion": str(self._store.rv)}
        if initial_end:
            about["annotations"] = {_INITIAL_EVENTS_END: "true"}
        obj = {
            "kind": resource.kind,
            "apiVersion": resource.group_version,
            "metadata": about,
            **_EMPTY_PARTS.get(resource.kind, {}),
        }
        return _encoded("BOOKMARK", obj)


def _as_of(record: Record, rv: int) -> Record:
    """A state under the resourceVersion of the change that ended it."""
    obj = record.object()
    obj["metadata"]["resourceVersion"] = str(rv)
    return Record.of(record.key.resource, record.number, msgspec.json.encode(obj))


def _encoded(kind: str, obj: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": kind, "object": obj}) + b"\n"


def _expired_line(asked: int, oldest: int) -> bytes:
    error = expired(f"too old resource version: {asked} ({oldest})")
    return _encoded("ERROR", error.status)
