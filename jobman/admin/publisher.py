"""The manifests of a queue publisher: account, rights, and what runs it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jobman.kube.labels import MANAGED_BY, MANAGED_BY_JOBMAN

Object = dict[str, Any]
Workload = Literal["deployment", "cronjob", "none"]

RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Publisher:
    """A publisher of the queue in one namespace.

    `names_configmap` None: not in the earlier tool's form. `readers` is the group that may read
    what is published. `schedule` is a CronJob's, `every` a Deployment's.
    """

    namespace: str
    configmap: str
    names_configmap: str | None
    image: str
    workload: Workload
    every: str
    schedule: str
    readers: str

    @property
    def name(self) -> str:
        """The name of all its objects."""
        return f"{self.configmap}-publisher"

    @property
    def configmaps(self) -> list[str]:
        """The ConfigMaps that it writes."""
        return [self.configmap, *([self.names_configmap] if self.names_configmap else [])]


def manifests(publisher: Publisher) -> list[Object]:
    """All of them, in the order in which they are to be applied."""
    found = [
        _object("v1", "ServiceAccount", publisher),
        *_cluster_rights(publisher),
        *_rights(publisher),
        *_readers(publisher),
    ]
    if publisher.workload == "deployment":
        found.append(_deployment(publisher))
    if publisher.workload == "cronjob":
        found.append(_cron_job(publisher))
    return found


def _object(
    api_version: str, kind: str, publisher: Publisher, *, of_cluster: bool = False, **more: Any
) -> Object:
    name = f"{publisher.namespace}-{publisher.name}" if of_cluster else publisher.name
    metadata: Object = {"name": name, "labels": {MANAGED_BY: MANAGED_BY_JOBMAN}}
    if not of_cluster:
        metadata["namespace"] = publisher.namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def _cluster_rights(publisher: Publisher) -> list[Object]:
    """Reading, of the whole cluster, what the queue is made of."""
    role = _object(
        f"{RBAC}/v1",
        "ClusterRole",
        publisher,
        of_cluster=True,
        rules=[
            _rule("", ["pods", "nodes"], ["list"]),
            _rule("batch", ["jobs"], ["list"]),
        ],
    )
    binding = _object(
        f"{RBAC}/v1",
        "ClusterRoleBinding",
        publisher,
        of_cluster=True,
        roleRef=_ref("ClusterRole", role["metadata"]["name"]),
        subjects=[_account(publisher)],
    )
    return [role, binding]


def _rights(publisher: Publisher) -> list[Object]:
    """Writing its ConfigMaps and its Lease; a name cannot be required of what is created."""
    lease = f"{publisher.configmap}-writer"
    role = _object(
        f"{RBAC}/v1",
        "Role",
        publisher,
        rules=[
            _rule("", ["configmaps"], ["create"]),
            _rule("", ["configmaps"], ["get", "patch"], publisher.configmaps),
            _rule("coordination.k8s.io", ["leases"], ["create"]),
            _rule("coordination.k8s.io", ["leases"], ["get", "update"], [lease]),
        ],
    )
    binding = _object(
        f"{RBAC}/v1",
        "RoleBinding",
        publisher,
        roleRef=_ref("Role", publisher.name),
        subjects=[_account(publisher)],
    )
    return [role, binding]


def _readers(publisher: Publisher) -> list[Object]:
    """Reading what is published, for everybody of a group."""
    role = _object(
        f"{RBAC}/v1",
        "Role",
        publisher,
        rules=[_rule("", ["configmaps"], ["get"], publisher.configmaps)],
    )
    role["metadata"]["name"] = f"{publisher.configmap}-reader"
    binding = _object(
        f"{RBAC}/v1",
        "RoleBinding",
        publisher,
        roleRef=_ref("Role", role["metadata"]["name"]),
        subjects=[{"apiGroup": RBAC, "kind": "Group", "name": publisher.readers}],
    )
    binding["metadata"]["name"] = role["metadata"]["name"]
    return [role, binding]


def _rule(
    group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()
) -> Object:
    rule: Object = {"apiGroups": [group], "resources": [*resources], "verbs": [*verbs]}
    return rule | ({"resourceNames": [*names]} if names else {})


def _ref(kind: str, name: str) -> Object:
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def _account(publisher: Publisher) -> Object:
    return {
        "kind": "ServiceAccount",
        "name": publisher.name,
        "namespace": publisher.namespace,
    }


def _deployment(publisher: Publisher) -> Object:
    """Two of them, so that a node that goes does not end the publishing; one writes."""
    labels = {"app.kubernetes.io/name": publisher.name}
    return _object(
        "apps/v1",
        "Deployment",
        publisher,
        spec={
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(publisher, ["--every", publisher.every]),
            },
        },
    )


def _cron_job(publisher: Publisher) -> Object:
    pod = _pod(publisher, []) | {"restartPolicy": "Never"}
    return _object(
        "batch/v1",
        "CronJob",
        publisher,
        spec={
            "schedule": publisher.schedule,
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 0,
                    "activeDeadlineSeconds": 300,
                    "template": {"spec": pod},
                }
            },
        },
    )


def _pod(publisher: Publisher, more: Sequence[str]) -> Object:
    names = publisher.names_configmap
    words = [
        *("jobman", "--namespace", publisher.namespace, "queue", "publish"),
        *("--configmap", publisher.configmap),
        *(("--names", "--names-configmap", names) if names else ()),
        *more,
    ]
    return {
        "serviceAccountName": publisher.name,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "publish",
                "image": publisher.image,
                "command": words,
                "env": [{"name": "HOME", "value": "/tmp"}],
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"memory": "512Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
