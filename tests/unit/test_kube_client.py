"""The verbs: what is asked of the server, and what comes back."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from plugins.scripted_server import Asked, Reply, ScriptedServer

from jobman.errors import (
    ApiError,
    ApiNotFoundError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    UnavailableError,
    UsageError,
)
from jobman.kube.client import Client
from jobman.kube.labels import SUBMISSION
from jobman.kube.lists import Scope
from jobman.kube.resources import JOBS, NODES, PODS
from jobman.kube.transport import LostWriteError

JOB_LIST = "/apis/batch/v1/namespaces/team/jobs"
POD_LIST = "/api/v1/namespaces/team/pods"
JOB = f"{JOB_LIST}/j"
MANIFEST = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}


def status(code: int, reason: str, message: str = "", **more: Any) -> Reply:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "metadata": {}}
    return Reply(code, body | more)


def page(*uids: str, further: str | None = None, version: str = "7") -> Reply:
    metadata = {"resourceVersion": version} | ({"continue": further} if further else {})
    items = [{"metadata": {"name": u, "uid": u, "namespace": "team"}} for u in uids]
    return Reply(200, {"kind": "PodList", "metadata": metadata, "items": items})


def echo(asked: Asked) -> Reply:
    """The created object, as a server returns it."""
    return Reply(201, asked.body)


EXPIRED = status(410, "Expired", "too old")


def names(items: Any) -> list[str]:
    return [item.metadata.name for item in items]


def test_a_list_takes_all_pages(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", POD_LIST, page("a", "b", further="t1"), page("c"))
    found = client.list(PODS, labels="x=y", fields="status.phase=Running")
    assert names(found.items) == ["a", "b", "c"]
    assert found.resource_version == "7"
    first, second = (asked.query for asked in scripted_server.requests)
    selectors = {"labelSelector": "x=y", "fieldSelector": "status.phase=Running", "limit": "500"}
    assert first == selectors
    assert second == selectors | {"continue": "t1"}


def test_a_list_forgotten_half_way_is_started_over(
    client: Client, scripted_server: ScriptedServer
) -> None:
    before, after = page("a", further="t1"), page("b", further="t2")
    scripted_server.script("GET", POD_LIST, before, EXPIRED, after, page("c", version="9"))
    found = client.list(PODS)
    assert names(found.items) == ["b", "c"]
    assert found.resource_version == "9"


def test_a_list_forgotten_again_and_again_is_an_error(
    client: Client, scripted_server: ScriptedServer
) -> None:
    scripted_server.script("GET", POD_LIST, EXPIRED)
    with pytest.raises(ExpiredError):
        client.list(PODS)
    assert len(scripted_server.requests) == 5


def test_the_pages_of_a_list_share_its_budget(
    client: Client, scripted_server: ScriptedServer
) -> None:
    def slowly(_: Asked) -> Reply:
        threading.Event().wait(0.5)
        return page("a", further="t1")

    scripted_server.script("GET", POD_LIST, slowly, Reply(503), page("b"))
    with pytest.raises(UnavailableError):
        client.list_in(PODS, Scope("team"), budget_s=0.4)


def test_pages_give_each_object_once(client: Client, scripted_server: ScriptedServer) -> None:
    before, after = page("a", "b", further="t1"), page("b", "c", further="t2")
    scripted_server.script("GET", POD_LIST, before, EXPIRED, after, page("d"))
    assert [names(p.items) for p in client.pages(PODS)] == [["a", "b"], ["c"], ["d"]]


def test_an_empty_list_may_be_null(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", POD_LIST, Reply(200, {"metadata": {}, "items": None}))
    assert client.list(PODS).items == []


def test_whole_objects_know_their_kind(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", POD_LIST, page("a"))
    (found,) = client.list_raw(PODS)
    assert (found["kind"], found["apiVersion"], found["metadata"]["name"]) == ("Pod", "v1", "a")


def test_the_collection_that_is_meant(client: Client, scripted_server: ScriptedServer) -> None:
    for path in ("/api/v1/pods", "/api/v1/namespaces/other/pods", "/api/v1/nodes"):
        scripted_server.script("GET", path, page())
    client.list(PODS, all_namespaces=True)
    client.list(PODS, namespace="other")
    client.list(NODES)
    paths = [asked.path for asked in scripted_server.requests]
    assert paths == ["/api/v1/pods", "/api/v1/namespaces/other/pods", "/api/v1/nodes"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (
            {"metadata": {"name": "b", "namespace": "n"}, "spec": 3},
            "Pod n/b cannot be read: .*spec",
        ),
        ({"metadata": {"name": "b", "labels": {"x": 1}}}, "Pod b cannot be read: .*labels"),
        ({"metadata": {"name": "b", "creationTimestamp": "soon"}}, "Pod b .*creationTimestamp"),
        ({"metadata": 3}, "Pod cannot be read"),
        (3, "Pod cannot be read"),
    ],
    ids=["spec", "label", "time", "metadata", "no object"],
)
def test_an_object_that_does_not_fit_is_named(
    client: Client, scripted_server: ScriptedServer, item: Any, said: str
) -> None:
    good = {"metadata": {"name": "a"}}
    scripted_server.script("GET", POD_LIST, Reply(200, {"metadata": {}, "items": [good, item]}))
    with pytest.raises(ApiError, match=said):
        client.list(PODS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><title>Login</title></html>", "came as a web page"),
        (b"{", "cannot be read"),
        (b"", "cannot be read"),
        (b'"text"', "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b'{"metadata": {"name": "\xff"}}', "cannot be read"),
    ],
    ids=["HTML", "cut", "empty", "text", "deep", "no UTF-8"],
)
def test_an_answer_that_is_no_object(
    client: Client, scripted_server: ScriptedServer, body: bytes, said: str
) -> None:
    for path in (POD_LIST, f"{POD_LIST}/a"):
        scripted_server.script("GET", path, Reply(200, body))
    for ask in (client.list, client.list_raw):
        with pytest.raises(ApiError, match=said):
            ask(PODS)
    for read in (client.get, client.get_raw):
        with pytest.raises(ApiError, match=said):
            read(PODS, "a")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2fb"])
def test_a_name_cannot_lead_elsewhere(
    client: Client, scripted_server: ScriptedServer, name: str
) -> None:
    with pytest.raises(UsageError):
        client.delete(PODS, name)
    assert scripted_server.requests == []


def test_a_creation_is_strict_and_marked(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("POST", JOB_LIST, echo)
    made = client.create(JOBS, MANIFEST)
    (asked,) = scripted_server.requests
    assert asked.query == {"fieldValidation": "Strict"}
    assert asked.headers["Content-Type"] == "application/json"
    assert len(made["metadata"]["annotations"][SUBMISSION]) == 16
    assert "annotations" not in MANIFEST["metadata"]


def test_the_callers_mark_stays(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("POST", JOB_LIST, echo)
    metadata = {"name": "j", "annotations": {SUBMISSION: "mine", "a": "b"}}
    made = client.create(JOBS, {"metadata": metadata}, dry_run=True)
    assert made["metadata"]["annotations"] == {SUBMISSION: "mine", "a": "b"}
    assert scripted_server.requests[0].query["dryRun"] == "All"


@pytest.mark.parametrize(
    "again",
    [
        status(409, "AlreadyExists", 'jobs.batch "j" already exists'),
        status(403, "Forbidden", "exceeded quota: count, requested: count/jobs.batch=1"),
    ],
    ids=["the name is taken", "it filled the quota"],
)
def test_a_creation_whose_answer_was_lost_is_known_again(
    client: Client, scripted_server: ScriptedServer, again: Reply
) -> None:
    scripted_server.script("POST", JOB_LIST, Reply(cut=True), again)
    scripted_server.script("GET", JOB, lambda _: Reply(200, scripted_server.requests[0].body))
    assert client.create(JOBS, MANIFEST)["metadata"]["name"] == "j"
    first, second = scripted_server.asked("POST", JOB_LIST)
    assert first.body == second.body


@pytest.mark.parametrize(
    "existing",
    [
        Reply(200, {"metadata": {"name": "j", "annotations": {SUBMISSION: "another"}}}),
        Reply(200, {"metadata": {"name": "j"}}),
        status(404, "NotFound"),
        status(403, "Forbidden"),
        Reply(200, b"<html>"),
    ],
    ids=["another's", "unmarked", "gone", "hidden", "unreadable"],
)
def test_a_name_that_is_anothers_is_a_conflict(
    client: Client, scripted_server: ScriptedServer, existing: Reply
) -> None:
    taken = status(409, "AlreadyExists", 'jobs.batch "j" already exists')
    scripted_server.script("POST", JOB_LIST, taken)
    scripted_server.script("GET", JOB, existing)
    with pytest.raises(ConflictError, match="already exists"):
        client.create(JOBS, MANIFEST)


def test_a_generated_name_is_not_made_twice(
    client: Client, scripted_server: ScriptedServer
) -> None:
    scripted_server.script("POST", JOB_LIST, Reply(cut=True))
    with pytest.raises(LostWriteError):
        client.create(JOBS, {"metadata": {"generateName": "j-"}})
    assert len(scripted_server.requests) == 1


def test_a_deletion_takes_the_pods_along(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("DELETE", JOB, Reply(200, {"kind": "Status"}))
    client.delete(JOBS, "j", uid="u", grace_s=0)
    client.delete(JOBS, "j", propagation="Foreground")
    first, second = (asked.body for asked in scripted_server.requests)
    assert first == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": "Background",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
    }
    assert second["propagationPolicy"] == "Foreground"
    assert all(not asked.query for asked in scripted_server.requests)


@pytest.mark.parametrize("then", [status(404, "NotFound"), status(409, "Conflict", "the UID")])
def test_a_deletion_whose_answer_was_lost(
    client: Client, scripted_server: ScriptedServer, then: Reply
) -> None:
    scripted_server.script("DELETE", JOB, Reply(cut=True), then)
    client.delete(JOBS, "j", uid="u")
    assert len(scripted_server.requests) == 2


def test_a_deletion_of_what_is_not_there(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("DELETE", JOB, status(404, "NotFound", 'jobs.batch "j" not found'))
    for uid in (None, "u"):
        with pytest.raises(ApiNotFoundError, match="not found"):
            client.delete(JOBS, "j", uid=uid)


def test_a_deletion_by_name_alone_is_not_sent_twice(
    client: Client, scripted_server: ScriptedServer
) -> None:
    scripted_server.script("DELETE", JOB, Reply(cut=True))
    with pytest.raises(LostWriteError, match="whether j was deleted is not known"):
        client.delete(JOBS, "j")
    assert len(scripted_server.requests) == 1


@pytest.mark.parametrize(
    ("kind", "patch", "content_type"),
    [
        ("merge", {"a": None}, "application/merge-patch+json"),
        ("strategic", {"a": 1}, "application/strategic-merge-patch+json"),
        ("json", [{"op": "remove", "path": "/a"}], "application/json-patch+json"),
    ],
)
def test_a_patch(
    client: Client, scripted_server: ScriptedServer, kind: Any, patch: Any, content_type: str
) -> None:
    scripted_server.script("PATCH", f"{JOB}/status", Reply(200, MANIFEST))
    assert client.patch(JOBS, "j", patch, kind=kind, subresource="status") == MANIFEST
    (asked,) = scripted_server.requests
    assert (asked.body, asked.headers["Content-Type"]) == (patch, content_type)


def test_a_replacement(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("PUT", JOB, echo)
    assert client.replace(JOBS, "j", MANIFEST) == MANIFEST


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, {}),
        ({"follow": True, "container": "main"}, {"follow": "true", "container": "main"}),
        ({"tail": 0, "timestamps": True}, {"tailLines": "0", "timestamps": "true"}),
        ({"since_s": 5, "previous": True}, {"sinceSeconds": "5", "previous": "true"}),
        ({"limit_bytes": 9, "since_time": "T"}, {"limitBytes": "9", "sinceTime": "T"}),
    ],
    ids=["plain", "follow", "tail", "since", "limit"],
)
def test_a_log(
    client: Client, scripted_server: ScriptedServer, options: Any, query: dict[str, str]
) -> None:
    body = b"one\r\n\xff\x00two"
    scripted_server.script("GET", f"{POD_LIST}/p/log", Reply(200, body))
    with client.log("p", **options) as log:
        assert log.has_log
        assert b"".join(log) == body
    (asked,) = scripted_server.requests
    assert (asked.query, asked.headers["Accept"]) == (query, "*/*")


def test_a_pod_without_a_node_has_no_log(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", f"{POD_LIST}/p/log", Reply(204))
    with client.log("p", follow=True) as log:
        assert not log.has_log
        assert list(log) == []


SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (Reply(201, {"status": {"userInfo": {"username": "alice"}}}), "alice"),
        (Reply(201, {"status": {}}), None),
        (Reply(201, {}), None),
        (status(404, "NotFound"), None),
        (status(403, "Forbidden"), None),
    ],
    ids=["known", "no user", "no status", "not served", "not allowed"],
)
def test_who_the_server_says_i_am(
    client: Client, scripted_server: ScriptedServer, reply: Reply, name: str | None
) -> None:
    scripted_server.script("POST", SELF, Reply(cut=True), reply)
    assert client.review_self() == name


@pytest.mark.parametrize(("answer", "allowed"), [(True, True), (False, False), (None, False)])
def test_what_i_may(
    client: Client, scripted_server: ScriptedServer, answer: bool | None, allowed: bool
) -> None:
    scripted_server.script("POST", ACCESS, Reply(201, {"status": {"allowed": answer}}))
    assert client.can_i("get", "pods/log", namespace="team") is allowed
    attributes = scripted_server.requests[0].body["spec"]["resourceAttributes"]
    assert attributes == {
        "verb": "get", "resource": "pods", "subresource": "log", "namespace": "team",
    }  # fmt: skip


def test_any_other_call(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", "/version", Reply(200, {"minor": "36"}))
    assert client.request("GET", "/version") == {"minor": "36"}


def test_a_right_that_is_missing(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("POST", JOB_LIST, status(403, "Forbidden", "no"))
    scripted_server.script("GET", JOB, status(403, "Forbidden", "no"))
    with pytest.raises(ForbiddenError):
        client.create(JOBS, MANIFEST)
