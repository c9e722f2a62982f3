"""A member of one namespace, with Kubernetes' role `edit` there and no other rights."""

from __future__ import annotations

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
