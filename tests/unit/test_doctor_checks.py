"""`jobman doctor`: what it says of Kueue, quota, rights and the server, against a scripted one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plugins.command_line import Done, Run
from plugins.job_world import CORE, JobWorld
from plugins.scripted_server import Asked, Reply, ScriptedServer

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
KUEUE = {
    "name": "kueue.x-k8s.io",
    "preferredVersion": {"groupVersion": "kueue.x-k8s.io/v1beta1", "version": "v1beta1"},
}
QUEUES = "/apis/kueue.x-k8s.io/v1beta1/namespaces/team/localqueues"
DENIED = Reply(403, {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403})
ADVICE = "ask for a LocalQueue, if jobs here are to go through Kueue"


@pytest.fixture
def sound(world: JobWorld) -> ScriptedServer:
    """A cluster that lacks nothing, without quota and Kueue."""
    server = world.server
    server.script("GET", "/version", Reply(200, {"gitVersion": "v1.36.0"}))
    server.script("POST", REVIEW, Reply(201, {"status": {"allowed": True}}))
    server.script("GET", "/api/v1/namespaces/team", Reply(200, {"metadata": {"name": "team"}}))
    server.script("GET", f"{CORE}/resourcequotas", Reply(200, {"metadata": {}, "items": []}))
    server.script("GET", "/apis", Reply(200, {"groups": [{"name": "batch"}]}))
    return server


def findings(done: Done, about: str) -> list[tuple[str, str, str]]:
    """State, text and advice of what was found out about one thing."""
    found = json.loads(done.out)
    return [(f["state"], f["text"], f["advice"]) for f in found if f["about"] == about]


def queue(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team"}}


def test_nothing_is_missing(run: Run, sound: ScriptedServer) -> None:
    done = run("doctor", "-o", "json")
    assert done.code == 0
    found = json.loads(done.out)
    assert {entry["state"] for entry in found} == {"ok"}
    assert [entry["about"] for entry in found] == [
        "jobman",
        "settings",
        "cluster",
        "server",
        "identity",
        "rights",
        "namespace",
        "quota",
        "kueue",
        "harbor",
    ]


@pytest.mark.parametrize(
    ("groups", "queues", "expected"),
    [
        pytest.param(
            [], Reply(200, {}), ("ok", "not installed, and not needed", ""), id="not there"
        ),
        pytest.param(
            [KUEUE],
            Reply(200, {"items": [queue("small"), queue("big")]}),
            ("ok", "installed; LocalQueues: small, big", ""),
            id="two queues",
        ),
        pytest.param(
            [KUEUE],
            Reply(200, {"items": []}),
            ("note", "installed; no LocalQueue in this namespace", ADVICE),
            id="no queue",
        ),
        pytest.param(
            [KUEUE], DENIED, ("note", "installed; I may not see its LocalQueues", ""), id="denied"
        ),
    ],
)
def test_kueue(
    run: Run,
    sound: ScriptedServer,
    groups: list[Any],
    queues: Reply,
    expected: tuple[str, str, str],
) -> None:
    sound.script("GET", "/apis", Reply(200, {"groups": [{"name": "batch"}, *groups]}))
    sound.script("GET", QUEUES, queues)
    done = run("doctor", "-o", "json")
    assert (done.code, findings(done, "kueue")) == (0, [expected])


def test_rights_that_are_lacking(run: Run, sound: ScriptedServer) -> None:
    lacking = {("create", "jobs"), ("list", "events")}

    def review(asked: Asked) -> Reply:
        wanted = asked.body["spec"]["resourceAttributes"]
        allowed = (wanted["verb"], wanted["resource"]) not in lacking
        return Reply(201, {"status": {"allowed": allowed}})

    sound.script("POST", REVIEW, review)
    done = run("doctor", "-o", "json")
    ask = "ask whoever runs the cluster for a Role in namespace team"
    assert done.code == 1
    assert findings(done, "rights") == [
        ("missing", "I may not create jobs in namespace team (for: submit)", ask),
        ("note", "I may not list events in namespace team (for: why a job waits)", ask),
    ]
    table = run("doctor").lines
    assert "MISSING rights       I may not create jobs in namespace team (for: submit)" in table
    assert f"{'':20} -> {ask}" in table


def test_a_quota_that_is_used_up(run: Run, sound: ScriptedServer) -> None:
    hard, used = {"pods": "4", "requests.cpu": "2"}, {"pods": "4", "requests.cpu": "500m"}
    quota = {"metadata": {"name": "few"}, "status": {"hard": hard, "used": used}}
    sound.script("GET", f"{CORE}/resourcequotas", Reply(200, {"metadata": {}, "items": [quota]}))
    done = run("doctor", "-o", "json")
    text = "few is used up: pods 4/4, requests.cpu 500m/2"
    advice = "new jobs wait until others end: pods"
    assert (done.code, findings(done, "quota")) == (0, [("note", text, advice)])


def test_an_old_server(run: Run, sound: ScriptedServer) -> None:
    sound.script("GET", "/version", Reply(200, {"gitVersion": "v1.28.9"}))
    done = run("doctor", "-o", "json")
    told = [("missing", "Kubernetes v1.28.9", "jobman needs v1.29 or newer")]
    assert (done.code, findings(done, "server")) == (1, told)
