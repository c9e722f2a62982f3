"""What a pod takes of a quota."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.local_registry import pod

from jobman.local.api.quota import pod_total
from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError
from jobman.values.quantity import parse

Object = dict[str, Any]


def asking(name: str, cpu: str, **more: Any) -> Object:
    return {"name": name, "image": "x", "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("init", "cpu"),
    [
        ([], "2"),
        ([asking("i", "1")], "2"),
        ([asking("i", "5")], "5"),
        ([asking("s", "1", restartPolicy="Always")], "3"),
        ([asking("s", "1", restartPolicy="Always"), asking("i", "4")], "5"),
        ([asking("i", "4"), asking("s", "1", restartPolicy="Always")], "4"),
    ],
    ids=["none", "small", "big", "sidecar", "after-sidecar", "before-sidecar"],
)
def test_what_a_pod_takes_of_a_quota(init: list[Object], cpu: str) -> None:
    whole = {"spec": {"containers": [asking("main", "2")], "initContainers": init}}
    assert pod_total(whole, "requests") == {"cpu": parse(cpu)}


def test_init_containers_must_say_what_they_take_too(registry: Registry) -> None:
    hard = {"requests.cpu": "9", "limits.cpu": "9"}
    registry.create(
        "resourcequotas", "default", {"metadata": {"name": "q"}, "spec": {"hard": hard}}
    )
    init = [{"name": "b", "image": "x"}, asking("a", "1")]
    with pytest.raises(ApiError) as refused:
        registry.create("pods", "default", pod("p", {"cpu": "1"}, initContainers=init))
    assert refused.value.message.endswith(
        "failed quota: q: must specify limits.cpu for: a,b; requests.cpu for: b"
    )
