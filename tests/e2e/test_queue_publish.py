"""A published queue: written by an account with few rights, read by one with fewer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plugins.accounts import As

NAMESPACE_RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: member}
rules:
- {apiGroups: [""], resources: [pods, pods/log, events], verbs: [get, list, watch]}
- {apiGroups: [batch], resources: [jobs], verbs: [get, list, watch, create, delete, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: member}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: member}
subjects: [{kind: ServiceAccount, name: member, namespace: %s}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: member}
"""


@pytest.fixture
def publisher(jobman: Any, kubectl: Any, as_account: As, namespace: str) -> Iterator[Any]:
    """`jobman` as the account of `jobman admin manifests`."""
    manifests = ("-n", namespace, "admin", "manifests", "--as", "none", "--names")
    text = jobman(*manifests).ok().out
    kubectl("apply", "-f", "-", stdin=text).ok()
    yield as_account("jobman-queue-publisher")
    kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text)


def test_a_user_with_rights_in_one_namespace_sees_the_whole_queue(
    jobman: Any, kubectl: Any, publisher: Any, as_account: As, namespace: str, tmp_path: Path
) -> None:
    flavor = json.dumps({"name": namespace, "resources": {"requests": {"cpu": "10m"}}})
    jobman.submit("-r", flavor, "--hold", "--", "true")
    kubectl("apply", "-f", "-", stdin=(NAMESPACE_RIGHTS % namespace).encode()).ok()
    member = as_account("member")
    member.submit("-r", flavor, "--hold", "--", "true")

    done = publisher("queue", "publish", "--names").ok()
    assert "published" in done.talk

    settings = tmp_path / "s.json"
    place = {"namespace": namespace, "configmap": "jobman-queue"}
    settings.write_text(json.dumps({"jobsQueue": place}))
    view = json.loads(member("-s", str(settings), "queue", "-o", "json").ok().out)
    (row,) = [each for each in view["rows"] if each["name"] == namespace]
    assert (row["suspended"], row["yours"]["suspended"]) == (2, 1)
    assert row["fits"] is not None
    origins = {source["fact"]: source["origin"] for source in view["sources"]}
    assert (origins["pods"], origins["nodes"]) == ("configmap", "configmap")

    place["configmap"] = "jobman-queue-names"
    settings.write_text(json.dumps({"jobsQueue": place}))
    view = json.loads(
        member("-s", str(settings), "queue", "--by", "namespace", "-o", "json").ok().out
    )
    (row,) = [each for each in view["rows"] if each["name"] == namespace]
    assert (row["waiting"], row["yours"]["waiting"]) == (2, 2)

    alone = json.loads(member("queue", "-o", "json").ok().out)
    assert {source["origin"] for source in alone["sources"]} >= {"namespace", "nowhere"}
    assert [each["name"] for each in alone["rows"]] == [namespace]
    assert member("nodes").code == 4
    assert member("queue", "publish").code == 4


def test_why_with_rights_in_one_namespace(
    kubectl: Any, publisher: Any, as_account: As, namespace: str, tmp_path: Path
) -> None:
    """The scheduler's words and the events tell most of it; the published nodes tell the rest."""
    kubectl("apply", "-f", "-", stdin=(NAMESPACE_RIGHTS % namespace).encode()).ok()
    member = as_account("member")
    name = member.submit("--force", "--cpu", "100000", "--", "true")
    member("wait", name, "--for", "started", "--timeout", "3s")

    def why(*flags: str) -> dict[str, Any]:
        return dict(json.loads(member(*flags, "why", name, "-o", "json").ok().out))

    found = why()
    assert found["kind"] == "insufficient", found
    assert "100000 cpu on" in found["sentence"]
    assert any(line.startswith("the scheduler: 0/") for line in found["evidence"])
    assert found["unseen"] == [
        "pods of the whole cluster may not be read",
        "nodes of the whole cluster may not be read",
    ]
    assert "\n  ? nodes of the whole cluster may not be read" in member("why", name).ok().text

    publisher("queue", "publish").ok()
    settings = tmp_path / "s.json"
    place = {"namespace": namespace, "configmap": "jobman-queue"}
    settings.write_text(json.dumps({"jobsQueue": place}))
    found = why("-s", str(settings))
    assert found["kind"] == "never-fits", found
    assert "it asks for 100000 cpu" in found["sentence"]
    where = f"as published in {namespace}/jobman-queue"
    assert found["unseen"] == [f"pods: {where}", f"nodes: {where}"]


def test_two_publishers_take_turns(publisher: Any) -> None:
    every = ("queue", "publish", "--every", "1s")
    first = publisher.start(*every)
    first.wait_for(b"published")
    second = publisher.start(*every)
    second.wait_for(b"standing by")
    assert b"published" not in second.err
    first.process.terminate()
    assert first.finish() == 0
    second.wait_for(b"published")
    second.interrupt()
    assert second.finish() == 0


def test_a_restart_of_the_api_server_is_outlived(cluster: Any, jobman: Any, tmp_path: Path) -> None:
    if not cluster.embedded:
        pytest.skip("an API server that may be restarted is needed")
    own = {key: value for key, value in jobman.env.items() if not key.startswith("JOBMAN_")}
    own |= {"JOBMAN_LOCAL_STATE": str(tmp_path / "cluster")}
    own.pop("KUBECONFIG")

    def local(*args: str) -> None:
        command = [sys.executable, "-m", "jobman", "local", *args]
        subprocess.run(command, env=own, check=True, capture_output=True, timeout=60)

    local("start")
    try:
        publishing = replace(jobman, env=own).start("--local", "queue", "publish", "--every", "1s")
        publishing.wait_for(b"published")
        local("stop")
        publishing.wait_for(b"not published, trying again")
        local("start")
        seen = len(publishing.err)
        with publishing.changed:
            assert publishing.changed.wait_for(
                lambda: b"published 0 pods" in publishing.err[seen:], 60 * cluster.scale
            )
        publishing.interrupt()
        assert publishing.finish() == 0
    finally:
        local("reset", "-y")
