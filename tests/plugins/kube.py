"""jobman's Kubernetes client against a scripted server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from plugins.scripted_server import ScriptedServer

from jobman.kube import access
from jobman.kube.client import Client

KubeconfigWriter = Callable[..., Path]


@pytest.fixture
def write_kubeconfig(tmp_path: Path) -> KubeconfigWriter:
    """Write a kubeconfig with one context, `cluster`, `user` and `context` over what is usual."""

    def write(
        server: str,
        *,
        cluster: dict[str, Any] | None = None,
        user: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        name: str = "config",
    ) -> Path:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "clusters": [{"name": "here", "cluster": {"server": server} | (cluster or {})}],
            "users": [{"name": "alice", "user": {"token": "secret"} if user is None else user}],
            "contexts": [
                {"name": "main", "context": {"cluster": "here", "user": "alice"} | (context or {})}
            ],
        }
        file = tmp_path / name
        file.write_text(yaml.safe_dump(content))
        return file

    return write


@pytest.fixture
def make_client(write_kubeconfig: KubeconfigWriter) -> Callable[..., Client]:
    """A client of a server; pauses between tries take no time and are kept in `pauses`."""

    def make(server: ScriptedServer | str, **options: Any) -> Client:
        url = server if isinstance(server, str) else server.url
        cluster = options.pop("cluster", None)
        file = write_kubeconfig(url, cluster=cluster, user=options.pop("user", None))
        connection = access.kubeconfig((str(file),), None, "a test", "team")
        options.setdefault("sleep", lambda _: None)
        return Client(connection, **options)

    return make


@pytest.fixture
def client(make_client: Callable[..., Client], scripted_server: ScriptedServer) -> Client:
    """A client of the scripted server."""
    return make_client(scripted_server)
