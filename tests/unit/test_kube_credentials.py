"""How a client says who it is: plugins that hand out credentials, and credentials that change."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from plugins.scripted_server import Asked, Reply, ScriptedServer, make_certificate, tls_of

from jobman.errors import JobmanError, UnauthorizedError
from jobman.kube import access
from jobman.kube.client import Client
from jobman.kube.resources import PODS
from jobman.kube.transport import Call

POD = "/api/v1/namespaces/team/pods/a"
A_POD = Reply(200, {"metadata": {"name": "a", "uid": "u"}})
PLUGIN = "client.authentication.k8s.io/v1"


def plugin(tmp_path: Path, script: str) -> dict[str, Any]:
    """A kubeconfig's user whose credentials a shell script hands out."""
    file = tmp_path / "login"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return {"exec": {"apiVersion": PLUGIN, "command": str(file), "interactiveMode": "Never"}}


def credential(until: str) -> str:
    return (
        f'{{"apiVersion": "{PLUGIN}", "kind": "ExecCredential",'
        f' "status": {{"token": "handed-out", "expirationTimestamp": "{until}"}}}}'
    )


def test_a_plugin_hands_out_a_token(
    make_client: Callable[..., Client], scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    user = plugin(tmp_path, f"echo '{credential('2999-01-01T00:00:00Z')}'")
    scripted_server.script("GET", POD, A_POD)
    make_client(scripted_server, user=user).get(PODS, "a")
    assert scripted_server.requests[0].headers["authorization"] == "Bearer handed-out"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'please log in' >&2; exit 3", "please log in"),
        ("echo no json", "decode"),
        (f'echo \'{{"apiVersion": "{PLUGIN}", "kind": "K", "status": {{}}}}\'', "missing token"),
    ],
    ids=["exit 3", "no JSON", "no token"],
)
def test_a_plugin_that_fails_is_an_error(
    make_client: Callable[..., Client],
    scripted_server: ScriptedServer,
    tmp_path: Path,
    script: str,
    said: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(JobmanError, match=said) as caught:
        make_client(scripted_server, user=plugin(tmp_path, script))
    assert caught.value.exit_code == 4
    assert "login" in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_a_plugin_that_is_missing_is_an_error(
    make_client: Callable[..., Client], scripted_server: ScriptedServer
) -> None:
    user = {"exec": {"apiVersion": PLUGIN, "command": "/no/such/plugin"}}
    with pytest.raises(JobmanError, match="/no/such/plugin failed"):
        make_client(scripted_server, user=user)


def test_a_plugin_that_fails_later_is_an_error(
    make_client: Callable[..., Client], scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    soon = credential("2020-01-01T00:00:00Z")
    mark = tmp_path / "done"
    script = f"if [ -e '{mark}' ]; then echo gone >&2; exit 1; fi; : > '{mark}'; echo '{soon}'"
    client = make_client(scripted_server, user=plugin(tmp_path, script))
    with pytest.raises(JobmanError, match="gone") as caught:
        client.get(PODS, "a")
    assert caught.value.exit_code == 4
    assert scripted_server.requests == []


def test_a_token_that_no_longer_counts_is_fetched_anew(
    make_client: Callable[..., Client], scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    user = plugin(tmp_path, f"echo '{credential('2999-01-01T00:00:00Z')}'")
    client = make_client(scripted_server, user=user)
    plugin(tmp_path, f"echo '{credential('2999-01-01T00:00:00Z')}' | sed s/handed-out/second/")
    scripted_server.script("PATCH", POD, Reply(401), A_POD)
    client.patch(PODS, "a", {})
    tokens = [asked.headers["authorization"] for asked in scripted_server.requests]
    assert tokens == ["Bearer handed-out", "Bearer second"]


def test_threads_that_are_refused_together_run_the_plugin_once(
    make_client: Callable[..., Client], scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    runs, all_asked = tmp_path / "runs", threading.Barrier(4)
    token = credential("2999-01-01T00:00:00Z").replace("handed-out", "token-$n")
    count = f"echo run >> '{runs}'; n=$(wc -l < '{runs}' | tr -d ' ')"
    client = make_client(
        scripted_server, user=plugin(tmp_path, f"{count}\ncat <<END\n{token}\nEND")
    )

    def reply(asked: Asked) -> Reply:
        if asked.headers["authorization"] != "Bearer token-1":
            return A_POD
        all_asked.wait(30)
        return Reply(401)

    scripted_server.script("GET", POD, reply)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: client.get(PODS, "a").metadata.name, range(4)))
    assert found == ["a"] * 4
    assert runs.read_text().split() == ["run"] * 2


def test_a_certificate_that_no_longer_counts_is_fetched_anew(
    make_client: Callable[..., Client], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = (own_certificate(tmp_path, name) for name in ("first", "second"))
    server = ScriptedServer(tls_of(certificate, first[0], second[0]))
    user = plugin(tmp_path, f"cat '{first[0].parent}/credential'")
    try:
        client = make_client(
            server, user=user, cluster={"certificate-authority": str(certificate[0])}
        )
        plugin(tmp_path, f"cat '{second[0].parent}/credential'")
        going_on = threading.Event()
        server.script("GET", f"{POD}/log", Reply(chunks=in_two(going_on)))
        server.script("GET", POD, Reply(401), A_POD)
        log = client.transport.send(Call("GET", f"{POD}/log", stream=True)).response
        assert client.get(PODS, "a").metadata.name == "a"
        going_on.set()
        assert log.read() == b"begun ended"
        asked = [(asked.path, asked.certificate) for asked in server.requests]
        assert asked == [(f"{POD}/log", "first"), (POD, "first"), (POD, "second")]
    finally:
        server.close()


def own_certificate(tmp_path: Path, name: str) -> tuple[Path, Path]:
    """A client's certificate and key; `credential` beside them is what a plugin prints of them."""
    folder = tmp_path / name
    folder.mkdir()
    cert, key = make_certificate(folder, name)
    told = {"clientCertificateData": cert.read_text(), "clientKeyData": key.read_text()}
    content = {"apiVersion": PLUGIN, "kind": "ExecCredential", "status": told}
    (folder / "credential").write_text(json.dumps(content))
    return cert, key


def in_two(going_on: threading.Event) -> Iterator[bytes]:
    yield b"begun "
    going_on.wait(30)
    yield b"ended"


def test_a_token_that_still_does_not_count_is_an_error(
    make_client: Callable[..., Client], scripted_server: ScriptedServer, tmp_path: Path
) -> None:
    user = plugin(tmp_path, f"echo '{credential('2999-01-01T00:00:00Z')}'")
    scripted_server.script("GET", POD, Reply(401))
    with pytest.raises(UnauthorizedError) as caught:
        make_client(scripted_server, user=user).get(PODS, "a")
    assert caught.value.exit_code == 4
    assert len(scripted_server.requests) == 2


def test_the_embedded_cluster_is_found_where_it_was_made_anew(
    write_kubeconfig: Callable[..., Path],
    scripted_https: ScriptedServer,
    certificate: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    def configured(server: ScriptedServer, authority: Path, token: str) -> Path:
        data = base64.b64encode(authority.read_bytes()).decode()
        cluster = {"certificate-authority-data": data}
        return write_kubeconfig(server.url, cluster=cluster, user={"token": token})

    other = make_certificate(tmp_path, "other")
    before = ScriptedServer(tls_of(other))
    file = configured(before, other[0], "old")
    connection = access.kubeconfig((str(file),), None, "a test", "team", embedded=True)
    before.close()
    configured(scripted_https, certificate[0], "new")
    scripted_https.script("GET", POD, A_POD)
    assert Client(connection, sleep=lambda _: None).get(PODS, "a").metadata.name == "a"
    assert scripted_https.requests[0].headers["authorization"] == "Bearer new"
