"""Pods that are refused for what the cluster lacks."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.local_registry import pod

from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError

Object = dict[str, Any]
NO_OVERHEAD = "Pod Overhead set without corresponding RuntimeClass defined Overhead"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"runtimeClassName": "nvidia"}, 'RuntimeClass "nvidia" not found'),
        (
            {"runtimeClassName": "kata", "overhead": {"cpu": "1"}},
            'RuntimeClass "kata" not found',
        ),
        ({"overhead": {"cpu": "250m"}}, NO_OVERHEAD),
    ],
)
def test_there_is_no_runtime_class(registry: Registry, spec: Object, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        registry.create("pods", "default", pod("p", **spec))
    told = refused.value
    assert (told.code, told.reason) == (403, "Forbidden")
    assert told.message == f'pods "p" is forbidden: pod rejected: {why}'
    assert registry.list("pods") == []


def test_no_overhead_is_none(registry: Registry) -> None:
    registry.create("pods", "default", pod("p", overhead={}))
