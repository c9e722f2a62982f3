"""A member of one namespace, with Kubernetes' role `edit` there and no other rights."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plugins.accounts import As


@pytest.fixture
def member(kubectl: Any, as_account: As, namespace: str) -> Any:
    """`jobman` as that member."""
    kubectl("create", "serviceaccount", "member").ok()
    account = f"--serviceaccount={namespace}:member"
    kubectl("create", "rolebinding", "member", "--clusterrole=edit", account).ok()
    return as_account("member")


def test_a_member_has_the_whole_life_of_a_job(member: Any) -> None:
    member.submit("-j", "hello", "--wait", "--", "echo", "hi")
    assert "hello" in member("list").ok().text
    assert "hi\n" in member("logs", "hello").ok().text
    assert "SuccessfulCreate" in member("details", "hello").ok().text
    member.submit("-j", "shell", "--", "sleep", "300")
    member("wait", "shell", "--for", "started").ok()
    assert member("exec", "shell", "--", "echo", "in").ok().text == "in\n"
    assert "1 running" in member("queue").ok().text
    member("cancel", "shell").ok()
    member("delete", "hello", "shell", "-y").ok()
    assert "rights       all" in member("doctor").ok().text


def test_a_member_has_no_rights_elsewhere(member: Any, namespace: str) -> None:
    assert member("nodes").code == 4
    assert member("list", "--all-namespaces").code == 4
    assert member("-n", "default", "list").code == 4
    assert member("-n", "default", "submit", "--", "true").code == 4


def test_rights_added_to_a_role_that_gathers_others(
    kubectl: Any, as_account: As, namespace: str
) -> None:
    label, gathering, gathered = f"example.com/for-{namespace}", f"{namespace}-all", namespace
    kubectl("create", "serviceaccount", "watcher").ok()
    watcher = as_account("watcher")
    role, account = f"--clusterrole={gathering}", f"--serviceaccount={namespace}:watcher"
    kubectl("create", "rolebinding", "watcher", role, account).ok()
    kubectl("create", "clusterrole", gathering, f"--aggregation-rule={label}=yes").ok()
    try:
        kubectl("create", "clusterrole", gathered, "--verb=list", "--resource=configmaps").ok()
        kubectl("label", "clusterrole", gathered, f"{label}=yes").ok()
        found = "jsonpath={.rules[0].resources[0]}=configmaps"
        kubectl("wait", "clusterrole", gathering, f"--for={found}", "--timeout=50s").ok()
        asked = ("--kubeconfig", watcher.env["KUBECONFIG"], "get", "configmaps", "-o", "name")
        assert "kube-root-ca.crt" in kubectl(*asked).ok().text
    finally:
        kubectl("delete", "clusterrole", gathering, gathered, "--ignore-not-found").ok()


def test_who_may_all_speaks_for_somebody_else(kubectl: Any, member: Any, namespace: str) -> None:
    somebody = ("--as", "somebody", "--as-uid", "7", "--as-group", "a", "--as-group", "b")
    told = json.loads(kubectl("auth", "whoami", *somebody, "-o", "json").ok().text)
    groups = ["a", "b", "system:authenticated"]
    assert told["status"]["userInfo"] == {"username": "somebody", "uid": "7", "groups": groups}
    of_member = ("--kubeconfig", member.env["KUBECONFIG"], "get", "pods")
    account = f"system:serviceaccount:{namespace}:default"
    assert f'User "{account}" cannot list' in kubectl(*of_member, "--as", account).talk
    for more in (somebody[:2], ("--as", account, "--as-uid", "7")):
        assert "cannot impersonate" in kubectl(*of_member, *more).talk


def test_a_member_is_told_of_a_role_that_is_not_there(
    kubectl: Any, member: Any, namespace: str
) -> None:
    account = f"--serviceaccount={namespace}:member"
    kubectl("create", "rolebinding", "lost", "--role=lost", account).ok()
    talk = kubectl("--kubeconfig", member.env["KUBECONFIG"], "get", "roles").talk
    assert 'RBAC: role.rbac.authorization.k8s.io "lost" not found' in talk


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (("create", "jobs.batch"), "yes"),
        (("delete", "pods"), "yes"),
        (("get", "pods/log"), "yes"),
        (("create", "roles.rbac.authorization.k8s.io"), "no"),
        (("create", "resourcequotas"), "no"),
        (("list", "nodes"), "no"),
    ],
)
def test_what_kubectl_says_a_member_may(
    member: Any, kubectl: Any, question: tuple[str, str], answer: str
) -> None:
    told = kubectl("--kubeconfig", member.env["KUBECONFIG"], "auth", "can-i", *question)
    assert told.text.strip() == answer
