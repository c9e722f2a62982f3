"""Where the objects are kept: SQLite on disk, a mirror of their bytes in memory.

A write is on disk when the call returns: a killed process loses nothing that it acknowledged.
All calls are made from one thread. The recent changes are kept in memory alone, for watches; a
watcher that comes back after a restart, or too late, is told to list again.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

CHANGES_KEPT = 10_000
# resourceVersions are handed out from blocks that are reserved on disk ahead of their use.
_BLOCK = 10_000
# 64 MB of writes go to the log before the main file takes them up, which waits for the disk.
_PAGE_BYTES, _LOG_PAGES = 4096, 16_000
# Found by number alone, which is cheap to write: whatever is asked is answered from memory.
_SCHEMA = """
create table if not exists objects (
    number integer primary key, resource text not null, body blob not null);
create table if not exists meta (key text primary key, value integer not null) without rowid;
"""
# How jobman kept them before: by name.
_OLD = "select 1 from sqlite_master where type = 'table' and name = 'object'"
_FROM_OLD = """
begin;
insert into objects (resource, body) select resource, body from object;
drop table object;
commit;
"""

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
Place = tuple[str, str]


class Key(NamedTuple):
    """Which object: `namespace` is empty for what has none."""

    resource: str
    namespace: str
    name: str


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = "0"  # noqa: N815
    labels: dict[str, str] = {}


class _Envelope(msgspec.Struct):
    metadata: _Metadata


_DECODER = msgspec.json.Decoder(_Envelope)


class Record(msgspec.Struct, frozen=True, gc=False):
    """An object as it is kept: compact JSON, with what selectors and watches ask for.

    `number` is its own on the disk, for as long as it is there.
    """

    key: Key
    number: int
    rv: int
    uid: str
    labels: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, resource: str, number: int, body: bytes) -> Record:
        """The record of an object's JSON."""
        metadata = _DECODER.decode(body).metadata
        key = Key(resource, metadata.namespace, metadata.name)
        return cls(key, number, int(metadata.resourceVersion), metadata.uid, metadata.labels, body)

    @property
    def deleting(self) -> bool:
        """Whether its deletion has begun; what the bytes do not hold is not decoded."""
        return (
            b'"deletionTimestamp"' in self.body and "deletionTimestamp" in self.object()["metadata"]
        )

    def object(self) -> dict[str, Any]:
        """A fresh copy of the object."""
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change; `record` of a deletion is the last state under the deletion's own `rv`."""

    type: ChangeType
    rv: int
    record: Record
    previous: Record | None


Records = list[Record]
Changes = list[Change]


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

    def remember(self, change: Change) -> None:
        self.changes.append(change)
        if len(self.changes) > CHANGES_KEPT:
            self.compacted = self.changes.popleft().rv


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
        if self._db.execute(_OLD).fetchone():
            self._db.executescript(_FROM_OLD)
        found = self._db.execute("select value from meta where key = 'reserved'").fetchone()
        self.rv: int = found[0] if found else 0
        self._reserved = self._rv_at_start = self.rv
        self._last_number = 0
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
        if _restamped(record, there.rv) == there.body:
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
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise StorageError(str(error)) from error

    def _commit(self, change: Change) -> None:
        """The write is on disk: now memory, then the subscribers."""
        kind = self._kinds[change.record.key.resource]
        self.rv = change.rv
        if change.type == "DELETED":
            kind.drop(change.record.key)
        else:
            kind.put(change.record)
        kind.remember(change)
        for callback in tuple(kind.subscribers):
            callback(change)


def _restamped(record: Record, rv: int) -> bytes:
    """The body under another resourceVersion, which stands before whatever may look like it."""
    version = b'"resourceVersion":"%d"'
    return record.body.replace(version % record.rv, version % rv, 1)


def _span(order: list[Place], namespace: str | None, after: Place | None) -> tuple[int, int]:
    """Where in the order a namespace's places behind `after` lie."""
    start = bisect_right(order, after) if after is not None else 0
    if namespace is None:
        return start, len(order)
    return (
        max(start, bisect_left(order, (namespace, ""))),
        bisect_left(order, (namespace + "\0", "")),
    )
