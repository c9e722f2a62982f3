"""A client library with typed models of its own: lightkube."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from lightkube import Client, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.models.batch_v1 import JobSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import CascadeType, PatchType


@pytest.fixture
def lightkube(cluster: Any, namespace: str) -> Iterator[Any]:
    config = KubeConfig.from_file(cluster.kubeconfig)
    with Client(config=config, namespace=namespace, field_manager="lightkube") as client:
        yield client


def test_a_job_of_typed_models(lightkube: Any, cluster: Any) -> None:
    main = Container(name="main", image=cluster.image, command=["sh", "-c", "echo a; echo b"])
    template = PodTemplateSpec(spec=PodSpec(restartPolicy="Never", containers=[main]))
    job = Job(metadata=ObjectMeta(name="typed"), spec=JobSpec(template=template, backoffLimit=0))
    assert lightkube.create(job).spec.completions == 1
    with pytest.raises(ApiError) as taken:
        lightkube.create(job)
    assert (taken.value.status.code, taken.value.status.reason) == (409, "AlreadyExists")
    assert lightkube.wait(Job, "typed", for_conditions=["Complete"]).status.succeeded == 1
    (pod,) = lightkube.list(Pod, labels={"job-name": "typed"}, chunk_size=1)
    assert list(lightkube.log(pod.metadata.name, follow=True)) == ["a\n", "b\n"]
    change = {"metadata": {"labels": {"x": "y"}}}
    found = lightkube.patch(Job, "typed", change, patch_type=PatchType.MERGE)
    assert found.metadata.labels["x"] == "y"
    began = lightkube.get(Job, "typed").metadata.resourceVersion
    lightkube.delete(Job, "typed", cascade=CascadeType.BACKGROUND)
    told = lightkube.watch(Job, fields={"metadata.name": "typed"}, resource_version=began)
    with contextlib.closing(told):
        assert next(change for change, _ in told if change == "DELETED")


def test_what_is_applied_has_owners(lightkube: Any) -> None:
    config = ConfigMap(metadata=ObjectMeta(name="applied"), data={"a": "1", "b": "1"})
    lightkube.apply(config)
    config.data = {"b": "1"}
    assert lightkube.apply(config).data == {"b": "1"}
    config.data = {"b": "2"}
    with pytest.raises(ApiError) as conflict:
        lightkube.apply(config, field_manager="other")
    assert conflict.value.status.code == 409
    assert lightkube.apply(config, field_manager="other", force=True).data == {"b": "2"}
