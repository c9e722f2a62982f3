"""Why a job waits or failed, on real situations."""

from __future__ import annotations

import json
from typing import Any

from kubernetes import client as k8s


def why(jobman: Any, name: str) -> dict[str, Any]:
    return dict(json.loads(jobman("why", name, "-o", "json").ok().out))


def told(jobman: Any, name: str, kind: str) -> dict[str, Any]:
    """The diagnosis, once the cluster has got so far: until then its watch is awaited."""
    for _ in range(10):
        jobman("wait", name, "--for", "started", "--timeout", "2s")
        found = why(jobman, name)
        if found["kind"] == kind:
            break
    assert found["kind"] == kind, found
    return found


def test_too_big_for_any_node(jobman: Any) -> None:
    name = jobman.submit("--force", "--cpu", "100000", "--", "true")
    found = told(jobman, name, "never-fits")
    assert "it asks for 100000 cpu" in found["sentence"]
    assert any("even if it were empty" in line for line in found["evidence"])
    assert f"Why:         {found['sentence']}" in jobman("details", name).ok().text


def test_why_it_waits_is_said_while_it_is_waited_for(jobman: Any) -> None:
    sentence = b"Pending: it can never fit: it asks for 100000 cpu"
    words = ["-j", "big", "--force", "--cpu", "100000", "--wait", "--timeout", "20s", "--", "true"]
    waiting = jobman.start("submit", *words)
    waiting.wait_for(b"job big: " + sentence)
    following = jobman.start("logs", "-f", "big")
    following.wait_for(b"job big: " + sentence)
    for process in (waiting, following):
        process.interrupt()
        assert process.finish() == 130
    assert sentence not in following.out


def test_labels_that_no_node_has(jobman: Any) -> None:
    name = jobman.submit("--node-selector", "no.such/label=x", "--", "true")
    found = told(jobman, name, "node-rules")
    assert "the label no.such/label=x" in found["sentence"]


def test_a_quota(jobman: Any, api: Any, namespace: str) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"requests.cpu": "1m"}}}
    k8s.CoreV1Api(api).create_namespaced_resource_quota(namespace, quota)
    name = jobman.submit("--", "true")
    found = told(jobman, name, "quota")
    assert "quota few" in found["sentence"]
    assert "requests.cpu: 0 of 1m used, 10m asked for" in found["sentence"]


def test_a_secret_that_is_missing(jobman: Any) -> None:
    name = jobman.submit("--secret-env", "nope", "--", "true")
    found = told(jobman, name, "missing")
    assert found["sentence"] == "Secret nope is not there"
    assert found["suggestions"] == ["make Secret nope: it starts then by itself"]
    rows = json.loads(jobman("queue", "--by", "namespace", "-o", "json").ok().out)["rows"]
    (mine,) = [row for row in rows if row["name"] == jobman.namespace]
    assert (mine["stuck"], mine["running"], mine["starting"]) == (1, 0, 0)


def test_held_running_and_over(jobman: Any) -> None:
    held = jobman.submit("--hold", "--", "true")
    found = why(jobman, held)
    assert found["kind"] == "held"
    assert found["suggestions"] == [f"jobman release {held} lets it start"]
    good = jobman.submit("--wait", "--", "true")
    assert why(jobman, good)["kind"] == "succeeded"
    text = jobman("why", good).ok().text
    assert text.startswith(f"{good} is Succeeded: it succeeded at 20")


def test_a_failed_one(jobman: Any) -> None:
    name = jobman("submit", "--wait", "--", "sh", "-c", "echo last words; exit 3").text.strip()
    found = why(jobman, name)
    assert found["state"] == "Failed"
    assert "3" in found["sentence"]
    assert any("last words" in line for line in found["evidence"])


def test_what_no_node_can_take_is_refused_where_nodes_are_fixed(jobman: Any, tmp_path: Any) -> None:
    settings = tmp_path / "fixed.json"
    settings.write_text(json.dumps({"cluster": {"fixedNodes": True}}))
    refused = jobman("submit", "-s", str(settings), "--cpu", "100000", "--", "true")
    assert refused.code == 2
    assert "it can never fit" in refused.talk
    assert "--force" in refused.talk
    of_map = jobman("map", "-s", str(settings), "--seq", "2", "--cpu", "100000", "--", "true")
    assert (of_map.code, "it can never fit" in of_map.talk) == (2, True)
    assert jobman("list", "-o", "name").ok().text == ""
