"""What `jobman admin manifests` prints, against Kubernetes' own models of the objects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from kubernetes import client as k8s
from plugins.command_line import Run
from pydantic import ValidationError

MODELS = {
    "ServiceAccount": k8s.V1ServiceAccount,
    "ClusterRole": k8s.V1ClusterRole,
    "ClusterRoleBinding": k8s.V1ClusterRoleBinding,
    "Role": k8s.V1Role,
    "RoleBinding": k8s.V1RoleBinding,
    "Deployment": k8s.V1Deployment,
    "CronJob": k8s.V1CronJob,
}
VERSIONS = {
    "ServiceAccount": "v1",
    "Deployment": "apps/v1",
    "CronJob": "batch/v1",
}
ALL = [
    (),
    ("--names",),
    ("--as", "cronjob", "--names"),
    ("--as", "cronjob", "--schedule", "*/5 * * * *"),
    ("--map",),
]


def check(manifest: dict[str, Any]) -> None:
    """Raise ValidationError for what Kubernetes' model of the kind does not have so."""
    model: Any = MODELS[manifest["kind"]]
    model.model_validate(manifest, strict=True)


@pytest.mark.parametrize("args", ALL, ids=" ".join)
def test_they_are_as_kubernetes_has_them(run: Run, args: tuple[str, ...]) -> None:
    found = [*yaml.safe_load_all(run("-n", "public", "admin", "manifests", *args).out)]
    assert found
    for manifest in found:
        kind = manifest["kind"]
        rbac = "rbac.authorization.k8s.io/v1"
        assert manifest["apiVersion"] == VERSIONS.get(kind, rbac)
        check(manifest)


JOB = {"template": {"spec": {"containers": [{"name": "main"}]}}}


@pytest.mark.parametrize(
    "spec",
    [
        {"schedule": "@daily"},
        {"schedule": 5, "jobTemplate": {"spec": JOB}},
        {"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": {}}}}},
        {"schedule": "@daily", "jobTemplate": {"spec": JOB}, "concurrency": "Forbid"},
    ],
    ids=["nothing to run", "a number for a text", "no containers", "an unknown field"],
)
def test_a_mistake_would_be_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check({"kind": "CronJob", "spec": spec})


def test_what_is_right_is_taken() -> None:
    check({"kind": "CronJob", "spec": {"schedule": "@daily", "jobTemplate": {"spec": JOB}}})


@pytest.mark.parametrize("args", ALL[:4], ids=" ".join)
def test_they_fit_together(run: Run, args: tuple[str, ...]) -> None:
    """Bindings name the roles and the account that are there; pods run as it."""
    found = [*yaml.safe_load_all(run("-n", "public", "admin", "manifests", *args).out)]
    names = {(each["kind"], each["metadata"]["name"]) for each in found}
    for binding in (each for each in found if each["kind"].endswith("Binding")):
        role = binding["roleRef"]
        assert (role["kind"], role["name"]) in names
        for subject in binding["subjects"]:
            assert subject["kind"] == "Group" or ("ServiceAccount", subject["name"]) in names
            assert subject.get("namespace", "public") == "public"
    workload = found[-1]
    spec = workload["spec"]
    pods = spec if workload["kind"] == "Deployment" else spec["jobTemplate"]["spec"]
    assert ("ServiceAccount", pods["template"]["spec"]["serviceAccountName"]) in names
    if workload["kind"] == "Deployment":
        labels = pods["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
