"""Each refusal of a real server becomes the right error, with its words and a next step."""

from __future__ import annotations

import pytest
from plugins.recordings import Recording, names, recorded
from plugins.scripted_server import ScriptedServer

from jobman.errors import (
    ApiError,
    ApiNotFoundError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    UnauthorizedError,
    UnavailableError,
)
from jobman.kube import status
from jobman.kube.client import Client

EXPECTED: dict[tuple[int, str], tuple[type[ApiError], int]] = {
    (400, "BadRequest"): (InvalidError, 2),
    (401, "Unauthorized"): (UnauthorizedError, 4),
    (403, "Forbidden"): (ForbiddenError, 4),
    (404, "NotFound"): (ApiNotFoundError, 3),
    (404, ""): (ApiNotFoundError, 3),
    (405, "MethodNotAllowed"): (ApiError, 1),
    (406, "NotAcceptable"): (ApiError, 1),
    (409, "AlreadyExists"): (ConflictError, 1),
    (409, "Conflict"): (ConflictError, 1),
    (410, "Expired"): (ExpiredError, 1),
    (413, "RequestEntityTooLarge"): (InvalidError, 2),
    (415, "UnsupportedMediaType"): (ApiError, 1),
    (422, "Invalid"): (InvalidError, 2),
    (429, ""): (UnavailableError, 5),
    (429, "TooManyRequests"): (UnavailableError, 5),
    (500, ""): (UnavailableError, 5),
    (504, "Timeout"): (UnavailableError, 5),
}
REFUSALS = [
    (group, name)
    for group in ("errors", "logs", "lists", "writes", "nodes")
    for name in names(group)
    if recorded(group, name).reply.status >= 400 and recorded(group, name).method != "HEAD"
]


def raised_by(client: Client, server: ScriptedServer, recording: Recording) -> ApiError:
    server.script(recording.method, recording.path, recording.reply)
    with pytest.raises(ApiError) as caught:
        client.request(recording.method, recording.path)
    return caught.value


@pytest.mark.parametrize(("group", "name"), REFUSALS, ids=lambda part: part)
def test_a_recorded_refusal(
    client: Client, scripted_server: ScriptedServer, group: str, name: str
) -> None:
    recording = recorded(group, name)
    error = raised_by(client, scripted_server, recording)
    code, reason = recording.reply.status, recording.status.get("reason", "")
    kind, exit_code = EXPECTED[code, reason]
    assert (type(error), error.exit_code) == (kind, exit_code)
    assert (error.code, error.reason) == (code, reason)
    said = recording.status.get("message", "").strip()
    assert error.message[:1000].startswith(said[:1000])
    assert 0 < len(error.message) <= status.LONGEST_MESSAGE


def test_every_expectation_was_seen() -> None:
    seen = {(r.reply.status, r.status.get("reason", "")) for r in (recorded(*x) for x in REFUSALS)}
    assert seen == set(EXPECTED)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("403-alice-list-jobs", "kubectl auth can-i list jobs.batch -n rec-err"),
        ("403-alice-get-job", "kubectl auth can-i get jobs.batch -n rec-err"),
        ("403-alice-pod-log", "kubectl auth can-i get pods --subresource=log -n rec-err"),
        ("403-alice-list-nodes", "kubectl auth can-i list nodes --all-namespaces"),
        ("403-alice-list-pods-cluster-wide", "kubectl auth can-i list pods --all-namespaces"),
        ("403-anonymous-api", "no credentials were sent"),
        ("401-bad-token", "log in to the cluster again"),
        ("404-create-in-missing-namespace", "name an existing namespace with -n"),
        ("404-unknown-path", "is the kubeconfig's server the address of a Kubernetes API?"),
        ("429-api-priority-and-fairness", "try again"),
        ("409-conflict-stale-resourceVersion-put", "somebody else changed it"),
    ],
)
def test_the_next_step(
    client: Client, scripted_server: ScriptedServer, name: str, hint: str
) -> None:
    error = raised_by(client, scripted_server, recorded("errors", name))
    assert hint in (error.hint or "")


def test_the_causes_are_kept(client: Client, scripted_server: ScriptedServer) -> None:
    recording = recorded("errors", "422-gpu-request-without-limit")
    error = raised_by(client, scripted_server, recording)
    assert status.causes(error) == [
        (
            "FieldValueRequired",
            "spec.template.spec.containers[0].resources.limits",
            "Required value: Limit must be set for non overcommitable resources",
        )
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "message", "hint"),
    [
        (b"<html><title>Bad\n Gateway</title>", "text/html", "a web page: Bad Gateway", "proxy"),
        (b"<!DOCTYPE html>", "", "with a web page", "proxy"),
        (b"upstream connect error", "text/plain", "upstream connect error", "again"),
        (b"", "", "the server answered 502", "again"),
        (b"{broken", "application/json", "{broken", "again"),
        (b'{"kind": "Pod"}', "application/json", '{"kind": "Pod"}', "again"),
        (b"[" * 5000, "application/json", "[[[", "again"),
        (b"\xff\xfe", "text/plain", "\ufffd", "again"),
        (b"x" * 1_000_000, "text/plain", "xxx", "again"),
    ],
    ids=["HTML", "untitled", "text", "empty", "broken", "no Status", "deep", "bytes", "1 MB"],
)  # fmt: skip
def test_an_answer_that_is_no_status(
    body: bytes, content_type: str, message: str, hint: str
) -> None:
    error = status.error_from(502, body, content_type=content_type)
    assert type(error) is UnavailableError
    assert message in error.message
    assert hint in (error.hint or "")
    assert len(error.message) <= status.LONGEST_MESSAGE


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"message": 3, "reason": [], "code": "x", "details": 7},
        {"details": {"causes": "many"}},
        {"details": {"causes": [None, {"field": 3}]}},
        {"reason": "SomethingNew", "message": "m", "code": 418},
    ],
    ids=["empty", "types", "causes", "cause", "new reason"],
)
def test_a_malformed_status_is_still_an_error(found: dict[str, object]) -> None:
    error = status.from_status(found)
    assert isinstance(error, ApiError)
    assert error.message
    assert all(isinstance(part, str) for cause in status.causes(error) for part in cause)
