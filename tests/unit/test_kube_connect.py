"""Which cluster is chosen, and what its kubeconfig gives."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from plugins.scripted_server import Reply, ScriptedServer

from jobman.errors import ConfigError, JobmanError, UsageError
from jobman.kube.connect import (
    Choice,
    Connection,
    Embedded,
    Found,
    InCluster,
    Kubeconfig,
    Request,
    choose,
    connect,
)
from jobman.values.enums import ClusterType

HOME = "/home/a/.kube/config"
NOTHING = Found(home_file=HOME)
AT_HOME = Found(home_file=HOME, home_file_exists=True, present=frozenset([HOME]))
EMPTY_AT_HOME = Found(home_file=HOME, home_file_exists=True)
VARIABLE = Found(
    variable="/k1", home_file=HOME, home_file_exists=True, present=frozenset(["/k1", HOME])
)
TWO = Found(variable="/k1:/gone:/k2", home_file=HOME, present=frozenset(["/k1", "/k2"]))
STALE = Found(variable="/gone", home_file=HOME, home_file_exists=True, present=frozenset([HOME]))
POD = Found(home_file=HOME, in_cluster=True)
POD_AT_HOME = Found(
    home_file=HOME, home_file_exists=True, present=frozenset([HOME]), in_cluster=True
)
FILE = Found(home_file=HOME, present=frozenset(["/f"]), variable="/k1")
IN_FILE = Request(type=ClusterType.FILE, file="/f")

BY_DEFAULT = Embedded("no cluster is configured", by_default=True)


@pytest.mark.parametrize(
    ("asked", "found", "chosen"),
    [
        (Request(), NOTHING, BY_DEFAULT),
        (Request(), AT_HOME, Kubeconfig((HOME,), None, HOME)),
        (Request(), VARIABLE, Kubeconfig(("/k1",), None, "KUBECONFIG")),
        (Request(), TWO, Kubeconfig(("/k1", "/k2"), None, "KUBECONFIG")),
        (Request(), POD, InCluster("the service account of this pod")),
        (Request(), POD_AT_HOME, Kubeconfig((HOME,), None, HOME)),
        (Request(local=True), VARIABLE, Embedded("--local")),
        (Request(local=True), STALE, Embedded("--local")),
        (Request(local=True, type=ClusterType.CLUSTER), POD, Embedded("--local")),
        (Request(context="c"), AT_HOME, Kubeconfig((HOME,), "c", "--context c")),
        (Request(context="c"), VARIABLE, Kubeconfig(("/k1",), "c", "--context c")),
        (
            Request(context="c", type=ClusterType.LOCAL),
            AT_HOME,
            Kubeconfig((HOME,), "c", "--context c"),
        ),
        (
            Request(context="c", type=ClusterType.FILE, file="/f"),
            FILE,
            Kubeconfig(("/f",), "c", "--context c"),
        ),
        (
            Request(settings_context="s"),
            AT_HOME,
            Kubeconfig((HOME,), "s", "the settings' kubeConfig"),
        ),
        (
            Request(context="c", settings_context="s"),
            AT_HOME,
            Kubeconfig((HOME,), "c", "--context c"),
        ),
        (IN_FILE, FILE, Kubeconfig(("/f",), None, "the settings' kubeConfig")),
        (Request(type=ClusterType.LOCAL), VARIABLE, Embedded("the setting kubeConfig.type: local")),
        (Request(type=ClusterType.CLUSTER), POD, InCluster("the setting kubeConfig.type: cluster")),
        (Request(local_enabled=False), AT_HOME, Kubeconfig((HOME,), None, HOME)),
    ],
    ids=lambda value: "" if isinstance(value, (Embedded, InCluster, Kubeconfig)) else None,
)
def test_choice(asked: Request, found: Found, chosen: Choice) -> None:
    assert choose(asked, found) == chosen


@pytest.mark.parametrize(
    ("asked", "found", "said"),
    [
        (Request(), STALE, "the kubeconfig /gone is missing or empty (named by KUBECONFIG)"),
        (Request(), EMPTY_AT_HOME, f"the kubeconfig {HOME} is missing or empty"),
        (Request(context="c"), NOTHING, f"look for the context 'c' in: {HOME} is not there"),
        (Request(context="c"), POD, "look for the context 'c'"),
        (Request(settings_context="s"), NOTHING, "look for the context 's'"),
        (IN_FILE, VARIABLE, "/f is missing or empty (named by the setting kubeConfig.file)"),
        (Request(type=ClusterType.FILE), VARIABLE, "kubeConfig.file names none"),
        (Request(type=ClusterType.CLUSTER), AT_HOME, "does not run in a pod"),
        (Request(local_enabled=False), NOTHING, "local.enabled is false"),
        (Request(local=True, local_enabled=False), AT_HOME, "local.enabled is false"),
        (Request(local=True, context="c"), AT_HOME, "--local and --context exclude each other"),
    ],
    ids=[
        "KUBECONFIG missing", "home empty", "context, no file", "context in a pod",
        "context of the settings", "file missing", "no file", "no pod", "local forbidden",
        "--local forbidden", "--local --context",
    ],
)  # fmt: skip
def test_no_choice(asked: Request, found: Found, said: str) -> None:
    with pytest.raises((ConfigError, UsageError)) as caught:
        choose(asked, found)
    assert said in caught.value.message
    assert caught.value.exit_code == 2


@dataclass
class Settings:
    """The settings' kubeConfig."""

    type: ClusterType = ClusterType.DEFAULT
    file: str | None = None
    context: str | None = None


