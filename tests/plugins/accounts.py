"""`jobman` as a ServiceAccount, on any cluster."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client as k8s

As = Callable[[str], Any]


@pytest.fixture
def as_account(jobman: Any, api: k8s.ApiClient, namespace: str, tmp_path: Path) -> As:
    """`jobman` as a ServiceAccount of the test's namespace."""

    def become(account: str) -> Any:
        path = _embedded(jobman, namespace, account)
        if path is None:
            path = tmp_path / f"{account}.kubeconfig"
            path.write_text(yaml.safe_dump(_with_token(api, namespace, account)))
        return replace(jobman, env=jobman.env | {"KUBECONFIG": str(path)})

    return become


def _embedded(jobman: Any, namespace: str, account: str) -> Path | None:
    if not jobman.cluster.embedded:
        return None
    user = f"system:serviceaccount:{namespace}:{account}"
    return Path(jobman("local", "user", user).ok().text.strip())


def _with_token(api: k8s.ApiClient, namespace: str, account: str) -> dict[str, Any]:
    """A kubeconfig with a token of the account's; skips where the server makes none."""
    try:
        made = k8s.CoreV1Api(api).create_namespaced_service_account_token(
            account, namespace, {"spec": {"expirationSeconds": 600}}
        )
    except k8s.ApiException as error:
        pytest.skip(f"no token of another account can be had here: {error.reason}")
    configuration = api.configuration
    server: dict[str, Any] = {"server": configuration.host}
    if configuration.ssl_ca_cert:
        ca = Path(configuration.ssl_ca_cert).read_bytes()
        server["certificate-authority-data"] = base64.b64encode(ca).decode()
    context = {"cluster": "c", "user": "u", "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": {"token": made.status.token}}],
        "contexts": [{"name": "c", "context": context}],
    }
