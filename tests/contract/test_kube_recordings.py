"""The client reads what a real server sent: lists, watches, logs, reviews."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.recordings import Recording, names, recorded
from plugins.scripted_server import Reply, ScriptedServer

from jobman.errors import ApiError, ForbiddenError, InvalidError
from jobman.kube.client import Client
from jobman.kube.resources import JOBS, PODS, Resource


def replay(server: ScriptedServer, *recordings: Recording) -> str:
    """Script the answers in turn; the namespace that they are from."""
    first = recordings[0]
    server.script(first.method, first.path, *(r.reply for r in recordings), Reply(403))
    parts = first.path.split("/")
    return parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""


def test_a_whole_list(client: Client, scripted_server: ScriptedServer) -> None:
    recording = recorded("lists", "jobs-all")
    namespace = replay(scripted_server, recording)
    found = client.list(JOBS, namespace=namespace)
    items = recording.reply.body["items"]
    assert [job.metadata.name for job in found.items] == [i["metadata"]["name"] for i in items]
    assert found.items[0].spec.suspend
    assert found.resource_version == recording.reply.body["metadata"]["resourceVersion"]


def test_pages_as_they_were_sent(client: Client, scripted_server: ScriptedServer) -> None:
    pages = [recorded("lists", f"jobs-limit-3{n}") for n in ("", "-continue", "-continue-last")]
    namespace = replay(scripted_server, *pages)
    found = client.list(JOBS, namespace=namespace)
    assert [len(page.reply.body["items"]) for page in pages] == [3, 3, len(found.items) - 6]
    asked = [request.query.get("continue") for request in scripted_server.requests]
    assert asked == [None, *(page.reply.body["metadata"]["continue"] for page in pages[:2])]


def test_a_list_forgotten_half_way(client: Client, scripted_server: ScriptedServer) -> None:
    first, expired = (
        recorded("lists", "jobs-limit-3"),
        recorded("lists", "410-jobs-continue-expired"),
    )
    last = recorded("lists", "jobs-limit-3-continue-last")
    namespace = replay(scripted_server, first, expired, last)
    assert len(client.list(JOBS, namespace=namespace).items) == len(last.reply.body["items"])


STREAMS = [
    name
    for name in names("lists", "watch-*")
    if recorded("lists", name).reply.status == 200
    and not any(other in name for other in ("410", "old", "Table"))
]


@pytest.mark.parametrize("name", STREAMS)
def test_a_watch_as_it_was_sent(client: Client, scripted_server: ScriptedServer, name: str) -> None:
    recording = recorded("lists", name)
    resource: Resource[Any] = PODS if recording.path.endswith("pods") else JOBS
    namespace = recording.path.split("/namespaces/")[1].split("/")[0]
    path = resource.path(namespace)
    scripted_server.script("GET", path, recording.reply, Reply(403))
    watch = client.watch(resource, namespace=namespace, resource_version="1")
    seen = []
    with pytest.raises(ForbiddenError):
        seen.extend(watch)
    sent = [(line["type"], line["object"]["metadata"]) for line in lines_of(recording)]
    assert [(c.object.metadata.name, c.object.metadata.resource_version) for c in seen] == [
        (meta["name"], meta["resourceVersion"]) for kind, meta in sent if kind != "BOOKMARK"
    ]
    assert scripted_server.requests[-1].query["resourceVersion"] == (
        sent[-1][1]["resourceVersion"] if sent else "1"
    )


def lines_of(recording: Recording) -> list[dict[str, Any]]:
    import json

    return [json.loads(chunk) for chunk in recording.reply.chunks or ()]


def test_a_version_too_old(client: Client, scripted_server: ScriptedServer) -> None:
    old = recorded("lists", "watch-410-ERROR-event-pods")
    empty = Reply(200, {"metadata": {"resourceVersion": "900"}, "items": []})
    scripted_server.script("GET", old.path, old.reply, empty, Reply(403))
    namespace = old.path.split("/namespaces/")[1].split("/")[0]
    with pytest.raises(ForbiddenError):
        list(client.watch(PODS, namespace=namespace, resource_version="300"))
    assert scripted_server.requests[-1].query["resourceVersion"] == "900"


LOGS = [name for name in names("logs") if recorded("logs", name).path.endswith("/log")]


@pytest.mark.parametrize(
    "name", [n for n in LOGS if recorded("logs", n).reply.status == 200 and n != "big-1.3MB"]
)
def test_a_log_as_it_was_sent(client: Client, scripted_server: ScriptedServer, name: str) -> None:
    recording = recorded("logs", name)
    scripted_server.script("GET", recording.path, recording.reply)
    pod = recording.path.split("/")[-2]
    sent = recording.reply.body
    if recording.reply.chunks is not None:
        sent = b"".join(recording.reply.chunks)
    with client.log(pod, namespace=recording.path.split("/")[4]) as log:
        assert log.has_log
        assert b"".join(log) == sent


@pytest.mark.parametrize("name", ["pending-unscheduled", "pending-unscheduled-follow"])
def test_a_pod_without_a_node(client: Client, scripted_server: ScriptedServer, name: str) -> None:
    recording = recorded("logs", name)
    scripted_server.script("GET", recording.path, recording.reply)
    with client.log(recording.path.split("/")[-2], namespace=recording.path.split("/")[4]) as log:
        assert not log.has_log


@pytest.mark.parametrize("name", ["ContainerCreating-400", "ErrImagePull-400"])
def test_a_container_that_has_not_started(
    client: Client, scripted_server: ScriptedServer, name: str
) -> None:
    recording = recorded("logs", name)
    scripted_server.script("GET", recording.path, recording.reply)
    with pytest.raises(InvalidError, match=r"waiting to start"):
        client.log(recording.path.split("/")[-2], namespace=recording.path.split("/")[4])


@pytest.mark.parametrize(
    ("name", "user"),
    [("alice", "alice"), ("serviceaccount", "system:serviceaccount:rec-alice:")],
)
def test_who_i_am(client: Client, scripted_server: ScriptedServer, name: str, user: str) -> None:
    recording = recorded("auth", f"selfsubjectreview-{name}")
    scripted_server.script("POST", recording.path, recording.reply)
    assert (client.review_self() or "").startswith(user)
    assert scripted_server.requests[0].body["kind"] == recording.body["kind"]


@pytest.mark.parametrize(
    ("name", "verb", "resource", "group", "allowed"),
    [
        ("alice-create-jobs", "create", "jobs", "batch", True),
        ("bob-create-jobs", "create", "jobs", "batch", False),
        ("alice-get-pods-log", "get", "pods/log", "", True),
    ],
)
def test_what_i_may(
    client: Client,
    scripted_server: ScriptedServer,
    name: str,
    verb: str,
    resource: str,
    group: str,
    allowed: bool,
) -> None:
    recording = recorded("auth", f"selfsubjectaccessreview-{name}")
    scripted_server.script("POST", recording.path, recording.reply)
    asked = recording.body["spec"]["resourceAttributes"]
    assert client.can_i(verb, resource, group, namespace=asked["namespace"]) is allowed
    assert scripted_server.requests[0].body == recording.body


def test_unknown_fields_are_refused(client: Client, scripted_server: ScriptedServer) -> None:
    recording = recorded("errors", "unknown-field-fieldValidation-Strict")
    scripted_server.script("POST", recording.path, recording.reply)
    namespace = recording.path.split("/")[-2]
    with pytest.raises(ApiError, match="unknown field"):
        client.create(JOBS, recording.body, namespace=namespace)
    assert scripted_server.requests[0].query == {"fieldValidation": "Strict"}


def test_warnings_are_passed_on(make_client: Any, scripted_server: ScriptedServer) -> None:
    recording = recorded("errors", "unknown-field-fieldValidation-Warn")
    scripted_server.script("POST", recording.path, recording.reply)
    warnings: list[str] = []
    client: Client = make_client(scripted_server, warn=warnings.append)
    client.create(JOBS, recording.body, namespace=recording.path.split("/")[-2])
    assert warnings
    assert all(text.startswith("unknown field") for text in warnings)
