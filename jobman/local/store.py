"""Where the objects are kept: SQLite on disk, a mirror of their bytes in memory.

A write is with the system when the call returns, or the block of writes that belong together: a
killed process loses nothing that it acknowledged. A machine that loses its power may lose the last
moments before it, whole writes from the end: waiting for the disk at each would cost more than all
else that a write takes. All calls are made from one thread. The recent changes are kept in memory
alone, for watches; a watcher that comes back after a restart, or too late, is told to list again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from jobman.local.stored import Change, Changes, Key, Place, Record, Records

CHANGES_KEPT = 10_000
# resourceVersions are handed out from blocks that are reserved on disk ahead of their use.
_BLOCK = 10_000
# 64 MB of writes go to the log before the main file takes them up, which waits for the disk.
_PAGE_BYTES, _LOG_PAGES = 2048, 32_000
# Found by number alone, which is cheap to write: whatever is asked is answered from memory.
_SCHEMA = """
create table if not exists objects (
    number integer primary key, resource text not null, body blob not null);
create table if not exists meta (key text primary key, value integer not null) without rowid;
"""


class ExistsError(Exception):
    """The key is taken; `record` is what is there."""

    def __init__(self, record: Record) -> None:
        super().__init__(f"{record.key} is there already")
        self.record = record


class MissingError(Exception):
    """There is nothing at the key."""


class StaleError(Exception):
    """The object is not at the expected resourceVersion."""


class CompactedError(Exception):
    """The changes since a resourceVersion are not kept any more; `oldest` is still served."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest kept is {oldest}")
        self.oldest = oldest


class StorageError(Exception):
    """The disk refused the write; nothing changed."""


class _Kind:
    """The objects of one resource, in their order, and their recent changes."""

    def __init__(self) -> None:
        self.records: dict[Place, Record] = {}
        self.order: list[Place] = []
        self.changes: deque[Change] = deque()
        self.compacted = 0
        self.subscribers: list[Callable[[Change], None]] = []

    def put(self, record: Record) -> None:
        place = (record.key.namespace, record.key.name)
        if place not in self.records:
            insort(self.order, place)
        self.records[place] = record

    def drop(self, key: Key) -> None:
        place = (key.namespace, key.name)
        del self.records[place]
        del self.order[bisect_left(self.order, place)]

    def take(self, change: Change) -> None:
        if change.type == "DELETED":
            self.drop(change.record.key)
        else:
            self.put(change.record)
        self.changes.append(change)
        if len(self.changes) > CHANGES_KEPT:
            self.compacted = self.changes.popleft().rv

    def take_back(self, change: Change) -> None:
        if change.previous is None:
            self.drop(change.record.key)
        else:
            self.put(change.previous)
        self.changes.pop()


@dataclass
class _Block:
    """What is written together; `problem` is why none of it can be kept."""

    changes: Changes = field(default_factory=list)
    problem: StorageError | None = None


