"""The manifests for runs of `jobman map --detach`: the runner's account and its rights. Pure."""

from __future__ import annotations

from typing import Any

from jobman.kube.labels import MANAGED_BY, MANAGED_BY_JOBMAN

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_RULES = (
    ("", ("pods",), ("get", "list", "watch", "create", "delete")),
    ("", ("pods/log",), ("get",)),
    ("", ("events",), ("list",)),
    ("batch", ("jobs",), ("get",)),
    ("coordination.k8s.io", ("leases",), ("get", "list", "watch", "create", "update", "delete")),
)
"""Group, resources and verbs: pods, their logs, why they wait, the runner's Job, its Lease."""


def manifests(namespace: str, account: str) -> list[Object]:
    """All of them, in the order in which they are to be applied."""
    rules = [
        {"apiGroups": [group], "resources": [*resources], "verbs": [*verbs]}
        for group, resources, verbs in _RULES
    ]
    return [
        _object("v1", "ServiceAccount", namespace, account),
        _object(f"{_RBAC}/v1", "Role", namespace, account, rules=rules),
        _object(
            f"{_RBAC}/v1",
            "RoleBinding",
            namespace,
            account,
            roleRef={"apiGroup": _RBAC, "kind": "Role", "name": account},
            subjects=[{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        ),
    ]


def _object(api_version: str, kind: str, namespace: str, name: str, **more: Any) -> Object:
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": {MANAGED_BY: MANAGED_BY_JOBMAN},
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}
