"""The objects of one resource in memory: their order, and what changed lately."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable

from jobman.local.stored import Change, Changes, Key, Place, Record, Records

CHANGES_KEPT = 10_000
CHANGES_BYTES = 64 * 1024 * 1024


class CompactedError(Exception):
    """The changes since a resourceVersion are not kept any more; `oldest` is still served."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest kept is {oldest}")
        self.oldest = oldest


class Mirror:
    """The objects by namespace and name; the changes after `compacted` are known."""

    def __init__(self, compacted: int) -> None:
        self.records: dict[Place, Record] = {}
        self.order: list[Place] = []
        self.changes: deque[Change] = deque()
        self._bytes = 0
        self.compacted = compacted
        self.subscribers: list[Callable[[Change], None]] = []

    def take(self, change: Change) -> None:
        """The change has been made."""
        if change.type == "DELETED":
            self._drop(change.record.key)
        else:
            self._put(change.record)
        self.changes.append(change)
        self._bytes += len(change.record.body)
        while len(self.changes) > CHANGES_KEPT or self._bytes > CHANGES_BYTES:
            oldest = self.changes.popleft()
            self._bytes -= len(oldest.record.body)
            self.compacted = oldest.rv

    def take_back(self, change: Change) -> None:
        """The change, the last one, has not been made after all."""
        if change.previous is None:
            self._drop(change.record.key)
        else:
            self._put(change.previous)
        if self.changes:
            self._bytes -= len(self.changes.pop().record.body)

    def list(self, namespace: str | None, after: Place | None, limit: int | None) -> Records:
        """The objects in their order, those behind `after` alone, at most `limit`."""
        if not self.order:
            return []
        start, stop = self._span(namespace, after)
        if limit is not None:
            stop = min(stop, start + limit)
        return [self.records[place] for place in self.order[start:stop]]

    def since(self, rv: int) -> Changes:
        """The changes after `rv`, oldest first. Raises CompactedError where some are forgotten."""
        if rv < self.compacted:
            raise CompactedError(self.compacted)
        # Most askers want the newest few: go backwards.
        found: Changes = []
        for change in reversed(self.changes):
            if change.rv <= rv:
                break
            found.append(change)
        return found[::-1]

    def _put(self, record: Record) -> None:
        place = (record.key.namespace, record.key.name)
        if place not in self.records:
            insort(self.order, place)
        self.records[place] = record

    def _drop(self, key: Key) -> None:
        place = (key.namespace, key.name)
        del self.records[place]
        del self.order[bisect_left(self.order, place)]

    def _span(self, namespace: str | None, after: Place | None) -> tuple[int, int]:
        """Where in the order a namespace's places behind `after` lie."""
        order = self.order
        start = bisect_right(order, after) if after is not None else 0
        if namespace is None:
            return start, len(order)
        return (
            max(start, bisect_left(order, (namespace, ""))),
            bisect_left(order, (namespace + "\0", "")),
        )