class Store:
    """All objects of the cluster."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in (
            f"page_size={_PAGE_BYTES}",
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            f"wal_autocheckpoint={_LOG_PAGES}",
        ):
            self._db.execute(f"pragma {pragma}").fetchall()
        self._db.executescript(_SCHEMA)
        found = self._db.execute("select value from meta where key = 'reserved'").fetchone()
        self.rv: int = found[0] if found else 0
        self._reserved = self._rv_at_start = self.rv
        self._last_number = 0
        self._block: _Block | None = None
        self._kinds: defaultdict[str, _Kind] = defaultdict(self._new_kind)
        self._load()

    def close(self) -> None:
        """Write everything to the main file and let it go."""
        self._db.close()

    def get(self, key: Key) -> Record | None:
        """The object, or None."""
        return self._kinds[key.resource].records.get((key.namespace, key.name))

    def count(self, resource: str) -> int:
        """How many objects there are."""
        return len(self._kinds[resource].records)

    def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: Place | None = None,
        limit: int | None = None,
    ) -> Records:
        """The objects by namespace and name, those behind `after` alone, at most `limit`."""
        kind = self._kinds[resource]
        if not kind.order:
            return []
        start, stop = _span(kind.order, namespace, after)
        if limit is not None:
            stop = min(stop, start + limit)
        return [kind.records[place] for place in kind.order[start:stop]]

    def list_at(self, resource: str, rv: int, namespace: str | None = None) -> Records:
        """The objects as they were at `rv`. Raises CompactedError where that is forgotten."""
        then = {record.key: record for record in self.list(resource, namespace)}
        for change in reversed(self.since(resource, rv)):
            if namespace is not None and change.record.key.namespace != namespace:
                continue
            if change.previous is None:
                then.pop(change.record.key, None)
            else:
                then[change.record.key] = change.previous
        return [then[key] for key in sorted(then)]

    def create(self, key: Key, obj: dict[str, Any]) -> Record:
        """Keep a new object; its resourceVersion is set. Raises ExistsError, StorageError."""
        there = self.get(key)
        if there is not None:
            raise ExistsError(there)
        number = self._last_number + 1
        record = self._stamped(key, number, obj, self._next_rv())
        self._write("insert into objects values (?, ?, ?)", (number, key.resource, record.body))
        self._last_number = number
        self._commit(Change("ADDED", record.rv, record, None))
        return record

    def update(self, key: Key, obj: dict[str, Any], *, expected_rv: int | None = None) -> Record:
        """Replace an object; one that is the same keeps its resourceVersion.

        Raises MissingError, StaleError, StorageError.
        """
        there = self._there(key, expected_rv)
        record = self._stamped(key, there.number, obj, self._next_rv())
        if _is_same(record, there):
            obj["metadata"]["resourceVersion"] = str(there.rv)
            return there
        self._write("update objects set body = ? where number = ?", (record.body, there.number))
        self._commit(Change("MODIFIED", record.rv, record, there))
        return record

    def delete(
        self, key: Key, last: dict[str, Any] | None = None, *, expected_rv: int | None = None
    ) -> Record:
        """Take an object away and return its last state, `last` or as it was kept.

        Raises MissingError, StaleError, StorageError.
        """
        there = self._there(key, expected_rv)
        record = self._stamped(key, there.number, last or there.object(), self._next_rv())
        self._write("delete from objects where number = ?", (there.number,))
        self._commit(Change("DELETED", record.rv, record, there))
        return record

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """One write to the disk of all that is written inside: all of it is kept, or nothing.

        Inside it is seen at once; subscribers hear of it at the end. Nothing may be awaited
        inside. Raises StorageError, at the end too.
        """
        assert self._block is None, "one block at a time"
        numbers = self.rv, self._reserved, self._last_number
        self._block = block = _Block()
        try:
            self._write("begin", ())
            yield
            self._write("commit", ())
        except BaseException:
            for change in reversed(block.changes):
                self._kinds[change.record.key.resource].take_back(change)
            self.rv, self._reserved, self._last_number = numbers
            if self._db.in_transaction:
                self._db.rollback()
            raise
        finally:
            self._block = None
        for change in block.changes:
            self._tell(change)

    def since(self, resource: str, rv: int) -> Changes:
        """The changes after `rv`, oldest first. Raises CompactedError where some are forgotten."""
        kind = self._kinds[resource]
        if rv < kind.compacted:
            raise CompactedError(kind.compacted)
        # Most askers want the newest few: go backwards.
        found: Changes = []
        for change in reversed(kind.changes):
            if change.rv <= rv:
                break
            found.append(change)
        return found[::-1]

    def subscribe(self, callback: Callable[[Change], None], *resources: str) -> Callable[[], None]:
        """Call `callback` after each change of the resources; returns how to end that.

        It is called before the writer's call returns, so it must neither block nor raise.
        """
        for resource in resources:
            self._kinds[resource].subscribers.append(callback)

        def unsubscribe() -> None:
            for resource in resources:
                self._kinds[resource].subscribers.remove(callback)

        return unsubscribe

    def _new_kind(self) -> _Kind:
        kind = _Kind()
        kind.compacted = self._rv_at_start
        return kind

    def _load(self) -> None:
        for number, resource, body in self._db.execute("select * from objects order by number"):
            record = Record.of(resource, number, body)
            self._kinds[resource].records[record.key.namespace, record.key.name] = record
            self._last_number = number
        for kind in self._kinds.values():
            kind.order = sorted(kind.records)

    def _there(self, key: Key, expected_rv: int | None) -> Record:
        there = self.get(key)
        if there is None:
            raise MissingError(key)
        if expected_rv is not None and expected_rv != there.rv:
            raise StaleError(key)
        return there

    def _stamped(self, key: Key, number: int, obj: dict[str, Any], rv: int) -> Record:
        about = obj["metadata"]
        about["resourceVersion"] = str(rv)
        labels = dict(about.get("labels") or {})
        return Record(key, number, rv, about.get("uid", ""), labels, msgspec.json.encode(obj))

    def _next_rv(self) -> int:
        if self.rv >= self._reserved:
            reserved = self.rv + _BLOCK
            self._write("insert or replace into meta values ('reserved', ?)", (reserved,))
            self._reserved = reserved
        return self.rv + 1

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        block = self._block or _Block()
        if block.problem is not None:  # SQLite may have let go of the whole block
            raise block.problem
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            block.problem = StorageError(str(error))
            raise block.problem from error

    def _commit(self, change: Change) -> None:
        """The write is on disk, or in the block that will be: now memory, then the subscribers."""
        self._kinds[change.record.key.resource].take(change)
        self.rv = change.rv
        if self._block is None:
            self._tell(change)
        else:
            self._block.changes.append(change)

    def _tell(self, change: Change) -> None:
        for callback in tuple(self._kinds[change.record.key.resource].subscribers):
            callback(change)


def _is_same(record: Record, there: Record) -> bool:
    """Whether only the version differs, which stands before whatever may look like it."""
    if len(record.body) - len(str(record.rv)) != len(there.body) - len(str(there.rv)):
        return False
    version = b'"resourceVersion":"%d"'
    return record.body.replace(version % record.rv, version % there.rv, 1) == there.body


def _span(order: list[Place], namespace: str | None, after: Place | None) -> tuple[int, int]:
    """Where in the order a namespace's places behind `after` lie."""
    start = bisect_right(order, after) if after is not None else 0
    if namespace is None:
        return start, len(order)
    return (
        max(start, bisect_left(order, (namespace, ""))),
        bisect_left(order, (namespace + "\0", "")),
    )
