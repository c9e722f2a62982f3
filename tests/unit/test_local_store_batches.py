"""What many write at once: one write to the disk, of which nobody is told too early."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.api_server import ScriptedAgent
from plugins.local_registry import pod

from jobman.local.api.lists import Selection
from jobman.local.api.registry import Registry, Write
from jobman.local.api.resources import resource_of
from jobman.local.api.status import ApiError
from jobman.local.api.users import SYSTEM
from jobman.local.api.watch import Watch
from jobman.local.server import Server
from jobman.local.store import StorageError, Store
from jobman.local.stored import Change, Key

NAMES = ("a", "b", "c-1", "d.e")
PODS = resource_of("pods")


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test as a function."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def key(name: str) -> Key:
    return Key("pods", "n", name)


def obj(at: Key, value: int = 0, text: str = "") -> dict[str, Any]:
    return {"metadata": {"name": at.name, "namespace": at.namespace}, "value": value, "text": text}


def values(store: Store) -> dict[Key, int]:
    return {record.key: record.object()["value"] for record in store.list("pods")}


@contextlib.contextmanager
def commits(store: Store) -> Iterator[list[str]]:
    """The transactions that SQLite ends meanwhile."""
    ended: list[str] = []
    store._db.set_trace_callback(lambda text: ended.append(text) if text == "commit" else None)
    yield ended
    store._db.set_trace_callback(None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "db")
    yield opened
    opened.close()


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["create soon", "create", "update", "delete", "block", "read", "pass", "reopen"]
        ),
        st.sampled_from(NAMES),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(steps)
def test_whatever_else_happens_all_is_kept_and_told_in_its_order(
    steps: list[tuple[str, str, int]],
) -> None:
    with TemporaryDirectory() as directory:
        asyncio.run(_walk(Path(directory, "db"), steps))


async def _walk(path: Path, steps: list[tuple[str, str, int]]) -> None:
    store, model, told = Store(path), dict[Key, int](), list[Change]()
    store.subscribe(told.append, "pods")
    for step, name, value in steps:
        at = key(name)
        if step == "reopen":
            store.close()
            store = Store(path)
            store.subscribe(told.append, "pods")
        elif step == "pass":
            await asyncio.sleep(0)
            assert store._batch is None
        elif step == "delete" and at in model:
            store.delete(at)
            del model[at]
        elif step == "update" and at in model:
            store.update(at, obj(at, value))
            model[at] = value
        elif at not in model and step in ("create soon", "create", "block"):
            around = {"create soon": store.soon, "block": store.together}.get(step)
            with around() if around else contextlib.nullcontext():
                store.create(at, obj(at, value))
            model[at] = value
        if step == "read":
            assert values(store) == model
        assert [change.rv for change in told] == sorted({change.rv for change in told})
    store.settle()
    seen = dict[Key, int]()
    for change in told:
        seen[change.record.key] = change.record.object()["value"]
        if change.type == "DELETED":
            del seen[change.record.key]
    assert seen == model
    store.close()


@in_a_loop
async def test_who_writes_in_the_same_moment_shares_a_transaction(store: Store) -> None:
    told: list[Change] = []
    store.subscribe(told.append, "pods")

    async def create(name: str) -> None:
        with store.soon() as batch:
            store.create(key(name), obj(key(name)))
        assert told == []
        await batch.kept()
        assert len(told) == len(NAMES)

    with commits(store) as ended:
        await asyncio.gather(*map(create, NAMES))
    assert len(ended) == 1
    assert [change.record.key.name for change in told] == list(NAMES)


@in_a_loop
async def test_what_is_written_otherwise_settles_it_first(store: Store) -> None:
    told: list[Change] = []
    store.subscribe(told.append, "pods")
    with store.soon() as batch:
        store.create(key("a"), obj(key("a")))
    store.update(key("a"), obj(key("a"), 1))
    assert batch.over.is_set()
    assert [change.type for change in told] == ["ADDED", "MODIFIED"]


@in_a_loop
async def test_without_room_all_of_them_are_refused_and_none_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    store.create(key("z"), obj(key("z")))
    told: list[Change] = []
    store.subscribe(told.append, "pods")
    rv = store.rv
    store._db.execute("pragma max_page_count = 10")

    async def create(name: str, text: str = "") -> None:
        with store.soon() as batch:
            store.create(key(name), obj(key(name), text=text))
        await batch.kept()

    big = "x" * 100_000
    ended = await asyncio.gather(create("a"), create("b", big), create("c"), return_exceptions=True)
    assert [type(each) for each in ended] == [StorageError] * 3
    assert (values(store), told, store.rv) == ({key("z"): 0}, [], rv)
    store._db.execute("pragma max_page_count = 1000")
    await asyncio.gather(create("a"), create("b", big))
    store.close()
    store = Store(tmp_path / "db")
    assert set(values(store)) == {key("a"), key("b"), key("z")}
    assert [change.type for change in told] == ["ADDED", "ADDED"]
    store.close()


@in_a_loop
async def test_one_who_gives_up_waiting_takes_nothing_from_the_others(registry: Registry) -> None:
    def create(name: str) -> asyncio.Task[Any]:
        made = registry.create_soon(PODS, "default", pod(name), Write())
        return asyncio.create_task(made)

    gone, stays = create("gone"), create("stays")
    asyncio.get_running_loop().call_soon(gone.cancel)
    assert (await stays).object["metadata"]["name"] == "stays"
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert registry.find("pods", "default", "gone") is not None


@in_a_loop
async def test_a_refused_creation_leaves_the_others_be(registry: Registry) -> None:
    created = await asyncio.gather(
        *(registry.create_soon(PODS, "default", pod(name), Write()) for name in ("a", "a", "b")),
        return_exceptions=True,
    )
    assert isinstance(created[1], ApiError)
    assert created[1].code == 409
    assert [each["metadata"]["name"] for each in registry.list("pods")] == ["a", "b"]


@in_a_loop
async def test_who_reads_settles_it_first(store: Store) -> None:
    reads: list[Callable[[], object]] = [
        lambda: store.rv,
        lambda: store.get(key("a")),
        lambda: store.list("pods"),
        lambda: store.count("pods"),
        lambda: store.since("pods", 0),
    ]
    for number, read in enumerate(reads):
        with store.soon() as batch:
            store.create(key(f"p{number}"), obj(key(f"p{number}")))
            store.get(key("a"))
            assert not batch.over.is_set(), "one of its own reads"
        read()
        assert batch.over.is_set()


@in_a_loop
async def test_a_watch_begun_in_the_same_moment_tells_of_each_once(registry: Registry) -> None:
    selection = Selection(PODS, "default")
    for version in (None, registry.store.rv):
        name = "first" if version is None else "second"
        made = asyncio.create_task(registry.create_soon(PODS, "default", pod(name), Write()))
        lines = Watch(registry.store, selection).lines(version, timeout_s=0.05)
        told = asyncio.create_task(_names(lines))
        await made
        assert (await told).count(name) == 1


async def _names(lines: AsyncGenerator[bytes]) -> list[str]:
    return [
        json.loads(line)["object"]["metadata"]["name"]
        async for batch in lines
        for line in batch.splitlines()
    ]


def too_big(registry: Registry) -> dict[str, Any]:
    """A pod that the disk has no room for from now on."""
    (pages,) = registry.store._db.execute("pragma page_count").fetchone()
    registry.store._db.execute(f"pragma max_page_count = {pages + 10}")
    return {**pod("big"), "metadata": {"name": "big", "annotations": {"x": "y" * 200_000}}}


@in_a_loop
async def test_what_was_in_the_way_and_was_not_kept_refuses_nobody(registry: Registry) -> None:
    pods = pod("a"), too_big(registry), pod("a")
    created = await asyncio.gather(
        *(registry.create_soon(PODS, "default", each, Write()) for each in pods),
        return_exceptions=True,
    )
    assert [error.code for error in created if isinstance(error, ApiError)] == [500] * 3


@in_a_loop
async def test_what_was_not_kept_is_not_there_to_be_changed(registry: Registry) -> None:
    made = [
        asyncio.create_task(registry.create_soon(PODS, "default", each, Write()))
        for each in (pod("a"), too_big(registry))
    ]
    await asyncio.sleep(0)
    with pytest.raises(ApiError) as refused:
        registry.delete("pods", "default", "a")
    assert refused.value.code == 404
    ended = await asyncio.gather(*made, return_exceptions=True)
    assert [error.code for error in ended if isinstance(error, ApiError)] == [500] * 2


@in_a_loop
async def test_nobody_is_shown_what_is_not_kept_yet(registry: Registry) -> None:
    server = Server(
        registry, tokens={"token": SYSTEM}, node_agent=ScriptedAgent(), version="v1.36.0"
    )
    asked = {"Authorization": "Bearer token"}
    for path in ("/api/v1/namespaces/default/pods/p", "/api/v1/pods?limit=5"):
        registry.store.settle()
        with registry.store.soon() as batch:
            registry.create_as(PODS, "default", pod(f"p{len(path)}"), Write())
        await server.serve(make_mocked_request("GET", path, headers=asked))
        assert batch.over.is_set()
