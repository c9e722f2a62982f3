"""Watchers that do not read."""

from __future__ import annotations

import asyncio

import pytest
from plugins.local_registry import config_map

from jobman.local.api.lists import Selection
from jobman.local.api.registry import Registry
from jobman.local.api.resources import resource_of
from jobman.local.api.watch import BACKLOG_MAX, TooSlowError, Watch
from jobman.local.store import Key


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
