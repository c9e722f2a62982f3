"""Pods that are refused for what the cluster lacks."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.local_registry import pod

from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError

Object = dict[str, Any]
NO_OVERHEAD = "Pod Overhead set without corresponding RuntimeClass defined Overhead"


@pytest.mark.parametrize("runtime", [{}, {"runtimeClassName": "kata"}])
def test_no_runtime_class_defines_an_overhead(registry: Registry, runtime: Object) -> None:
    with pytest.raises(ApiError) as refused:
        registry.create("pods", "default", pod("p", overhead={"cpu": "250m"}, **runtime))
    told = refused.value
    assert (told.code, told.reason) == (403, "Forbidden")
    assert told.message == f'pods "p" is forbidden: pod rejected: {NO_OVERHEAD}'
    assert registry.list("pods") == []


def test_no_overhead_is_none(registry: Registry) -> None:
    registry.create("pods", "default", pod("p", overhead={}))