def connected(home: Path, *, settings: Settings | None = None, **options: Any) -> Connection:
    environ = {"HOME": str(home)} | options.pop("environ", {})
    given: dict[str, Any] = {
        "context": None,
        "namespace": None,
        "local": False,
        "local_enabled": True,
        "start_local": lambda: pytest.fail("the embedded cluster was started"),
    }
    return connect(kube_config=settings or Settings(), environ=environ, **(given | options))


def test_the_kubeconfig_at_home(tmp_path: Path, write_kubeconfig: Callable[..., Path]) -> None:
    (tmp_path / ".kube").mkdir()
    write_kubeconfig("https://c:6443", context={"namespace": "ns"}, name=".kube/config")
    found = connected(tmp_path)
    assert (found.server, found.namespace, found.context) == ("https://c:6443", "ns", "main")
    assert (found.kubeconfig_user, found.embedded, found.by_default) == ("alice", False, False)
    assert "secret" not in repr(found)


def test_the_namespace_of_the_flag_wins(
    tmp_path: Path, write_kubeconfig: Callable[..., Path]
) -> None:
    file = write_kubeconfig("https://c", context={"namespace": "ns"})
    environ = {"KUBECONFIG": str(file)}
    assert connected(tmp_path, environ=environ, namespace="mine").namespace == "mine"


@pytest.mark.parametrize("name", ["Team", "a_b", "-a", "a-", "a" * 64, "a/b", "..", "é"])
def test_a_bad_namespace(tmp_path: Path, write_kubeconfig: Callable[..., Path], name: str) -> None:
    environ = {"KUBECONFIG": str(write_kubeconfig("https://c"))}
    with pytest.raises(UsageError, match="is no name of a namespace"):
        connected(tmp_path, environ=environ, namespace=name)


def test_nothing_configured_starts_the_embedded_cluster(
    tmp_path: Path, write_kubeconfig: Callable[..., Path]
) -> None:
    local = write_kubeconfig("https://127.0.0.1:1", name="local")
    found = connected(tmp_path, start_local=lambda: local)
    assert (found.embedded, found.by_default) == (True, True)
    assert found.origin == "no cluster is configured"


def test_local_is_not_a_default(tmp_path: Path, write_kubeconfig: Callable[..., Path]) -> None:
    local = write_kubeconfig("https://127.0.0.1:1", name="local")
    found = connected(tmp_path, start_local=lambda: local, local=True)
    assert (found.embedded, found.by_default) == (True, False)


