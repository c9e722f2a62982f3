"""A registry on a real store, with some objects to put in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobman.local.api.registry import Registry
from jobman.local.controllers import basics
from jobman.local.controllers.workqueue import Controller
from jobman.local.store import Store

Object = dict[str, Any]
JOBS = "jobs.batch"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty cluster's, with its system namespaces."""
    store = Store(tmp_path / "store.db")
    made = Registry(store)
    basics.ensure(made)
    yield made
    store.close()


def job(name: str = "j", **spec: Any) -> Object:
    """A Job of one container."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}
    return {
        "kind": "Job",
        "apiVersion": "batch/v1",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }


def pod(name: str, requests: dict[str, str] | None = None, **spec: Any) -> Object:
    """A Pod of one container; what it requests is its limit, too."""
    resources = {"requests": requests, "limits": requests} if requests else {}
    container = {"name": "main", "image": "x", "resources": resources}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


def claim(name: str) -> Object:
    """A PersistentVolumeClaim."""
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    kind = "PersistentVolumeClaim"
    return {"kind": kind, "apiVersion": "v1", "metadata": {"name": name}, "spec": wanted}


def node(name: str, allocatable: dict[str, str] | None = None, **spec: Any) -> Object:
    """A Node that is ready."""
    amounts = {"cpu": "4", "memory": "8Gi", "pods": "110", **(allocatable or {})}
    ready = {"type": "Ready", "status": "True"}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
        "status": {"capacity": amounts, "allocatable": amounts, "conditions": [ready]},
    }


def config_map(name: str, owners: list[Object] | None = None) -> Object:
    """A ConfigMap, perhaps owned."""
    metadata: Object = {"name": name}
    if owners:
        metadata["ownerReferences"] = owners
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}


def owner(obj: Object, *, blocks: bool = True) -> Object:
    """An ownerReference to an object."""
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": blocks,
    }


def settle(*controllers: Controller[Any]) -> None:
    """Let started controllers work until none has anything left to do."""

    async def work() -> None:
        while any(len(controller.queue) for controller in controllers):
            for controller in controllers:
                while len(controller.queue):
                    await controller.step()

    asyncio.run(work())


def names(objects: list[Object]) -> list[str]:
    """The objects' names."""
    return [obj["metadata"]["name"] for obj in objects]
