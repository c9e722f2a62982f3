"""Certificates and credentials on the way to Harbor."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from plugins.scripted_server import Reply, ScriptedServer

from jobman.config.settings import HarborProject
from jobman.errors import ConfigError, UnreachableError
from jobman.images.address import base_url, security_warnings
from jobman.images.credentials import Credential, of_docker, of_project
from jobman.images.projects import Project

LIST = "/api/v2.0/projects/batch/repositories"
AT_ONCE = "/api/v2.0/projects/batch/artifacts"


def project(url: str, **more: Any) -> HarborProject:
    return HarborProject(name="batch", base_url=url, **more)


def ask(settings: HarborProject, home: Path) -> list[Any]:
    return Project(settings, {"HOME": str(home)}, home / "cache").images()


@pytest.fixture
def harbor_https(scripted_https: ScriptedServer) -> ScriptedServer:
    scripted_https.script("GET", LIST, Reply(200, []))
    scripted_https.script("GET", AT_ONCE, Reply(200, []))
    return scripted_https


def test_an_unknown_ca_is_refused(harbor_https: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="TLS verification failed") as raised:
        ask(project(harbor_https.url), tmp_path)
    assert raised.value.hint == "name the registry's CA as caFile in harborProjects"
    assert harbor_https.asked("GET", LIST) == []


def test_a_private_ca(
    harbor_https: ScriptedServer, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = project(harbor_https.url, ca_file=str(certificate[0]))
    assert ask(settings, tmp_path) == []
    assert security_warnings(settings) == []
    with pytest.raises(ConfigError, match="no caFile"):
        ask(project(harbor_https.url, ca_file=str(tmp_path / "none.pem")), tmp_path)


def test_insecure_is_said(harbor_https: ScriptedServer, tmp_path: Path) -> None:
    settings = project(harbor_https.url, insecure=True)
    assert ask(settings, tmp_path) == []
    assert security_warnings(settings) == [
        "Harbor project 'batch': certificates are not verified (insecure)"
    ]


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://127.0.0.1:8080", False),
        ("http://localhost", False),
        ("http://[::1]:80", False),
        ("https://harbor.example", False),
        ("http://harbor.example", True),
        ("http://localhost.example", True),
    ],
)
def test_plain_http(url: str, warned: bool) -> None:
    assert bool(security_warnings(project(url))) == warned


@pytest.mark.parametrize(
    "url",
    [
        "h.example",
        "",
        "ftp://h.example",
        "http://",
        "http://[::1",
        "http://h:99999",
        "http://h:x",
        "http://a b",
        "http://h\x00",
        "http://h/?a=b",
        "http://h/#a",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="'batch': baseUrl must be"):
        base_url(project(url))


def test_a_name_that_no_resolver_takes(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="label empty or too long"):
        ask(project(f"http://{'a' * 70}.example"), tmp_path)


def test_a_server_that_speaks_no_tls(scripted_server: ScriptedServer, tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="does not speak TLS"):
        ask(project(scripted_server.url.replace("http:", "https:")), tmp_path)


def test_netrc_is_not_read(harbor_https: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    ask(project(harbor_https.url, insecure=True), tmp_path)
    (asked,) = harbor_https.asked("GET", LIST)
    assert "authorization" not in {name.lower() for name in asked.headers}


def encoded(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    ("config", "user"),
    [
        ({"auths": {"h.example": {"auth": encoded("me:pw")}}}, "me"),
        ({"auths": {"https://h.example/v2/": {"auth": encoded("me:p:w")}}}, "me"),
        ({"auths": {"h.example:443": {"auth": encoded("me:pw")}}}, None),
        ({"auths": {"h.example": {}}}, None),
        ({"auths": []}, None),
        ({"credHelpers": {"h.example": "mine"}}, "helped"),
        ({"credsStore": "mine"}, "helped"),
        ({"credsStore": "missing", "auths": {"h.example": {"auth": encoded("me:pw")}}}, "me"),
        ({"credsStore": "../mine"}, None),
    ],
)
def test_docker_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Any, user: str | None
) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(config))
    helper = tmp_path / "docker-credential-mine"
    helper.write_text('#!/bin/sh\necho \'{"Username": "helped", "Secret": "s"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = of_docker("h.example", {"HOME": str(tmp_path)})
    assert (found.user if found else None) == user


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"x"'])
def test_a_docker_config_that_is_broken_means_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(text)
    assert of_docker("h.example", {"HOME": str(tmp_path)}) is None


def test_settings_come_before_docker(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("pw\n")
    environ = {"HOME": str(tmp_path)}
    of_file = project("https://h.example", username="me", password_file=str(secret))
    assert of_project(of_file, "h.example", environ) == Credential("me", "pw")
    of_token = project("https://h.example", token=encoded("robot$x:pw"))
    assert of_project(of_token, "h.example", environ) == Credential("robot$x", "pw")
    assert of_project(project("https://h.example"), "h.example", environ) is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"token": "not base64!"}, "is not the base64 of user:secret"),
        ({"token": encoded("no colon")}, "is not the base64 of user:secret"),
        ({"username": "me"}, "has a username and no passwordFile"),
        ({"password_file": "/nowhere"}, "has a passwordFile and no username"),
        ({"username": "me", "password_file": "/nowhere"}, "cannot read the passwordFile"),
    ],
)
def test_credentials_that_are_wrong(tmp_path: Path, more: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        of_project(project("https://h.example", **more), "h.example", {"HOME": str(tmp_path)})
    assert more.get("token", "x!") not in raised.value.message


def test_no_repr_holds_a_secret() -> None:
    settings = project("https://h.example", token=encoded("me:pw"))
    assert encoded("me:pw") not in repr(settings)
    assert "pw" not in repr(Credential("me", "pw"))
