"""What a call survives, what it raises, and what it never does twice."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from plugins.scripted_server import Reply, ScriptedServer, tls_of

from jobman.errors import (
    ApiError,
    ConfigError,
    ForbiddenError,
    UnavailableError,
    UnreachableError,
)
from jobman.kube.client import Client
from jobman.kube.resources import JOBS, PODS
from jobman.kube.retry import Patience
from jobman.kube.transport import LostWriteError

POD = "/api/v1/namespaces/team/pods/a"
JOB_LIST = "/apis/batch/v1/namespaces/team/jobs"
A_POD = Reply(200, {"metadata": {"name": "a", "uid": "u"}})
BUSY = Reply(429, b"Too many requests\n", {"Content-Type": "text/plain", "Retry-After": "1"})


@pytest.mark.parametrize(
    "first",
    [Reply(cut=True), BUSY, Reply(500), Reply(503), Reply(504), Reply(chunks=[b'{"a'], cut=True)],
    ids=["no answer", "429", "500", "503", "504", "half an answer"],
)
def test_a_read_is_sent_again(
    client: Client, scripted_server: ScriptedServer, first: Reply
) -> None:
    scripted_server.script("GET", POD, first, first, A_POD)
    assert client.get(PODS, "a").metadata.name == "a"
    assert len(scripted_server.requests) == 3


def test_reads_end_after_four_tries(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", POD, Reply(503, b"sorry", {"Content-Type": "text/plain"}))
    with pytest.raises(UnavailableError, match="sorry") as caught:
        client.get(PODS, "a")
    assert len(scripted_server.requests) == 4
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501])
def test_a_refusal_is_not_sent_again(
    client: Client, scripted_server: ScriptedServer, status: int
) -> None:
    scripted_server.script("GET", POD, Reply(status))
    with pytest.raises(ApiError) as caught:
        client.get(PODS, "a")
    assert caught.value.code == status
    assert len(scripted_server.requests) == 1


def test_retry_after_is_honoured(
    make_client: Callable[..., Client], scripted_server: ScriptedServer
) -> None:
    pauses: list[float] = []
    client = make_client(scripted_server, sleep=pauses.append)
    busy = Reply(429, headers={"Retry-After": "7"})
    scripted_server.script("GET", POD, busy, Reply(500), A_POD)
    client.get(PODS, "a")
    assert 7.0 <= pauses[0] <= 7.1
    assert 0.25 <= pauses[1] <= 0.5


def test_the_budget_bounds_all_tries(
    make_client: Callable[..., Client], scripted_server: ScriptedServer
) -> None:
    client = make_client(scripted_server, patience=Patience(budget_s=5))
    scripted_server.script("GET", POD, Reply(429, headers={"Retry-After": "7"}))
    with pytest.raises(UnavailableError):
        client.get(PODS, "a")
    assert len(scripted_server.requests) == 1


@pytest.mark.parametrize(
    ("first", "tries"),
    [
        (BUSY, 2),
        (Reply(503, headers={"Retry-After": "1"}), 2),
        (Reply(503), 1),
        (Reply(500), 1),
        (Reply(cut=True), 1),
    ],
    ids=["429", "503 with a time", "503", "500", "no answer"],
)
def test_a_write_is_only_sent_again_when_the_server_has_not_begun_it(
    client: Client, scripted_server: ScriptedServer, first: Reply, tries: int
) -> None:
    scripted_server.script("PATCH", POD, first, A_POD)
    if tries == 1:
        with pytest.raises((UnavailableError, LostWriteError)):
            client.patch(PODS, "a", {"metadata": {"labels": {"x": "y"}}})
    else:
        client.patch(PODS, "a", {"metadata": {"labels": {"x": "y"}}})
    assert len(scripted_server.requests) == tries


def test_a_lost_write_says_that_nobody_knows(
    client: Client, scripted_server: ScriptedServer
) -> None:
    scripted_server.script("PATCH", POD, Reply(cut=True))
    with pytest.raises(LostWriteError, match="whether a was changed is not known"):
        client.patch(PODS, "a", {})


def test_no_redirect_is_followed(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script(
        "GET", POD, Reply(302, headers={"Location": f"{scripted_server.url}/login?next=/"})
    )
    with pytest.raises(ApiError, match=r"points to http://127.0.0.1:\d+/login") as caught:
        client.get(PODS, "a")
    assert caught.value.code == 302
    assert len(scripted_server.requests) == 1


def test_what_every_request_carries(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", JOB_LIST, Reply(200, {"items": []}))
    client.list(JOBS)
    headers = scripted_server.requests[0].headers
    assert headers["authorization"] == "Bearer secret"
    assert headers["User-Agent"].startswith("jobman/")
    assert headers["Accept"] == "application/json"
    assert headers["Accept-Encoding"] == "gzip"


def test_a_packed_answer_is_unpacked(client: Client, scripted_server: ScriptedServer) -> None:
    packed = Reply(200, {"metadata": {"name": "a"}}, {"Content-Encoding": "gzip"})
    scripted_server.script("GET", POD, packed)
    assert client.get(PODS, "a").metadata.name == "a"


def test_requests_and_warnings_are_told(
    make_client: Callable[..., Client], scripted_server: ScriptedServer
) -> None:
    log: list[str] = []
    warnings: list[str] = []
    client = make_client(scripted_server, log=log.append, warn=warnings.append)
    warning = {"Warning": '299 - "unknown field \\"spec.x\\""'}
    scripted_server.script("GET", POD, Reply(500), Reply(200, A_POD.body, warning))
    client.get(PODS, "a")
    client.get(PODS, "a")
    assert [line.rsplit(" ", 2)[0] for line in log] == [f"GET {POD} {s}" for s in (500, 200, 200)]
    assert log[0].endswith(" ms")
    assert warnings == ['unknown field "spec.x"']


def test_a_connection_is_used_again(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", POD, A_POD)
    for _ in range(3):
        client.get(PODS, "a")
    pool = client.connection.api.rest_client.pool_manager.connection_from_url(scripted_server.url)
    assert pool.num_connections == 1


@pytest.fixture
def closed_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_nothing_listens(make_client: Callable[..., Client], closed_port: int) -> None:
    url = f"https://127.0.0.1:{closed_port}"
    with pytest.raises(UnreachableError, match=f"nothing listens at {url}") as caught:
        make_client(url).get(PODS, "a")
    assert caught.value.exit_code == 5
    assert caught.value.hint


def test_a_server_that_is_away_is_told_once(
    make_client: Callable[..., Client], scripted_server: ScriptedServer
) -> None:
    told: list[str] = []
    client = make_client(scripted_server, patience=Patience(quiet_s=0), warn=told.append)
    cut = Reply(cut=True)
    scripted_server.script("GET", POD, cut, cut, cut, A_POD, cut, A_POD, cut, cut, A_POD)
    for seen in (1, 1, 2):
        client.get(PODS, "a")
        assert len(told) == seen
    assert all("was lost" in text and "it is tried on" in text for text in told)


def test_a_write_that_nobody_got_is_sent_again(
    make_client: Callable[..., Client], closed_port: int
) -> None:
    log: list[str] = []
    client = make_client(f"http://127.0.0.1:{closed_port}", log=log.append)
    with pytest.raises(UnreachableError) as caught:
        client.patch(PODS, "a", {})
    assert not isinstance(caught.value, LostWriteError)
    assert len(log) == 4


def test_an_unknown_name(make_client: Callable[..., Client]) -> None:
    with pytest.raises(UnreachableError, match=r"no-such-host\.invalid.* cannot be resolved"):
        make_client("https://no-such-host.invalid").get(PODS, "a")


def test_a_server_that_keeps_silent(make_client: Callable[..., Client]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make_client(
            f"http://127.0.0.1:{silent.getsockname()[1]}", patience=Patience(read_s=0.05, tries=2)
        )
        with pytest.raises(UnreachableError, match="does not answer in time"):
            client.get(PODS, "a")


def test_a_certificate_that_is_not_trusted(
    make_client: Callable[..., Client], scripted_https: ScriptedServer
) -> None:
    with pytest.raises(UnreachableError, match=r"certificate of .* is not trusted") as caught:
        make_client(scripted_https).get(PODS, "a")
    assert "certificate-authority" in (caught.value.hint or "")
    assert scripted_https.requests == []


def test_a_certificate_that_is_trusted(
    make_client: Callable[..., Client],
    scripted_https: ScriptedServer,
    certificate: tuple[Path, Path],
) -> None:
    scripted_https.script("GET", POD, A_POD)
    client = make_client(scripted_https, cluster={"certificate-authority": str(certificate[0])})
    assert client.get(PODS, "a").metadata.name == "a"


def test_no_check_where_the_kubeconfig_wants_none(
    make_client: Callable[..., Client], scripted_https: ScriptedServer
) -> None:
    scripted_https.script("GET", POD, A_POD)
    client = make_client(scripted_https, cluster={"insecure-skip-tls-verify": True})
    assert client.get(PODS, "a").metadata.name == "a"


def test_https_to_a_plain_server(
    make_client: Callable[..., Client], scripted_server: ScriptedServer
) -> None:
    url = scripted_server.url.replace("http:", "https:")
    with pytest.raises(UnreachableError, match=r"TLS with .* failed"):
        make_client(url).get(PODS, "a")


def test_a_client_certificate_that_the_server_refuses(
    make_client: Callable[..., Client], certificate: tuple[Path, Path]
) -> None:
    server = ScriptedServer(tls_of(certificate, certificate[0]))
    try:
        client = make_client(server, cluster={"certificate-authority": str(certificate[0])})
        with pytest.raises(UnreachableError, match=r"TLS with|connection to .* was lost"):
            client.get(PODS, "a")
    finally:
        server.close()


def test_a_server_address_that_is_none(make_client: Callable[..., Client]) -> None:
    with pytest.raises(ConfigError, match="server"):
        make_client("http://[::1:2/").get(PODS, "a")


def test_a_proxy_that_is_not_there(make_client: Callable[..., Client], closed_port: int) -> None:
    client = make_client(
        "http://cluster.invalid", cluster={"proxy-url": f"http://127.0.0.1:{closed_port}"}
    )
    with pytest.raises(UnreachableError, match=f"the proxy http://127.0.0.1:{closed_port}"):
        client.get(PODS, "a")


def test_a_loopback_server_is_reached_without_the_proxy_of_the_environment(
    make_client: Callable[..., Client],
    scripted_server: ScriptedServer,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("no_proxy", "")
    scripted_server.script("GET", POD, A_POD)
    assert make_client(scripted_server).get(PODS, "a").metadata.name == "a"


def test_a_proxy_without_its_package(make_client: Callable[..., Client]) -> None:
    with pytest.raises(ConfigError, match="SOCKS"):
        make_client("https://cluster.invalid", cluster={"proxy-url": "socks5://127.0.0.1:1"})


def test_a_refused_right(client: Client, scripted_server: ScriptedServer) -> None:
    message = (
        'jobs.batch is forbidden: User "alice" cannot list resource "jobs"'
        ' in API group "batch" in the namespace "team"'
    )
    status = {"kind": "Status", "reason": "Forbidden", "message": message, "code": 403}
    scripted_server.script("GET", JOB_LIST, Reply(403, status))
    with pytest.raises(ForbiddenError) as caught:
        client.list(JOBS)
    assert caught.value.message == message
    assert "kubectl auth can-i list jobs.batch -n team" in (caught.value.hint or "")
