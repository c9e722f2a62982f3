"""What the server fills in."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from jobman.local.api import defaults

CONTROLLER = "batch.kubernetes.io/controller-uid"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("busybox:1.36", "IfNotPresent"),
        ("host:5000/repo/image", "Always"),
        ("host:5000/repo/image:v1", "IfNotPresent"),
        ("busybox@sha256:abc", "IfNotPresent"),
        ("", "Always"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert defaults.pull_policy(image) == policy


@pytest.mark.parametrize(
    ("spec", "parallelism", "completions"),
    [
        ({}, 1, 1),
        ({"parallelism": 3}, 3, None),
        ({"completions": 3}, 1, 3),
        ({"parallelism": 0, "completions": 0}, 0, 0),
    ],
)
def test_how_many_pods(spec: dict[str, Any], parallelism: int, completions: int | None) -> None:
    job = {"metadata": {}, "spec": spec}
    defaults.apply("Job", job)
    assert (job["spec"]["parallelism"], job["spec"].get("completions")) == (
        parallelism,
        completions,
    )


def test_retries_per_index_lift_the_jobs_own_limit() -> None:
    job: dict[str, Any] = {"metadata": {}, "spec": {"backoffLimitPerIndex": 1}}
    defaults.apply("Job", job)
    assert job["spec"]["backoffLimit"] == 2**31 - 1


@pytest.mark.parametrize(
    ("own", "template", "result"),
    [
        ({}, {}, {CONTROLLER, "batch.kubernetes.io/job-name", "controller-uid", "job-name"}),
        ({"a": "1"}, {"b": "2"}, {"a"}),
        (
            {},
            {"b": "2"},
            {"b", CONTROLLER, "batch.kubernetes.io/job-name", "controller-uid", "job-name"},
        ),
    ],
)
def test_a_job_without_labels_takes_its_templates(
    own: dict[str, str], template: dict[str, str], result: set[str]
) -> None:
    job: dict[str, Any] = {
        "metadata": {"name": "x", "uid": "u", "labels": own},
        "spec": {"template": {"metadata": {"labels": template}}},
    }
    defaults.apply("Job", job)
    defaults.generate_selector(job)
    assert set(job["metadata"]["labels"]) == result
    assert job["spec"]["selector"] == {"matchLabels": {CONTROLLER: "u"}}


def test_a_manual_selector_stays() -> None:
    job: dict[str, Any] = {
        "metadata": {"name": "x", "uid": "u"},
        "spec": {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}, "template": {}},
    }
    defaults.apply("Job", job)
    defaults.generate_selector(job)
    assert job["spec"]["selector"] == {"matchLabels": {"a": "b"}}
    assert "labels" not in job["spec"]["template"]["metadata"]


def test_limits_are_requests_in_a_pod_and_not_in_a_template() -> None:
    spec = {"containers": [{"resources": {"limits": {"cpu": "2"}, "requests": {"memory": "1Gi"}}}]}
    pod: dict[str, Any] = {"metadata": {}, "spec": spec}
    defaults.apply("Pod", pod)
    resources = pod["spec"]["containers"][0]["resources"]
    assert resources["requests"] == {"cpu": "2", "memory": "1Gi"}
    job: dict[str, Any] = {
        "metadata": {},
        "spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "2"}}}]}}},
    }
    defaults.apply("Job", job)
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {"limits": {"cpu": "2"}}


def resources(requests: dict[str, str], limits: dict[str, str]) -> dict[str, Any]:
    return {"resources": {"requests": requests, "limits": limits}}


FULL = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("containers", "word"),
    [
        ([{}], "BestEffort"),
        ([resources({"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"})], "BestEffort"),
        ([resources({"cpu": "1"}, {})], "Burstable"),
        ([resources(FULL, FULL)], "Guaranteed"),
        ([resources({}, FULL)], "Guaranteed"),
        ([resources(FULL, FULL), {}], "Burstable"),
        ([resources({"cpu": "500m"}, FULL)], "Burstable"),
    ],
)
def test_quality_of_service(containers: list[dict[str, Any]], word: str) -> None:
    assert defaults.qos_class({"containers": containers}) == word


@pytest.mark.parametrize(
    ("whole", "asked", "word"),
    [
        ({"limits": FULL}, FULL, "Guaranteed"),
        ({"limits": {"cpu": "1"}}, {"cpu": "1"}, "Burstable"),
        ({"limits": FULL, "requests": {"cpu": "500m"}}, FULL | {"cpu": "500m"}, "Burstable"),
        ({"requests": {"memory": "1Gi"}}, {"memory": "1Gi"}, "Burstable"),
        ({}, None, "BestEffort"),
    ],
)
def test_what_a_pod_takes_as_a_whole_decides_its_class(
    whole: dict[str, Any], asked: dict[str, str] | None, word: str
) -> None:
    pod = {"metadata": {}, "spec": {"containers": [{}], "resources": copy.deepcopy(whole)}}
    defaults.apply("Pod", pod)
    assert pod["spec"]["resources"].get("requests") == asked
    assert defaults.qos_class(pod["spec"]) == word


def test_a_limited_pod_asks_for_what_its_containers_ask_for() -> None:
    main, init = resources({"cpu": "300m"}, {}), resources({"cpu": "700m"}, {})
    spec = {"containers": [main, main], "initContainers": [init], "resources": {"limits": FULL}}
    pod = {"metadata": {}, "spec": copy.deepcopy(spec)}
    defaults.apply("Pod", pod)
    assert pod["spec"]["resources"]["requests"] == {"cpu": "700m", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("volume", "filled"),
    [
        ({"name": "v"}, {"name": "v", "emptyDir": {}}),
        (
            {"name": "v", "configMap": {"name": "c"}},
            {"name": "v", "configMap": {"name": "c", "defaultMode": 420}},
        ),
        (
            {"name": "v", "hostPath": {"path": "/x"}},
            {"name": "v", "hostPath": {"path": "/x", "type": ""}},
        ),
    ],
)
def test_volumes(volume: dict[str, Any], filled: dict[str, Any]) -> None:
    pod: dict[str, Any] = {"metadata": {}, "spec": {"volumes": [volume], "containers": []}}
    defaults.apply("Pod", pod)
    assert pod["spec"]["volumes"] == [filled]


def test_texts_of_a_secret_become_data() -> None:
    secret: dict[str, Any] = {"metadata": {}, "data": {"a": "eA==", "b": "eQ=="}}
    secret["stringData"] = {"b": "z"}
    defaults.apply("Secret", secret)
    assert secret == {"metadata": {}, "data": {"a": "eA==", "b": "eg=="}, "type": "Opaque"}


def test_a_limit_range_fills_what_follows() -> None:
    limits: dict[str, Any] = {
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]}
    }
    defaults.apply("LimitRange", limits)
    (item,) = limits["spec"]["limits"]
    assert item["default"] == {"cpu": "2"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_a_node_can_give_what_it_has() -> None:
    node: dict[str, Any] = {"metadata": {}, "status": {"capacity": {"cpu": "4"}}}
    defaults.apply("Node", node)
    assert node["status"]["allocatable"] == {"cpu": "4"}


def test_a_namespaces_finalizers_do_not_come_back() -> None:
    namespace: dict[str, Any] = {"metadata": {"name": "n"}, "spec": {"finalizers": []}}
    defaults.apply("Namespace", namespace)
    assert namespace["spec"] == {"finalizers": []}
