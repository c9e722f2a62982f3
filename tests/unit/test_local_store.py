"""The store: what it keeps over a restart, in which order, and what it tells of changes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobman.local import mirror
from jobman.local.mirror import CompactedError
from jobman.local.store import (
    ExistsError,
    MissingError,
    StaleError,
    StorageError,
    Store,
)
from jobman.local.stored import Change, Key

NAMES = ("a", "b", "c-1", "d.e")


def key(name: str, namespace: str = "n", resource: str = "pods") -> Key:
    return Key(resource, namespace, name)


def obj(at: Key, value: int = 0) -> dict[str, Any]:
    named = {"name": at.name} | ({"namespace": at.namespace} if at.namespace else {})
    return {"kind": "K", "metadata": {**named, "uid": f"uid-{at.name}"}, "value": value}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "db")
    yield opened
    opened.close()


def values(store: Store) -> dict[Key, int]:
    found = [*store.list("pods"), *store.list("nodes")]
    return {record.key: record.object()["value"] for record in found}


steps = st.lists(
    st.tuples(
        st.sampled_from(["create", "update", "delete", "reopen"]),
        st.sampled_from(NAMES),
        st.sampled_from([("pods", "n"), ("pods", "m"), ("nodes", "")]),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(max_examples=40)
@given(steps)
def test_it_is_a_dictionary_that_outlives_the_process(
    steps: list[tuple[str, str, tuple[str, str], int]],
) -> None:
    model: dict[Key, int] = {}
    with TemporaryDirectory() as directory:
        store, last_rv = Store(Path(directory, "db")), 0
        for step, name, (resource, namespace), value in steps:
            at = key(name, namespace, resource)
            if step == "reopen":
                store.close()
                store = Store(Path(directory, "db"))
            elif step == "create" and at in model:
                with pytest.raises(ExistsError):
                    store.create(at, obj(at, value))
            elif step == "create":
                model[at] = value
                rv = store.create(at, obj(at, value)).rv
                assert rv > last_rv
                last_rv = rv
            elif at not in model:
                with pytest.raises(MissingError):
                    store.delete(at) if step == "delete" else store.update(at, obj(at, value))
            elif step == "delete":
                del model[at]
                last_rv = store.delete(at).rv
            else:
                rv = store.update(at, obj(at, value)).rv
                assert (rv > last_rv) or model[at] == value
                model[at], last_rv = value, max(rv, last_rv)
            assert values(store) == model
            pods = [(record.key.namespace, record.key.name) for record in store.list("pods")]
            assert pods == sorted(pods)
        store.close()


def test_an_update_at_another_version_is_stale(store: Store) -> None:
    rv = store.create(key("a"), obj(key("a"))).rv
    store.update(key("a"), obj(key("a"), 1), expected_rv=rv)
    with pytest.raises(StaleError):
        store.update(key("a"), obj(key("a"), 2), expected_rv=rv)
    with pytest.raises(StaleError):
        store.delete(key("a"), expected_rv=rv)
    assert values(store) == {key("a"): 1}


def test_changes_are_told_once_written_and_remembered(store: Store) -> None:
    told: list[Change] = []
    stop = store.subscribe(told.append, "pods")
    at = key("a")
    store.create(at, obj(at))
    store.update(at, obj(at))  # nothing new
    store.update(at, obj(at, 1))
    store.create(key("x", "", "nodes"), obj(key("x", "", "nodes")))
    store.delete(at)
    stop()
    store.create(at, obj(at))
    assert [change.type for change in told] == ["ADDED", "MODIFIED", "DELETED"]
    assert [change.rv for change in told] == sorted({change.rv for change in told})
    assert told[1].previous == told[0].record
    assert store.since("pods", told[0].rv)[:2] == told[1:]


def test_a_list_as_it_was(store: Store) -> None:
    for name in "ab":
        store.create(key(name), obj(key(name)))
    then = store.rv
    store.delete(key("a"))
    store.update(key("b"), obj(key("b"), 1))
    store.create(key("c"), obj(key("c")))
    assert [(r.key.name, r.object()["value"]) for r in store.list_at("pods", then)] == [
        ("a", 0),
        ("b", 0),
    ]


def test_a_page_begins_behind_the_last_one(store: Store) -> None:
    for namespace in "mn":
        for name in "abc":
            store.create(key(name, namespace), obj(key(name, namespace)))
    first = store.list("pods", "n", limit=2)
    assert [record.key.name for record in first] == ["a", "b"]
    rest = store.list("pods", "n", after=("n", "b"), limit=2)
    assert [record.key.name for record in rest] == ["c"]
    assert len(store.list("pods")) == store.count("pods") == 6


def test_after_a_restart_the_versions_go_on_and_the_changes_are_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    rv = store.create(key("a"), obj(key("a"))).rv
    store.close()
    store = Store(tmp_path / "db")
    with pytest.raises(CompactedError):
        store.since("pods", rv)
    assert store.create(key("b"), obj(key("b"))).rv > rv
    store.close()


class StopError(Exception):
    """A block that is given up."""


blocks = st.lists(
    st.tuples(
        st.sampled_from(["kept", "given up", "reopen"]),
        st.lists(
            st.tuples(
                st.sampled_from(["create", "update", "delete"]),
                st.sampled_from(NAMES),
                st.integers(0, 3),
            ),
            max_size=6,
        ),
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(blocks)
def test_what_is_written_together_is_kept_all_or_not_at_all(
    blocks: list[tuple[str, list[tuple[str, str, int]]]],
) -> None:
    model: dict[Key, int] = {}
    told: list[Change] = []
    with TemporaryDirectory() as directory:
        store = Store(Path(directory, "db"))
        store.subscribe(told.append, "pods")
        for outcome, steps in blocks:
            before, known, rv = dict(model), len(told), store.rv
            with contextlib.suppress(StopError), store.together():
                for step, name, value in steps:
                    _take(store, model, step, key(name), value)
                    assert values(store) == model
                assert len(told) == known
                if outcome == "given up":
                    raise StopError
            if outcome == "given up":
                model = before
                assert (len(told), store.since("pods", rv)) == (known, [])
            assert values(store) == model
            assert store.since("pods", rv) == told[known:]
            if outcome == "reopen":
                last = store.rv
                store.close()
                store = Store(Path(directory, "db"))
                store.subscribe(told.append, "pods")
                assert values(store) == model
                assert store.rv >= last
        store.close()


def _take(store: Store, model: dict[Key, int], step: str, at: Key, value: int) -> None:
    if step == "create" and at not in model:
        store.create(at, obj(at, value))
        model[at] = value
    elif step == "update" and at in model:
        store.update(at, obj(at, value))
        model[at] = value
    elif step == "delete" and at in model:
        store.delete(at)
        del model[at]


def test_a_block_that_the_disk_has_no_room_for_is_not_kept_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    store.create(key("a"), obj(key("a")))
    told: list[Change] = []
    store.subscribe(told.append, "pods")
    big = obj(key("b")) | {"text": "x" * 100_000}
    store._db.execute("pragma max_page_count = 10")

    def write() -> None:
        with store.together():
            store.update(key("a"), obj(key("a"), 1))
            with contextlib.suppress(StorageError):
                store.create(key("b"), big)
            store.update(key("a"), obj(key("a"), 2))

    with pytest.raises(StorageError):
        write()
    assert (values(store), told) == ({key("a"): 0}, [])
    store._db.execute("pragma max_page_count = 1000")
    with store.together():
        store.create(key("b"), big)
        store.update(key("a"), obj(key("a"), 3))
    store.close()
    store = Store(tmp_path / "db")
    assert values(store) == {key("a"): 3, key("b"): 0}
    assert [change.type for change in told] == ["ADDED", "MODIFIED"]
    store.close()


def test_changes_that_were_not_kept_push_no_others_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "CHANGES_BYTES", 1000)
    begun = store.create(key("a"), obj(key("a"))).rv
    for _ in range(20):
        with contextlib.suppress(ZeroDivisionError), store.together():
            store.create(key("b"), obj(key("b")))
            raise ZeroDivisionError
    store.update(key("a"), obj(key("a"), 1))
    assert [change.record.key.name for change in store.since("pods", begun - 1)] == ["a", "a"]
