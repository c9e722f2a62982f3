"""How a query is read: flags, numbers, continue tokens; what a dry run and a patch may not do."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.api_server import ApiServer

from jobman.local.api.query import flag, integer
from jobman.local.api.status import ApiError

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("text", "said"),
    [("true", True), ("1", True), ("", True), ("maybe", True), ("FALSE", False), ("0", False)],
)
def test_a_flag(text: str, said: bool) -> None:
    assert flag({"watch": text}, "watch") is said
    assert flag({"watch": text}, "follow") is False


@pytest.mark.parametrize(("text", "number"), [("", None), ("7", 7), ("-1", -1), ("+3", 3)])
def test_a_number(text: str, number: int | None) -> None:
    assert integer({"limit": text}, "limit") == number


@pytest.mark.parametrize(
    ("text", "why"), [("x", "invalid syntax"), ("1" * 30, "value out of range"), ("٣", "invalid")]
)
def test_no_number(text: str, why: str) -> None:
    with pytest.raises(ApiError, match=why):
        integer({"limit": text}, "limit")


@pytest.mark.parametrize("watch", ["0", "1"])
def test_a_version_of_too_many_digits(server: ApiServer, watch: str) -> None:
    got = server.ask("GET", PODS, {"resourceVersion": "1" * 5000, "watch": watch})
    assert got.json["message"].endswith("value out of range")
    assert got.code == (500 if watch == "1" else 400)  # as Kubernetes tells of a watch


def test_a_binding_for_show_leaves_the_pod_where_it_is(server: ApiServer) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "i"}]}}
    assert server.ask("POST", PODS, body=pod).code == 201
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert server.ask("POST", f"{PODS}/p/binding", {"dryRun": "All"}, body=binding).code == 201
    assert "nodeName" not in server.ask("GET", f"{PODS}/p").json["spec"]
    assert server.ask("POST", f"{PODS}/p/binding", body=binding).code == 201
    assert server.ask("GET", f"{PODS}/p").json["spec"]["nodeName"] == "n"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/merge-patch+json", {"kind": "Pod"}),
        ("application/merge-patch+json", {"apiVersion": "v2"}),
        (
            "application/json-patch+json",
            [{"op": "replace", "path": "/kind", "value": "Pod"}],
        ),
    ],
)
def test_a_patch_does_not_make_it_something_else(
    server: ApiServer, content_type: str, body: object
) -> None:
    server.ask("POST", MAPS, body={"metadata": {"name": "c"}})
    headers = {"Content-Type": content_type}
    answer = server.ask("PATCH", f"{MAPS}/c", body=body, headers=headers)
    assert answer.code == 422
    [cause] = answer.json["details"]["causes"]
    assert cause["field"] == "patch"
    assert re.search(r"cannot be \w+: it is (v1|ConfigMap)$", cause["message"])


@pytest.mark.parametrize("key", ["kind", "metadata"])
def test_a_patch_may_leave_out_what_it_is(server: ApiServer, key: str) -> None:
    server.ask("POST", MAPS, body={"metadata": {"name": "c"}, "data": {"a": "1"}})
    body = {"kind": None} if key == "kind" else {"metadata": {"labels": {"a": "b"}}}
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = server.ask("PATCH", f"{MAPS}/c", body=body, headers=headers)
    assert (answer.code, answer.json["kind"]) == (200, "ConfigMap")


def test_a_lease_is_replaced_by_whom_knows_its_version(server: ApiServer) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    made = server.ask("POST", path, body={"metadata": {"name": "l"}}).json
    refused = server.ask("PUT", f"{path}/l", body={"metadata": {"name": "l"}})
    assert refused.code == 422
    assert "must be specified for an update" in refused.json["message"]
    assert server.ask("PUT", f"{path}/l", body=made).code == 200


@pytest.mark.parametrize(
    "content",
    [
        [],
        "x",
        {"v": "meta.k8s.io/v1", "rv": 1, "start": ""},
        {"v": "meta.k8s.io/v1", "rv": 1.5, "start": "a"},
        {"v": "meta.k8s.io/v1", "rv": 1, "start": "/../a"},
        {"v": "meta.k8s.io/v1", "rv": 1, "start": "a//b"},
    ],
)
def test_a_token_of_something_else(server: ApiServer, content: object) -> None:
    token = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
    answer = server.ask("GET", MAPS, {"continue": token})
    assert answer.code == 400
    assert answer.json["message"].startswith("invalid continue token: continue key is not valid: ")


def token(rv: int, start: str) -> str:
    content = {"v": "meta.k8s.io/v1", "rv": rv, "start": start}
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def test_a_token_of_the_future_and_one_of_no_moment(server: ApiServer) -> None:
    answer = server.ask("GET", MAPS, {"continue": token(10**9, "a")})
    assert (answer.code, answer.json["reason"]) == (504, "Timeout")
    assert server.ask("GET", MAPS, {"continue": token(-7, "a")}).code == 200


def test_a_list_at_an_exact_version_is_of_that_version(server: ApiServer) -> None:
    made = [
        server.ask("POST", MAPS, body={"metadata": {"name": name}}).json["metadata"]
        for name in ("a", "b", "c")
    ]
    then = made[1]["resourceVersion"]
    exact = {"resourceVersion": then, "resourceVersionMatch": "Exact"}
    assert server.ask("GET", MAPS, exact).json["metadata"] == {"resourceVersion": then}
    page = server.ask("GET", MAPS, {**exact, "limit": "1"}).json
    rest = server.ask("GET", MAPS, {"continue": page["metadata"]["continue"]}).json
    assert page["metadata"]["resourceVersion"] == rest["metadata"]["resourceVersion"] == then
    names = [item["metadata"]["name"] for item in page["items"] + rest["items"]]
    assert names == ["a", "b"]


def test_a_dry_run_of_a_replacement_shows_the_version(server: ApiServer) -> None:
    made = server.ask("POST", MAPS, body={"metadata": {"name": "a"}}).json
    body = {"metadata": {"name": "a"}, "data": {"a": "b"}}
    shown = server.ask("PUT", f"{MAPS}/a", {"dryRun": "All"}, body=body).json
    assert shown == {**made, "data": {"a": "b"}}


@pytest.mark.parametrize("path", [MAPS, f"{MAPS}/a"])
def test_a_form_that_does_not_fit(server: ApiServer, path: str) -> None:
    server.ask("POST", MAPS, body={"metadata": {"name": "a"}})
    form, what = (
        ("PartialObjectMetadata", "a list (*core.ConfigMapList)")
        if path == MAPS
        else ("PartialObjectMetadataList", "not a list (*core.ConfigMap)")
    )
    accept = {"Accept": f"application/json;as={form};v=v1;g=meta.k8s.io"}
    answer = server.ask("GET", path, headers=accept)
    assert (answer.code, answer.json["message"]) == (
        406,
        f"you requested {form}, but the requested object is {what}",
    )


def test_a_table_with_what_is_no_part_of_an_object(server: ApiServer) -> None:
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    for query in ({"includeObject": "Foo"}, {"includeObject": "Foo", "watch": "1"}):
        answer = server.ask("GET", MAPS, query, headers=accept)
        assert (answer.code, answer.json["message"]) == (
            400,
            (
                'Unable to convert to Table as requested: includeObject: Invalid value: "Foo": '
                "must be 'Metadata', 'Object', 'None', or empty"
            ),
        )
    assert server.ask("GET", MAPS, {"includeObject": ""}, headers=accept).code == 200


def test_a_long_body_of_yaml(server: ApiServer) -> None:
    body = b"metadata: {name: long}\ndata:\n" + b"".join(b"  k%d: v\n" % n for n in range(3000))
    made = server.ask("POST", MAPS, body=body, headers={"Content-Type": "application/yaml"})
    assert (made.code, len(made.json["data"])) == (201, 3000)
