"""`jobman doctor`: a line each, and 1 where something needed is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import client as k8s


def test_all_is_well(jobman: Any) -> None:
    text = jobman("doctor").ok().text
    about = {line.split()[1] for line in text.splitlines() if not line.startswith(" ")}
    assert about >= {"jobman", "settings", "cluster", "server", "identity", "rights", "namespace"}
    found = json.loads(jobman("doctor", "-o", "json").ok().out)
    assert list(found[0]) == ["about", "state", "text", "advice"]


def test_what_is_missing(jobman: Any, tmp_path: Path) -> None:
    nowhere = jobman("doctor", "-n", "no-such-namespace")
    assert nowhere.code == 1
    assert "no-such-namespace is not there" in nowhere.text
    harbor = {"harborProjects": [{"name": "p", "baseUrl": "http://127.0.0.1:9"}]}
    (tmp_path / "s.json").write_text(json.dumps(harbor))
    registry = jobman("doctor", "-s", "s.json")
    assert registry.code == 1
    assert "MISSING harbor" in registry.text
    (tmp_path / "bad.json").write_text("{")
    for broken in (["-s", "bad.json"], ["--context", "nope"]):
        done = jobman("doctor", *broken)
        assert done.code == 1
        assert "MISSING" in done.text
        assert "Traceback" not in done.talk


def test_somebody_without_rights(
    api: k8s.ApiClient, namespace: str, as_account: Callable[[str], Any]
) -> None:
    account = {"metadata": {"name": "newcomer"}}
    k8s.CoreV1Api(api).create_namespaced_service_account(namespace, account)
    done = as_account("newcomer")("doctor")
    assert done.code == 1
    assert f"MISSING rights       I may not create jobs in namespace {namespace}" in done.text
    assert f"ask whoever runs the cluster for a Role in namespace {namespace}" in done.text
    assert re.search(
        rf"^ok +identity +system:serviceaccount:{namespace}:newcomer$", done.text, re.M
    )
