"""Watchers that do not read, or are gone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from plugins.api_server import ApiServer
from plugins.local_registry import config_map

from jobman.local.api.lists import Selection
from jobman.local.api.registry import Registry
from jobman.local.api.resources import resource_of
from jobman.local.api.watch import BACKLOG_MAX, TooSlowError, Watch
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
