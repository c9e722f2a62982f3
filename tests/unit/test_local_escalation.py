"""Nobody gives what he has not, and who may speak for whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import Answer, ApiServer

from jobman.local.api import rule_cover
from jobman.local.api.users import identified

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
URL = f"/apis/{RBAC}/v1"
IN_DEFAULT = f"{URL}/namespaces/default"


def rule(verbs: str, resources: str, groups: str = "-", names: str = "") -> Object:
    found = {
        "verbs": verbs.split(),
        "apiGroups": ["" if group == "-" else group for group in groups.split()],
        "resources": resources.split(),
    }
    return found | ({"resourceNames": names.split()} if names else {})


def urls(*paths: str) -> Object:
    return {"verbs": ["get"], "nonResourceURLs": list(paths)}


@pytest.mark.parametrize(
    ("held", "asked", "lacking"),
    [
        ([rule("*", "*", "*")], [rule("get", "pods/log"), rule("x", "y", "z", "n")], []),
        ([rule("*", "*", "*")], [urls("/api")], [urls("/api")]),
        ([rule("get list", "pods")], [rule("list get", "pods")], []),
        ([rule("get", "pods"), rule("list", "pods")], [rule("get list", "pods")], []),
        ([rule("get", "pods")], [rule("get list watch", "pods")], [rule("list watch", "pods")]),
        ([rule("get", "pods")], [rule("get", "pods secrets")], [rule("get", "secrets")]),
        ([rule("get", "pods")], [rule("get", "pods", "- apps")], [rule("get", "pods", "apps")]),
        ([rule("get", "pods")], [rule("get", "pods/log")], [rule("get", "pods/log")]),
        ([rule("get", "*/log")], [rule("get", "pods/log")], []),
        ([rule("get", "*/log")], [rule("get", "pods")], [rule("get", "pods")]),
        ([rule("get", "pods")], [rule("get", "*")], [rule("get", "*")]),
        ([rule("get", "pods")], [rule("*", "pods")], [rule("*", "pods")]),
        ([rule("get", "pods")], [rule("get", "pods", names="a")], []),
        ([rule("get", "pods", names="a")], [rule("get", "pods")], [rule("get", "pods")]),
        (
            [rule("get", "pods", names="a")],
            [rule("get", "pods", names="a b")],
            [rule("get", "pods", names="b")],
        ),
        ([urls("/api/*")], [urls("/api/v1", "/apis")], [urls("/apis")]),
        ([urls("/api")], [urls("/api/*")], [urls("/api/*")]),
        ([urls("*")], [urls("/a", "/b/*")], []),
    ],
)
def test_what_rules_lack(held: list[Object], asked: list[Object], lacking: list[Object]) -> None:
    assert rule_cover.missing(held, asked) == lacking


def role(*rules: Object, kind: str = "Role", name: str = "r") -> Object:
    about = {"kind": kind, "apiVersion": f"{RBAC}/v1", "metadata": {"name": name}}
    return {**about, "rules": list(rules)}


def binding(name: str, user: str = "bob", kind: str = "ClusterRole") -> Object:
    return {
        "kind": "RoleBinding",
        "apiVersion": f"{RBAC}/v1",
        "metadata": {"name": f"{name}-{user}"},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": user}],
    }


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ApiServer]:
    """A server where alice is admin of the namespace `default`."""
    with ApiServer(tmp_path) as server:
        made = server.ask("POST", f"{IN_DEFAULT}/rolebindings", body=binding("admin", "alice"))
        assert made.code == 201
        yield server


def bound(server: ApiServer, name: str, **how: Any) -> Answer:
    url = f"{IN_DEFAULT}/rolebindings"
    return server.ask("POST", url, body=binding(name, **how), user="alice")


@pytest.mark.parametrize("name", ["view", "edit", "admin"])
def test_an_admin_gives_what_he_has(served: ApiServer, name: str) -> None:
    pods = "/api/v1/namespaces/default/pods"
    assert served.ask("GET", pods, user="bob").code == 403
    assert bound(served, name).code == 201
    assert served.ask("GET", pods, user="bob").code == 200
    assert served.ask("GET", "/api/v1/pods", user="bob").code == 403


def test_an_admin_does_not_give_more_than_he_has(served: ApiServer) -> None:
    refused = bound(served, "cluster-admin")
    assert (refused.code, refused.json["reason"]) == (403, "Forbidden")
    assert refused.json["message"] == (
        f'rolebindings.{RBAC} "cluster-admin-bob" is forbidden: user "alice"'
        ' (groups=["team-a" "system:authenticated"]) is attempting to grant RBAC permissions not'
        ' currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n'
        '{NonResourceURLs:["*"], Verbs:["*"]}'
    )
    assert bound(served, "nope").json["message"] == f'clusterroles.{RBAC} "nope" not found'
    own = role(rule("get list", "pods secrets"), rule("create", "jobs", "batch"))
    assert served.ask("POST", f"{IN_DEFAULT}/roles", body=own, user="alice").code == 201
    wider = role(*own["rules"], rule("get list", "nodes"))
    refused = served.ask("PUT", f"{IN_DEFAULT}/roles/r", body=wider, user="alice")
    assert refused.code == 403
    assert refused.json["message"].endswith(
        '\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}'
    )
    assert served.ask("PUT", f"{IN_DEFAULT}/roles/r", body=wider).code == 200
    patch = {"metadata": {"finalizers": ["a.example/b"]}}
    merge = {"Content-Type": "application/merge-patch+json"}
    owned = served.ask("PATCH", f"{IN_DEFAULT}/roles/r", body=patch, headers=merge, user="alice")
    assert owned.code == 200
    patch = {"metadata": {"labels": {"a": "b"}}}
    named = served.ask("PATCH", f"{IN_DEFAULT}/roles/r", body=patch, headers=merge, user="alice")
    assert named.code == 403
    assert bound(served, "r", kind="Role").code == 403


@pytest.mark.parametrize(
    ("verb", "resource", "asked"),
    [
        ("bind", "clusterroles", "rolebindings"),
        ("escalate", "roles", "roles"),
    ],
)
def test_who_may_give_more_is_not_asked(
    served: ApiServer, verb: str, resource: str, asked: str
) -> None:
    body = binding("cluster-admin") if verb == "bind" else role(rule("*", "*", "*"))
    assert served.ask("POST", f"{IN_DEFAULT}/{asked}", body=body, user="alice").code == 403
    more = role(rule(verb, resource, RBAC), name="more")
    assert served.ask("POST", f"{IN_DEFAULT}/roles", body=more).code == 201
    given = binding("more", "alice", "Role")
    assert served.ask("POST", f"{IN_DEFAULT}/rolebindings", body=given).code == 201
    assert served.ask("POST", f"{IN_DEFAULT}/{asked}", body=body, user="alice").code == 201


def test_an_editor_speaks_for_the_accounts_of_his_namespace(served: ApiServer) -> None:
    def who(account: str) -> Answer:
        head = {"Impersonate-User": account}
        review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        url = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        return served.ask("POST", url, body=review, headers=head, user="alice")

    said = who("system:serviceaccount:default:runner").json["status"]["userInfo"]
    assert said["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    for other in ("system:serviceaccount:kube-system:runner", "bob"):
        assert who(other).code == 403


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("bob", "", "system:authenticated"),
        ("bob", "team", "team system:authenticated"),
        ("bob", "system:authenticated", "system:authenticated"),
        ("bob", "system:unauthenticated", "system:unauthenticated"),
        ("system:anonymous", "", "system:unauthenticated"),
        ("system:anonymous", "system:unauthenticated", "system:unauthenticated"),
        ("system:serviceaccount:a:b", "team", "team system:authenticated"),
    ],
)
def test_which_groups_go_with_a_name(name: str, given: str, expected: str) -> None:
    assert identified(name, given.split()).groups == tuple(expected.split())
