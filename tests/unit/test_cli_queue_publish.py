"""`jobman admin manifests` and `jobman queue publish`, a scripted cluster behind."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from plugins.command_line import Run
from plugins.job_world import CORE, NAMESPACE, JobWorld
from plugins.queue_world import FORBIDDEN, JOBS
from plugins.scripted_server import Reply


@pytest.mark.parametrize(
    ("args", "kinds"),
    [
        ([], ["Deployment"]),
        (["--as", "cronjob"], ["CronJob"]),
        (["--as", "none"], []),
    ],
)
def test_manifests(run: Run, args: list[str], kinds: list[str]) -> None:
    done = run("-n", "public", "admin", "manifests", *args)
    found = list(yaml.safe_load_all(done.out))
    assert [each["kind"] for each in found] == [
        *("ServiceAccount", "ClusterRole", "ClusterRoleBinding"),
        *("Role", "RoleBinding", "Role", "RoleBinding"),
        *kinds,
    ]
    assert {each["metadata"].get("namespace", "public") for each in found} == {"public"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["admin", "manifests"], "-n names it"),
        (["-n", "public", "admin", "manifests", "--every", "soon"], "--every"),
        (["-n", "public", "admin", "manifests", "--configmap", "A b"], "is no name"),
        (["queue", "publish", "--every", "10ms"], "--every"),
        (["queue", "publish", "--names-configmap", "x"], "goes with --names"),
        (["queue", "publish", "--names", "--configmap", "x", "--names-configmap", "x"], "taken"),
    ],
)
def test_what_an_administrator_gets_wrong(run: Run, args: list[str], said: str) -> None:
    done = run(*args)
    assert done.code == 2
    assert said in done.talk


LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
CONFIGMAPS = f"{CORE}/configmaps"
MISSING = Reply(404, {"kind": "Status", "reason": "NotFound", "code": 404})


def accepted(asked: Any) -> Reply:
    marked = {"uid": "u", "resourceVersion": "1"} | asked.body["metadata"]
    return Reply(201, asked.body | {"metadata": marked})


@pytest.fixture
def writable(cluster: JobWorld) -> JobWorld:
    """The same, where a queue may be published for the first time."""
    script = cluster.server.script
    script("GET", f"{LEASE}/jobman-queue-writer", MISSING)
    script("POST", LEASE, accepted)
    script("PATCH", f"{CONFIGMAPS}/jobman-queue", MISSING)
    script("PATCH", f"{CONFIGMAPS}/jobman-queue-names", MISSING)
    script("POST", CONFIGMAPS, accepted)
    return cluster


def test_publishing_once(run: Run, writable: JobWorld) -> None:
    done = run("queue", "publish", "--names")
    assert done.code == 0, done.talk
    assert "published 3 pods in 2 groups" in done.talk
    own, names = (r.body for r in writable.server.asked("POST", CONFIGMAPS))
    assert json.loads(own["data"]["jobman-queue"])["groups"][0]["flavor"] == "small-gpu"
    assert json.loads(names["data"]["jobman-queue-names"])["jobs"][0]["name"] == "b"


def test_a_cron_job_publishes_with_its_words_as_they_stand(run: Run, writable: JobWorld) -> None:
    text = run("-n", NAMESPACE, "admin", "manifests", "--as", "cronjob", "--names").out
    cron_job = [*yaml.safe_load_all(text)][-1]
    pod_spec = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    program, *words = pod_spec["containers"][0]["command"]
    done = run(*words)
    assert (program, done.code) == ("jobman", 0), done.talk
    published = writable.server.asked("POST", CONFIGMAPS)
    assert [asked.body["metadata"]["name"] for asked in published] == [
        "jobman-queue",
        "jobman-queue-names",
    ]


def test_a_part_is_not_published_as_the_whole(run: Run, writable: JobWorld) -> None:
    writable.server.script("GET", JOBS, FORBIDDEN)
    done = run("queue", "publish")
    assert done.code == 4
    assert "needs to list jobs of the whole cluster" in done.talk
    assert not writable.server.asked("POST", CONFIGMAPS)
