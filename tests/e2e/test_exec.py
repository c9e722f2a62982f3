"""`jobman exec`: exit codes, bytes, terminals."""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml
from kubernetes import client as k8s
from plugins.terminal import on_terminal


@pytest.fixture
def job(jobman: Any) -> str:
    jobman.submit("-j", "shell", "--", "sleep", "300")
    jobman("wait", "shell", "--for", "started").ok()
    return "shell"


def test_commands(jobman: Any, job: str) -> None:
    done = jobman("exec", job, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.code, done.text) == (7, "out\n")
    assert "err" in done.talk
    data = os.urandom(2_000_000)
    assert jobman("exec", job, "-i", "--", "cat", stdin=data).ok().out == data
    assert jobman("exec", "-i", job, "wc", "-c", stdin=data).ok().text.strip() == "2000000"
    assert jobman("exec", job, "--", "cat", stdin=b"not passed on").ok().out == b""
    assert jobman("exec", job, "echo", "a", "--", "-x").ok().text == "a -- -x\n"
    missing = jobman("exec", job, "--", "no-such-command")
    assert missing.code not in (0, None)
    assert "no-such-command" in missing.talk


def test_refusals(jobman: Any, job: str) -> None:
    other = {"JOBMAN_USER": "somebody"}
    assert jobman("exec", job, "--", "true", env=other).code == 4
    assert jobman("exec", "--force", job, "--", "true", env=other).code == 0
    assert jobman("exec", job).code == 2
    assert jobman("exec", job, "--index", "3", "--", "true").code == 2
    assert jobman("exec", job, "-c", "nope", "--", "true").code == 2
    assert jobman("exec", "nope", "--", "true").code == 3
    jobman.submit("-j", "over", "--wait", "--", "true")
    assert jobman("exec", "over", "--", "true").code == 3


def test_for_somebody_else(jobman: Any, job: str, api: Any, namespace: str) -> None:
    """A kubeconfig that acts as a user whose rights come from the second of the groups."""
    rights = k8s.RbacAuthorizationV1Api(api)
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    rights.create_namespaced_role(namespace, {"metadata": {"name": "all"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "all"}
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "second"}
    rights.create_namespaced_role_binding(
        namespace, {"metadata": {"name": "all"}, "roleRef": role, "subjects": [group]}
    )
    config = yaml.safe_load(jobman.cluster.kubeconfig.read_text())
    for number, groups in enumerate((["first"], ["first", "second"])):
        for user in config["users"]:
            user["user"] |= {"as": "deputy", "as-groups": groups}
        file = jobman.cwd / f"deputy{number}"
        file.write_text(yaml.safe_dump(config))
    refused = jobman("exec", "--force", job, "--", "true", env={"KUBECONFIG": "deputy0"})
    assert (refused.code, "deputy" in refused.talk) == (4, True)
    done = jobman("exec", "--force", job, "echo", "hi", env={"KUBECONFIG": "deputy1"})
    assert done.ok().text == "hi\n"


def test_a_terminal(jobman: Any, job: str) -> None:
    with on_terminal(["exec", job, "-it", "--", "sh"], jobman.env, jobman.cwd) as terminal:
        for columns, rows in ((77, 33), (88, 44)):
            terminal.resize(columns, rows)
            size = f"{rows} {columns}"
            until = f"until test \"$(stty size)\" = '{size}'; do sleep 0.1; done"
            terminal.type(f"{until}; echo i''s {size}\n".encode())
            terminal.wait_for(f"is {size}".encode())
        terminal.type(b"exit 6\n")
        assert terminal.finish() == 6
