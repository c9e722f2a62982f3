"""Creating a Job: names that are taken, answers that were lost, the user's group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from plugins.job_world import BATCH, CORE
from plugins.scripted_server import Asked, Reply, ScriptedServer

from jobman.errors import ConflictError, ForbiddenError
from jobman.jobs import service
from jobman.kube.client import Client

MANIFEST = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {}}


def taken(message: str = 'jobs.batch "a" already exists', reason: str = "AlreadyExists") -> Reply:
    status = {"kind": "Status", "status": "Failure", "reason": reason, "code": 409}
    return Reply(409, status | {"message": message})


def as_sent(asked: Asked) -> Reply:
    return Reply(201, asked.body)


def names(*words: str) -> Callable[[], str]:
    return iter(words).__next__


def test_a_job_is_created(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("POST", BATCH, as_sent)
    found = service.submit(client, MANIFEST)
    assert found["metadata"]["name"] == "a"
    (asked,) = scripted_server.asked("POST", BATCH)
    assert asked.query == {"fieldValidation": "Strict"}


def test_a_dry_run_is_the_servers(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("POST", BATCH, as_sent)
    service.submit(client, MANIFEST, dry_run=True)
    assert scripted_server.requests[0].query["dryRun"] == "All"


def test_the_manifests_own_namespace(client: Client, scripted_server: ScriptedServer) -> None:
    other = "/apis/batch/v1/namespaces/other/jobs"
    scripted_server.script("POST", other, as_sent)
    metadata = {"name": "a", "namespace": "other"}
    service.submit(client, MANIFEST | {"metadata": metadata})
    assert len(scripted_server.asked("POST", other)) == 1


def test_another_name_for_one_that_is_taken(
    client: Client, scripted_server: ScriptedServer
) -> None:
    scripted_server.script("POST", BATCH, taken(), taken(), as_sent)
    found = service.submit(client, MANIFEST, another_name=names("b", "c"))
    assert found["metadata"]["name"] == "c"
    sent = [asked.body["metadata"]["name"] for asked in scripted_server.asked("POST", BATCH)]
    assert sent == ["a", "b", "c"]


def test_names_are_tried_five_times(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("POST", BATCH, taken())
    with pytest.raises(ConflictError):
        service.submit(client, MANIFEST, another_name=lambda: "b")
    assert len(scripted_server.asked("POST", BATCH)) == 5


@pytest.mark.parametrize(
    ("message", "said", "hint"),
    [
        ('jobs.batch "a" already exists', "a job 'a' is there already", "jobman delete a"),
        (
            'object is being deleted: jobs.batch "a" already exists',
            "a job 'a' is still being deleted",
            "wait until it is gone",
        ),
    ],
    ids=["there", "leaving"],
)
def test_a_chosen_name_that_is_taken(
    client: Client, scripted_server: ScriptedServer, message: str, said: str, hint: str
) -> None:
    scripted_server.script("POST", BATCH, taken(message))
    with pytest.raises(ConflictError, match=said) as caught:
        service.submit(client, MANIFEST)
    assert hint in (caught.value.hint or "")
    assert len(scripted_server.asked("POST", BATCH)) == 1


def test_another_conflict_is_no_taken_name(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("POST", BATCH, taken("quota changed", "Conflict"))
    with pytest.raises(ConflictError, match="quota changed"):
        service.submit(client, MANIFEST, another_name=names("b"))


def test_a_refusal(client: Client, scripted_server: ScriptedServer) -> None:
    status = {"kind": "Status", "reason": "Forbidden", "code": 403, "message": "not you"}
    scripted_server.script("POST", BATCH, Reply(403, status))
    with pytest.raises(ForbiddenError, match="not you"):
        service.submit(client, MANIFEST, another_name=names("b"))


def configmap(**data: str) -> Reply:
    return Reply(200, {"kind": "ConfigMap", "metadata": {"name": "who"}, "data": data})


def test_the_users_group(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", f"{CORE}/configmaps/who", configmap(**{"ceph.gid": " 5001\n"}))
    assert service.group_of_user(client, "who") == 5001


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(404), "ConfigMap 'who' of namespace 'team' is not there"),
        (Reply(403), "may not be read"),
        (configmap(other="1"), "has no key ceph.gid"),
        (configmap(**{"ceph.gid": "-1"}), "ceph.gid '-1' is no group number"),
        (configmap(**{"ceph.gid": "users"}), "ceph.gid 'users' is no group number"),
        (configmap(**{"ceph.gid": "4294967296"}), "is no group number"),
    ],
    ids=["missing", "forbidden", "no key", "negative", "text", "too large"],
)
def test_no_group(client: Client, scripted_server: ScriptedServer, reply: Any, said: str) -> None:
    scripted_server.script("GET", f"{CORE}/configmaps/who", reply)
    with pytest.raises(service.NoGroupError, match=said):
        service.group_of_user(client, "who")
