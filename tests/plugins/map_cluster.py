"""An embedded cluster for whoever carries out maps on it, with a namespace for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobman.kube import access
from jobman.kube.client import Client
from jobman.kube.resources import NAMESPACES
from jobman.local import control


@pytest.fixture(scope="session")
def map_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster that lives as long as the tests."""
    place = tmp_path_factory.mktemp("cluster of the maps")
    yield control.ensure_started(place)
    control.reset(place)


@pytest.fixture
def map_client(map_kubeconfig: Path) -> Client:
    """A client in a namespace of its own."""
    namespace = f"map-{uuid.uuid4().hex[:8]}"
    connection = access.kubeconfig((str(map_kubeconfig),), None, "a test", namespace, embedded=True)
    client = Client(connection)
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    client.create(NAMESPACES, manifest)
    return client