def test_several_files_are_merged_as_kubectl_does(
    tmp_path: Path, write_kubeconfig: Callable[..., Path]
) -> None:
    first = write_kubeconfig("https://first", name="k1")
    second = tmp_path / "k2"
    content = yaml.safe_load(write_kubeconfig("https://second", name="k2").read_text())
    content["clusters"].append({"name": "there", "cluster": {"server": "https://there"}})
    content["contexts"].append({"name": "other", "context": {"cluster": "there", "user": "alice"}})
    content["current-context"] = "other"
    second.write_text(yaml.safe_dump(content))
    environ = {"KUBECONFIG": f"{first}:{tmp_path / 'gone'}:{second}"}
    assert connected(tmp_path, environ=environ).server == "https://first"
    assert connected(tmp_path, environ=environ, context="other").server == "https://there"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "missing or empty"),
        ("# nothing\n", "empty"),
        ("just text", "is no kubeconfig: it is text, not a mapping"),
        ("- a\n- b\n", "is no kubeconfig: it is a list, not a mapping"),
        ("[]", "is no kubeconfig: it is a list, not a mapping"),
        ("3", "is no kubeconfig: it is a single value, not a mapping"),
        ('{"clusters": 3}', "is no kubeconfig: clusters: must be a list"),
        ("users: {a: 1}\n", "is no kubeconfig: users: must be a list"),
        ("users: [{name: a}, {}]\n", "users: each entry must be a mapping with a name"),
        ("a: [", "is not YAML"),
        ("apiVersion: v1\nkind: Config\n", "has no current-context"),
        ("current-context: x\n", "has no context 'x'"),
        ("current-context: x\ncontexts: 3\n", "contexts: must be a list"),
        ("current-context: x\ncontexts: [{name: x}]\n", "names no cluster"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n", "'c' is not there"),
        ("current-context: x\ncontexts: [3]\n", "contexts: each entry must be a mapping"),
    ],
    ids=["empty", "comment", "text", "list", "empty list", "number", "clusters 3",
         "users a mapping", "no name", "YAML", "no current", "no context", "contexts 3",
         "no cluster named", "no cluster", "context 3"],
)  # fmt: skip
def test_a_bad_kubeconfig(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "config"
    file.write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        connected(tmp_path, environ={"KUBECONFIG": str(file)})
    assert str(file) in caught.value.message


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"cluster": {"server": None}}, "has no server address"),
        ({"cluster": {"server": "c:6443"}}, "has no server address"),
        ({"cluster": {"certificate-authority": "/gone"}}, "/gone"),
        ({"cluster": {"certificate-authority-data": "abc"}}, "cannot be used"),
        ({"context": {"user": "bob"}}, "user 'bob' is not there"),
        ({"user": {"tokenFile": "/gone"}}, "/gone"),
        ({"user": {"client-certificate": "/gone"}}, "/gone"),
        ({"user": {"auth-provider": {"name": "azure"}}}, "auth-provider .* gave no credentials"),
        ({"user": {"exec": {"command": "x"}}}, "apiVersion"),
    ],
    ids=["no server", "no scheme", "no CA", "bad CA", "no user", "no token file",
         "no certificate", "auth-provider", "exec"],
)  # fmt: skip
def test_a_kubeconfig_that_leads_nowhere(
    tmp_path: Path, write_kubeconfig: Callable[..., Path], parts: dict[str, Any], said: str
) -> None:
    file = write_kubeconfig("https://c", **parts)
    with pytest.raises(JobmanError, match=said) as caught:
        connected(tmp_path, environ={"KUBECONFIG": str(file)})
    assert caught.value.exit_code in (2, 4)


def test_a_missing_context_names_the_others(
    tmp_path: Path, write_kubeconfig: Callable[..., Path]
) -> None:
    environ = {"KUBECONFIG": str(write_kubeconfig("https://c"))}
    with pytest.raises(ConfigError, match="has no context 'prod'") as caught:
        connected(tmp_path, environ=environ, context="prod")
    assert caught.value.hint == "name one with --context: main"


