"""Why something is allowed, and what keeps it from being so, in Kubernetes' words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import ApiServer

Object = dict[str, Any]
RBAC, AUTHORIZATION = "rbac.authorization.k8s.io", "authorization.k8s.io"
BOB = {"kind": "User", "apiGroup": RBAC, "name": "bob"}
PODS = "/api/v1/namespaces/default/pods"
NO_PODS = (
    'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace'
    ' "default"'
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path) as server:
        yield server


def bind(
    server: ApiServer,
    role: str,
    kind: str = "ClusterRole",
    *,
    everywhere: bool = False,
    subject: Mapping[str, str] = BOB,
) -> None:
    """Give bob a role in the namespace `default`, or everywhere, whether it is there or not."""
    obj = {
        "kind": "ClusterRoleBinding" if everywhere else "RoleBinding",
        "apiVersion": f"{RBAC}/v1",
        "metadata": {"name": f"bob-{role}"},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [dict(subject)],
    }
    where = "clusterrolebindings" if everywhere else "namespaces/default/rolebindings"
    assert server.ask("POST", f"/apis/{RBAC}/v1/{where}", body=obj).code == 201


def lost(kind: str, name: str) -> str:
    return f'{kind}.{RBAC} "{name}" not found'


def refusal(server: ApiServer, path: str) -> str:
    answer = server.ask("GET", path, user="bob")
    assert answer.code == 403
    return str(answer.json["message"])


def test_a_refusal_names_the_roles_that_are_not_there(served: ApiServer) -> None:
    assert refusal(served, PODS) == NO_PODS
    bind(served, "gone", "Role")
    assert refusal(served, PODS) == f"{NO_PODS}: RBAC: {lost('role', 'gone')}"
    metrics = 'forbidden: User "bob" cannot get path "/metrics"'
    assert refusal(served, "/metrics") == metrics
    bind(served, "away", everywhere=True)
    away = lost("clusterrole", "away")
    assert refusal(served, PODS) == f"{NO_PODS}: RBAC: [{away}, {lost('role', 'gone')}]"
    assert refusal(served, "/metrics") == f"{metrics}: RBAC: {away}"


def test_who_grants_too_much_is_told_of_roles_that_are_not_there(served: ApiServer) -> None:
    bind(served, "admin")
    bind(served, "gone", "Role")
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}
    role = {"kind": "Role", "apiVersion": f"{RBAC}/v1", "metadata": {"name": "r"}, "rules": [rule]}
    url = f"/apis/{RBAC}/v1/namespaces/default/roles"
    message = served.ask("POST", url, body=role, user="bob").json["message"]
    rights = '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}'
    assert message.endswith(f"\n{rights}; resolution errors: [{lost('roles', 'gone')}]")


def reviewed(server: ApiServer, kind: str, spec: Object, **asked: Any) -> Object:
    body = {"kind": kind, "apiVersion": f"{AUTHORIZATION}/v1", "spec": spec}
    url = f"/apis/{AUTHORIZATION}/v1/{kind.lower()}s"
    answer = server.ask("POST", url, body=body, **{"user": "bob", **asked})
    assert answer.code == 201
    status: Object = answer.json["status"]
    return status


def may(server: ApiServer, **asked: Any) -> Object:
    attributes = {"verb": "list", "resource": "pods", "namespace": "default"}
    spec = {"resourceAttributes": attributes}
    return reviewed(server, "SelfSubjectAccessReview", spec, **asked)


def may_read(server: ApiServer, path: str) -> Object:
    spec = {"nonResourceAttributes": {"verb": "get", "path": path}}
    return reviewed(server, "SelfSubjectAccessReview", spec)


def test_why_one_may(served: ApiServer) -> None:
    assert may(served) == {"allowed": False}
    bind(served, "gone")
    assert may(served) == {
        "allowed": False,
        "reason": f"RBAC: {lost('clusterrole', 'gone')}",
    }
    bind(served, "view")
    why = 'RBAC: allowed by RoleBinding "bob-view/default" of ClusterRole "view" to User "bob"'
    assert may(served) == {"allowed": True, "reason": why}
    why = (
        'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery"'
        ' to Group "system:authenticated"'
    )
    assert may_read(served, "/apis") == {"allowed": True, "reason": why}
    assert may_read(served, "/metrics") == {"allowed": False}


@pytest.mark.parametrize(
    ("everywhere", "kind"), [(True, "ClusterRoleBinding"), (False, "RoleBinding")]
)
def test_why_an_account_may(served: ApiServer, everywhere: bool, kind: str) -> None:
    account = {"kind": "ServiceAccount", "name": "runner", "namespace": "kube-public"}
    bind(served, "view", everywhere=everywhere, subject=account)
    head = {"Impersonate-User": "system:serviceaccount:kube-public:runner"}
    where = "" if everywhere else "/default"
    assert may(served, headers=head, user="admin")["reason"] == (
        f'RBAC: allowed by {kind} "bob-view{where}" of ClusterRole "view" to ServiceAccount'
        ' "runner/kube-public"'
    )


def test_what_one_may_is_what_all_his_roles_say(served: ApiServer) -> None:
    def told() -> Object:
        return reviewed(served, "SelfSubjectRulesReview", {"namespace": "default"})

    everything = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    assert "evaluationError" not in told()
    assert everything not in told()["nonResourceRules"]
    bind(served, "gone")
    bind(served, "cluster-admin")
    assert told()["evaluationError"] == lost("clusterrole", "gone")
    assert everything in told()["nonResourceRules"]
    assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in told()["resourceRules"]
