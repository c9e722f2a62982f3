"""Where the objects are kept: SQLite on disk, a mirror of their bytes in memory.

A write is with the system when the call returns, or the block of writes that belong together, or
the batch of those who write at the same moment: a killed process loses nothing that it
acknowledged. A machine that loses its power may lose the last moments before it, whole writes from
the end: waiting for the disk at each would cost more than all else that a write takes. All calls
are made from one thread. The recent changes are kept in memory alone, for watches; a watcher that
comes back after a restart, or too late, is told to list again.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobman.local.mirror import Mirror
from jobman.local.stored import Change, Changes, Key, Place, Record, Records

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
_Write = tuple[str, tuple[Any, ...]]
"""A statement and its values."""


class ExistsError(Exception):
    """The key is taken; `record` is what is there."""

    def __init__(self, record: Record) -> None:
        super().__init__(f"{record.key} is there already")
        self.record = record


class MissingError(Exception):
    """There is nothing at the key."""


class StaleError(Exception):
    """The object is not at the expected resourceVersion."""


class StorageError(Exception):
    """The disk refused the write; nothing changed."""


@dataclass
class _Block:
    """What is written together, in a row at the end: one between other work costs more.

    `before` are the store's numbers at its beginning.
    """

    before: tuple[int, int, int]
    changes: Changes = field(default_factory=list)
    writes: list[_Write] = field(default_factory=list)


@dataclass
class Batch(_Block):
    """A block that ends when everybody has written who could in this pass of the event loop.

    `problem` is why none of it was kept.
    """

    problem: StorageError | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def kept(self) -> None:
        """Until it is with the system. Raises StorageError."""
        await self.over.wait()
        if self.problem is not None:
            raise StorageError(str(self.problem))


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
        self._rv: int = found[0] if found else 0
        self._reserved = self._rv_at_start = self._rv
        self._last_number = 0
        self.undone = 0
        """How often something was not kept after all: versions begin anew from before it."""
        self._block: _Block | None = None
        self._batch: Batch | None = None
        self._mirrors: defaultdict[str, Mirror] = defaultdict(self._new_mirror)
        self._load()

    def close(self) -> None:
        """Write everything to the main file and let it go."""
        self.settle()
        self._db.close()

    @property
    def rv(self) -> int:
        """The resourceVersion of the last change."""
        self.settle()
        return self._rv

    def get(self, key: Key) -> Record | None:
        """The object, or None."""
        self.settle()
        return self._mirrors[key.resource].records.get((key.namespace, key.name))

    def count(self, resource: str) -> int:
        """How many objects there are."""
        self.settle()
        return len(self._mirrors[resource].records)

    def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: Place | None = None,
        limit: int | None = None,
    ) -> Records:
        """The objects by namespace and name, those behind `after` alone, at most `limit`."""
        self.settle()
        return self._mirrors[resource].list(namespace, after, limit)

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
        self.settle()
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
        self.settle()
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
        self.settle()
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
        self.settle()
        assert self._block is None, "one block at a time"
        self._block = block = _Block(self._numbers)
        try:
            yield
            self._execute(block.writes)
        except BaseException:
            self._undo(block)
            raise
        finally:
            self._block = None
        self._tell_all(block)

    @contextlib.contextmanager
    def soon(self) -> Iterator[Batch]:
        """One write to the disk of all that is written so in one pass of the event loop.

        Others read of it when it is kept, and subscribers hear of it then, which is before anything
        else is written.
        """
        assert self._block is None, "one block at a time"
        batch = self._block = self._batch or Batch(self._numbers)
        try:
            if self._batch is None:
                self._batch = batch
                asyncio.get_running_loop().call_soon(self.settle)
            yield batch
        finally:
            self._block = None

    def settle(self) -> None:
        """Keep now what was to be kept soon."""
        batch = self._batch
        if batch is None or self._block is batch:
            return
        self._batch = None
        try:
            self._execute(batch.writes)
        except StorageError as problem:
            batch.problem = problem
            self._undo(batch)
        finally:
            batch.over.set()
        self._tell_all(batch)

    def since(self, resource: str, rv: int) -> Changes:
        """The changes after `rv`, oldest first. Raises CompactedError where some are forgotten."""
        self.settle()
        return self._mirrors[resource].since(rv)

    def subscribe(self, callback: Callable[[Change], None], *resources: str) -> Callable[[], None]:
        """Call `callback` after each change of the resources; returns how to end that.

        It is called before the writer's call returns, so it must neither block nor raise.
        """
        for resource in resources:
            self._mirrors[resource].subscribers.append(callback)

        def unsubscribe() -> None:
            for resource in resources:
                self._mirrors[resource].subscribers.remove(callback)

        return unsubscribe

    def _new_mirror(self) -> Mirror:
        return Mirror(self._rv_at_start)

    def _load(self) -> None:
        for number, resource, body in self._db.execute("select * from objects order by number"):
            record = Record.of(resource, number, body)
            self._mirrors[resource].records[record.key.namespace, record.key.name] = record
            self._last_number = number
        for mirror in self._mirrors.values():
            mirror.order = sorted(mirror.records)

    def _there(self, key: Key, expected_rv: int | None) -> Record:
        there = self.get(key)
        if there is None:
            raise MissingError(key)
        if expected_rv is not None and expected_rv != there.rv:
            raise StaleError(key)
        return there

    def _stamped(self, key: Key, number: int, obj: dict[str, Any], rv: int) -> Record:
        obj["metadata"]["resourceVersion"] = str(rv)
        return Record.kept(key, number, rv, obj)

    def _next_rv(self) -> int:
        if self._rv >= self._reserved:
            reserved = self._rv + _BLOCK
            self._write("insert or replace into meta values ('reserved', ?)", (reserved,))
            self._reserved = reserved
        return self._rv + 1

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        if self._block is None:
            self._execute([(statement, values)])
        else:
            self._block.writes.append((statement, values))

    def _execute(self, writes: Sequence[_Write]) -> None:
        """All of them, or none. Raises StorageError."""
        try:
            if len(writes) > 1:  # one is a transaction of its own
                self._db.execute("begin")
            for statement, values in writes:
                self._db.execute(statement, values)
            if self._db.in_transaction:
                self._db.execute("commit")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.rollback()
            raise StorageError(str(error)) from error

    def _commit(self, change: Change) -> None:
        """The write is on disk, or in the block that will be: now memory, then the subscribers."""
        self._mirrors[change.record.key.resource].take(change)
        self._rv = change.rv
        if self._block is None:
            self._tell(change)
        else:
            self._block.changes.append(change)

    @property
    def _numbers(self) -> tuple[int, int, int]:
        return self._rv, self._reserved, self._last_number

    def _undo(self, block: _Block) -> None:
        """Nothing of the block is kept."""
        self.undone += 1
        for change in reversed(block.changes):
            self._mirrors[change.record.key.resource].take_back(change)
        block.changes.clear()
        self._rv, self._reserved, self._last_number = block.before

    def _tell_all(self, block: _Block) -> None:
        for change in block.changes:
            self._tell(change)

    def _tell(self, change: Change) -> None:
        for callback in tuple(self._mirrors[change.record.key.resource].subscribers):
            callback(change)


def _is_same(record: Record, there: Record) -> bool:
    """Whether only the version differs, which stands before whatever may look like it."""
    if len(record.body) - len(str(record.rv)) != len(there.body) - len(str(there.rv)):
        return False
    version = b'"resourceVersion":"%d"'
    return record.body.replace(version % record.rv, version % there.rv, 1) == there.body