def test_a_kubeconfig_that_may_not_be_read(
    tmp_path: Path, write_kubeconfig: Callable[..., Path]
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder"):
        connected(tmp_path, environ={"KUBECONFIG": str(tmp_path / "folder")})


def test_a_kubeconfig_through_a_pipe(tmp_path: Path, write_kubeconfig: Callable[..., Path]) -> None:
    read, write = os.pipe()
    os.write(write, write_kubeconfig("https://c").read_bytes())
    os.close(write)
    try:
        found = connected(tmp_path, environ={"KUBECONFIG": f"/dev/fd/{read}"})
    finally:
        os.close(read)
    assert found.server == "https://c"


def service_account(folder: Path) -> Path:
    folder.mkdir()
    for name in ("token", "ca.crt", "namespace"):
        (folder / name).write_text({"namespace": "team-a\n"}.get(name, "x"))
    return folder


def test_inside_a_pod(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    account = service_account(tmp_path / "account")
    found = connected(tmp_path, environ=environ, service_account=account)
    assert (found.server, found.namespace) == ("https://10.0.0.1:443", "team-a")
    assert not found.embedded


def test_the_files_of_a_pod_without_its_variables(
    tmp_path: Path, write_kubeconfig: Callable[..., Path]
) -> None:
    local = write_kubeconfig("https://127.0.0.1:1", name="local")
    account = service_account(tmp_path / "account")
    assert connected(tmp_path, service_account=account, start_local=lambda: local).embedded


def id_token(expires: int) -> str:
    head, claims = (
        urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "none"}, {"exp": expires, "sub": "alice"})
    )
    return f"{head}.{claims}.x"


def test_a_renewed_login_is_written_in_one_go(
    tmp_path: Path,
    write_kubeconfig: Callable[..., Path],
    scripted_https: ScriptedServer,
    certificate: tuple[Path, Path],
) -> None:
    """Also through a link; who reads the file at that moment still has the old one, whole."""
    issuer, fresh = scripted_https.url, id_token(2**34)
    tokens = {"access_token": "a", "token_type": "bearer", "id_token": fresh, "refresh_token": "r2"}
    discovery = {"token_endpoint": f"{issuer}/token"}
    scripted_https.script("GET", "/.well-known/openid-configuration", Reply(200, discovery))
    scripted_https.script("POST", "/token", Reply(200, tokens))
    settings = {"client-id": "c", "client-secret": "s", "idp-issuer-url": issuer}
    settings |= {"idp-certificate-authority": str(certificate[0])}
    settings |= {"id-token": id_token(1), "refresh-token": "r1"}
    user = {"auth-provider": {"name": "oidc", "config": settings}}
    file, link = write_kubeconfig("https://c", user=user), tmp_path / "link"
    file.chmod(0o640)
    link.symlink_to(file)
    with file.open() as opened_before:
        api = connected(tmp_path, environ={"KUBECONFIG": str(link)}).api
        assert yaml.safe_load(opened_before)["users"][0]["user"] == user
    assert f"Bearer {fresh}" in api.configuration.api_key.values()
    kept = yaml.safe_load(file.read_text())["users"][0]["user"]["auth-provider"]["config"]
    assert (kept["id-token"], kept["refresh-token"]) == (fresh, "r2")
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_kubeconfig_that_may_not_be_looked_at(
    write_kubeconfig: Callable[..., Path], tmp_path: Path
) -> None:
    file = write_kubeconfig("https://c")
    closed = tmp_path / "closed"
    closed.mkdir()
    file.rename(closed / "config")
    closed.chmod(0)
    try:
        with pytest.raises(ConfigError, match="closed/config: Permission denied"):
            connected(tmp_path, environ={"KUBECONFIG": str(closed / "config")})
    finally:
        closed.chmod(0o700)
