"""Watchers that do not read, or are gone."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import ApiServer
from plugins.local_registry import config_map

from jobman.local.api.lists import Selection
from jobman.local.api.registry import Registry
from jobman.local.api.resources import resource_of
from jobman.local.api.watch import BACKLOG_BYTES, BACKLOG_MAX, TooSlowError, Watch
from jobman.local.mirror import CHANGES_BYTES, CompactedError
from jobman.local.stored import Key


def test_who_does_not_read_is_let_go(registry: Registry) -> None:
    watch = Watch(registry.store, Selection(resource_of("configmaps"), "default"))
    key = Key("configmaps", "default", "c")
    made = registry.create("configmaps", "default", config_map("c"))

    async def body() -> None:
        lines = watch.lines(None)
        assert (await anext(lines)).startswith(b'{"type":"ADDED"')
        for number in range(BACKLOG_MAX + 1):
            registry.store.update(key, made | {"data": {"n": str(number)}})
        with pytest.raises(TooSlowError):
            await anext(lines)

    asyncio.run(body())


_LONG = "x" * 1024 * 1024


def _write(registry: Registry, count: int) -> None:
    """Changes of 1 MiB each, as many as asked for."""
    key, made = Key("configmaps", "default", "c"), registry.get("configmaps", "default", "c")
    for number in range(count):
        registry.store.update(key, made | {"data": {"n": f"{number}{_LONG}"}})


def test_who_does_not_read_long_changes_is_let_go_sooner(registry: Registry) -> None:
    watch = Watch(registry.store, Selection(resource_of("configmaps"), "default"))
    registry.create("configmaps", "default", config_map("c"))

    async def body() -> None:
        lines = watch.lines(None)
        await anext(lines)
        for _ in range(3):  # who reads stays
            _write(registry, BACKLOG_BYTES // len(_LONG) - 1)
            for _ in range(BACKLOG_BYTES // len(_LONG) - 1):
                assert (await anext(lines)).count(b"\n") == 1
        _write(registry, BACKLOG_BYTES // len(_LONG) + 1)
        with pytest.raises(TooSlowError):
            await anext(lines)

    asyncio.run(body())


def test_what_is_there_becomes_lines_as_they_are_read(registry: Registry) -> None:
    for number in range(100):
        registry.create("configmaps", "default", config_map(f"c{number}") | {"data": {"a": _LONG}})
    made = []

    def encode(obj: dict[str, Any]) -> dict[str, Any]:
        made.append(obj["metadata"]["name"])
        return obj

    watch = Watch(registry.store, Selection(resource_of("configmaps"), "default"), encode)

    async def body() -> None:
        lines = watch.lines(None)
        for count in range(1, 101):
            await anext(lines)
            assert len(made) == count

    asyncio.run(body())


def test_a_long_change_is_written_in_parts(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    with ApiServer(tmp_path) as server, server.connection() as connection:
        body = {"metadata": {"name": "long"}, "data": {"a": "x" * 1_000_000}}
        assert server.ask("POST", path, body=body).code == 201
        headers = {"Authorization": "Bearer token-of-admin"}
        name = "fieldSelector=metadata.name%3Dlong"
        connection.request("GET", f"{path}?watch=1&timeoutSeconds=1&{name}", headers=headers)
        response = connection.getresponse()
        parts, text = [], b""
        while part := response.read1(1):
            parts.append(response.chunk_left or 0)
            text += part + response.read1(response.chunk_left or 0)
        assert max(parts) <= 64 * 1024
        assert len(json.loads(text)["object"]["data"]["a"]) == 1_000_000


def test_short_lines_come_many_at_a_time(registry: Registry) -> None:
    for number in range(100):
        registry.create("configmaps", "default", config_map(f"c{number}"))
    watch = Watch(registry.store, Selection(resource_of("configmaps"), "default"))

    async def body() -> None:
        batch = await anext(watch.lines(None))
        assert batch.count(b"\n") == 100

    asyncio.run(body())


def test_long_changes_are_remembered_less_long(registry: Registry) -> None:
    made = registry.create("configmaps", "default", config_map("c"))
    _write(registry, 3 * CHANGES_BYTES // len(_LONG))
    newest = registry.store.rv
    assert len(registry.store.since("configmaps", newest - 10)) == 10
    with pytest.raises(CompactedError) as error:
        registry.store.since("configmaps", int(made["metadata"]["resourceVersion"]))
    kept = registry.store.since("configmaps", error.value.oldest)
    assert sum(len(change.record.body) for change in kept) <= CHANGES_BYTES
    assert len(kept) >= CHANGES_BYTES // len(_LONG) - 2


def test_who_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/pods?watch=1&fieldSelector=metadata.name%3Dnobody"
    with ApiServer(tmp_path) as server:

        def handled() -> int:
            return server.on_loop(lambda: len(asyncio.all_tasks()))

        before = handled()
        for _ in range(5):
            with server.connection() as connection:
                connection.request("GET", path, headers={"Authorization": "Bearer token-of-admin"})
                assert connection.getresponse().status == 200
        end = time.monotonic() + 10
        while handled() > before and time.monotonic() < end:
            pass
        assert handled() == before
