"""What a pod takes of a quota."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.local_registry import claim, pod

from jobman.local.api.pod_resources import total
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
    spec = {"containers": [asking("main", "2")], "initContainers": init}
    assert total(spec, "requests") == {"cpu": parse(cpu)}
    spec["resources"] = {"requests": {"cpu": "7", "memory": "1Gi"}}
    assert total(spec, "requests") == {"cpu": parse(7), "memory": parse("1Gi")}


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


def test_a_pod_that_says_what_it_takes_as_a_whole_needs_no_words_of_its_containers(
    registry: Registry,
) -> None:
    hard = {"requests.cpu": "3", "limits.memory": "4Gi"}
    quota = {"metadata": {"name": "q"}, "spec": {"hard": hard}}
    registry.create("resourcequotas", "default", quota)
    whole = {"limits": {"cpu": "2", "memory": "3Gi"}}
    made = registry.create("pods", "default", pod("a", resources=whole))
    assert made["spec"]["resources"]["requests"] == {"cpu": "2", "memory": "3Gi"}
    assert made["status"]["qosClass"] == "Guaranteed"
    with pytest.raises(ApiError) as refused:
        registry.create("pods", "default", pod("b", resources=whole))
    assert refused.value.message.endswith(
        "exceeded quota: q, requested: limits.memory=3Gi,requests.cpu=2,"
        " used: limits.memory=3Gi,requests.cpu=2, limited: limits.memory=4Gi,requests.cpu=3"
    )


def test_limit_ranges_of_pods_look_at_what_they_take_as_a_whole(registry: Registry) -> None:
    bound = {"type": "Pod", "max": {"cpu": "1"}}
    made = {"metadata": {"name": "l"}, "spec": {"limits": [bound]}}
    registry.create("limitranges", "default", made)
    with pytest.raises(ApiError) as refused:
        registry.create("pods", "default", pod("a", resources={"limits": {"cpu": "2"}}))
    assert refused.value.message.endswith("maximum cpu usage per Pod is 1, but limit is 2")


def test_claims_take_what_they_ask_for(registry: Registry) -> None:
    hard = {"requests.storage": "1536Mi", "persistentvolumeclaims": "3"}
    quota = {"metadata": {"name": "q"}, "spec": {"hard": hard}}
    registry.create("resourcequotas", "default", quota)
    registry.create("persistentvolumeclaims", "default", claim("a"))
    with pytest.raises(ApiError) as refused:
        registry.create("persistentvolumeclaims", "default", claim("b"))
    assert refused.value.message.endswith(
        "exceeded quota: q, requested: requests.storage=1Gi, used: requests.storage=1Gi,"
        " limited: requests.storage=1536Mi"
    )
