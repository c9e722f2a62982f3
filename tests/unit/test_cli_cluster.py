"""The connection of a command, from its options, its settings and its environment."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plugins.scripted_server import Reply, ScriptedServer

from jobman.cli import cluster
from jobman.cli.context import AppContext, GlobalOptions
from jobman.errors import ConfigError
from jobman.kube.resources import PODS

MakeApp = Callable[..., AppContext]


@pytest.fixture
def make_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    """An AppContext at home in `tmp_path`, with settings of its own."""
    monkeypatch.chdir(tmp_path)

    def make(
        settings: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        **options: Any,
    ) -> AppContext:
        file = tmp_path / "settings.json"
        file.write_text(json.dumps(settings or {}))
        here = {"HOME": str(tmp_path), "JOBMAN_LOCAL_STATE": str(tmp_path / "state")}
        return AppContext(
            out=io.StringIO(),
            err=io.StringIO(),
            options=GlobalOptions(settings=file, **options),
            environ=here | (environ or {}),
        )

    return make


def test_a_kubeconfig(make_app: MakeApp, write_kubeconfig: Callable[..., Path]) -> None:
    kubeconfig = write_kubeconfig("https://c:6443")
    app = make_app({"namespace": "team"}, {"KUBECONFIG": str(kubeconfig)})
    client = cluster.connect(app)
    assert (client.connection.server, client.namespace) == ("https://c:6443", "team")
    assert app.err.getvalue() == ""  # type: ignore[attr-defined]


def test_the_option_wins_over_the_settings(
    make_app: MakeApp, write_kubeconfig: Callable[..., Path]
) -> None:
    environ = {"KUBECONFIG": str(write_kubeconfig("https://c"))}
    app = make_app({"namespace": "team"}, environ, namespace="mine")
    assert cluster.connect(app).namespace == "mine"


def test_the_settings_name_a_file(make_app: MakeApp, write_kubeconfig: Callable[..., Path]) -> None:
    file = write_kubeconfig("https://from-settings")
    app = make_app({"kubeConfig": {"type": "file", "file": str(file)}}, {"KUBECONFIG": "/gone"})
    assert cluster.connect(app).connection.server == "https://from-settings"


def test_verbose_tells_each_request(
    make_app: MakeApp, write_kubeconfig: Callable[..., Path], scripted_server: ScriptedServer
) -> None:
    environ = {"KUBECONFIG": str(write_kubeconfig(scripted_server.url))}
    app = make_app({}, environ, verbose=True)
    warning = {"Warning": '299 - "old\x1b]0;owned\x07 API"'}
    path = "/api/v1/namespaces/default/pods/a"
    scripted_server.script("GET", path, Reply(200, {"metadata": {"name": "a"}}, warning))
    cluster.connect(app).get(PODS, "a")
    first, request, said = app.err.getvalue().splitlines()  # type: ignore[attr-defined]
    assert first == f"{scripted_server.url} (KUBECONFIG), namespace default"
    assert request.startswith(f"GET {path} 200 ")
    assert said == r"warning: old\x1b]0;owned\x07 API"


def test_a_forbidden_embedded_cluster_is_not_started(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app({"local": {"enabled": False}})
    with pytest.raises(ConfigError, match="no cluster is configured"):
        cluster.connect(app)
    assert not (tmp_path / "state").exists()


def test_completion_starts_nothing(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app({"nonsense": 1})
    assert cluster.connect_quickly(app) is None
    assert not (tmp_path / "state").exists()
    assert app.err.getvalue() == ""  # type: ignore[attr-defined]


def test_completion_does_not_wait_long(
    make_app: MakeApp, write_kubeconfig: Callable[..., Path], scripted_server: ScriptedServer
) -> None:
    environ = {"KUBECONFIG": str(write_kubeconfig(scripted_server.url))}
    client = cluster.connect_quickly(make_app({}, environ))
    assert client is not None
    assert client.transport.patience.tries == 1
    assert client.transport.patience.read_s <= 1
