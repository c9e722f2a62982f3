"""What may bound a namespace, and who may do what: what is allowed, and what is newly refused."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.local_registry import pod
from plugins.new_object import made, told

from jobman.local.api import validation
from jobman.local.api.registry import Registry


def quota(hard: dict[str, str], **spec: Any) -> dict[str, Any]:
    return made("ResourceQuota", spec={"hard": hard, **spec})


def selecting(scope: str, operator: str, *values: str) -> dict[str, Any]:
    wanted = {"scopeName": scope, "operator": operator, "values": list(values)}
    return {"matchExpressions": [wanted]}


POD_SCOPES = (
    "Terminating",
    "NotTerminating",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
)


@pytest.mark.parametrize("scope", POD_SCOPES)
def test_scopes_of_pods_count_what_pods_take(scope: str) -> None:
    assert told(quota({"pods": "1", "cpu": "2", "limits.memory": "1Gi"}, scopes=[scope])) == []
    (found,) = told(quota({"requests.storage": "1Gi"}, scopes=[scope]))
    assert found.endswith("unsupported scope applied to resource")


def test_a_scope_of_claims_counts_no_pods() -> None:
    scopes = ["VolumeAttributesClass"]
    claims = {"persistentvolumeclaims": "1", "requests.storage": "1Gi"}
    assert told(quota(claims, scopes=scopes)) == []
    assert told(quota({"pods": "1"}, scopes=scopes)) == [
        (
            'spec.scopes: Invalid value: ["VolumeAttributesClass"]: unsupported scope applied to'
            " resource"
        )
    ]


@pytest.mark.parametrize("scope", ["BestEffort", "CrossNamespacePodAffinity"])
def test_a_scope_without_values_only_exists(scope: str) -> None:
    assert told(quota({"pods": "1"}, scopeSelector=selecting(scope, "Exists"))) == []
    (found,) = told(quota({"pods": "1"}, scopeSelector=selecting(scope, "In", "a")))
    assert found.startswith(
        "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exists'"
        " when scope is any of ResourceQuotaScopeTerminating,"
    )


@pytest.mark.parametrize("scope", ["PriorityClass", "VolumeAttributesClass"])
def test_a_scope_with_values_selects_them(scope: str) -> None:
    assert told(quota({}, scopeSelector=selecting(scope, "NotIn", "a"))) == []
    assert told(quota({}, scopeSelector=selecting(scope, "DoesNotExist"))) == []


@pytest.mark.parametrize(
    "name",
    [
        "count/jobs.batch",
        "requests.nvidia.com/gpu",
        "requests.hugepages-2Mi",
        "services.nodeports",
        "gold.storageclass.storage.k8s.io/requests.storage",
    ],
)
def test_what_quotas_may_count(name: str) -> None:
    assert told(quota({name: "1"}, scopes=[])) == []


def rescoped(before: dict[str, Any], scopes: list[str]) -> list[str]:
    after = {**before, "spec": {**before["spec"], "scopes": scopes}}
    causes = validation.validate_update("ResourceQuota", before, after)
    return [f"{cause.field}: {cause.message}" for cause in causes]


def test_a_quotas_scopes_stay() -> None:
    before = quota({"pods": "1"}, scopes=["BestEffort", "Terminating"])
    assert rescoped(before, ["Terminating", "BestEffort"]) == []
    assert rescoped(before, ["BestEffort"]) == [
        'spec.scopes: Invalid value: ["BestEffort"]: field is immutable'
    ]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "Container", "min": {"cpu": "-1"}},
        {"type": "Container", "min": {"cpu": "0"}, "max": {"cpu": "1"}},
        {"type": "example.com/rack", "max": {"storage": "1Gi"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
        {
            "type": "Container",
            "min": {"cpu": "100m"},
            "max": {"cpu": "300m"},
            "maxLimitRequestRatio": {"cpu": "3"},
        },
    ],
)
def test_limits_that_are_allowed(item: dict[str, Any]) -> None:
    assert told(made("LimitRange", spec={"limits": [item]})) == []


def test_a_minimum_below_nothing_bounds_nothing(registry: Registry) -> None:
    item = {"type": "Container", "min": {"cpu": "-1"}, "defaultRequest": {"cpu": "1"}}
    about = {"metadata": {"name": "low"}, "spec": {"limits": [item]}}
    registry.create("limitranges", "default", {"kind": "LimitRange", "apiVersion": "v1", **about})
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
    registry.create("serviceaccounts", "default", account)
    made_pod = registry.create("pods", "default", pod("p"))
    assert made_pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}


def test_no_minimum_leaves_any_ratio_room() -> None:
    ratio = {"min": {"cpu": "0"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "9"}}
    assert told(made("LimitRange", spec={"limits": [{"type": "Pod", **ratio}]})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("system-cluster-critical", 2000000000), ("system-node-critical", 2000001000)],
)
def test_the_systems_own_priority_classes(name: str, value: int) -> None:
    before = made("PriorityClass", name=name, value=value)
    after = {**before, "value": 5}
    assert told(before) == []
    assert [
        cause.field for cause in validation.validate_update("PriorityClass", before, after)
    ] == ["value"]


def test_cluster_roles_have_urls_and_roles_none() -> None:
    rules = [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]
    assert told(made("ClusterRole", rules=rules)) == []
    assert told(made("Role", rules=rules)) == [
        (
            'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply'
            " to non-resource URLs"
        )
    ]


@pytest.mark.parametrize(
    ("selectors", "refusals"),
    [
        ([{}], []),
        ([{"matchLabels": {"a": "b"}}], []),
        (
            [],
            [
                (
                    "aggregationRule.clusterRoleSelectors: Required value: at least one"
                    " clusterRoleSelector required if aggregationRule is non-nil"
                )
            ],
        ),
        (
            [{}, {"matchExpressions": [{"key": "a", "operator": "In"}]}],
            [
                (
                    "aggregationRule.clusterRoleSelectors[1].matchExpressions[0].values: Required"
                    " value: must be specified when `operator` is 'In' or 'NotIn'"
                ),
                (
                    "aggregationRule.clusterRoleSelectors[1]: Invalid value: null: invalid label"
                    " selector."
                ),
            ],
        ),
    ],
)
def test_a_cluster_role_selects_others(selectors: list[Any], refusals: list[str]) -> None:
    given = {"clusterRoleSelectors": selectors}
    assert told(made("ClusterRole", aggregationRule=given)) == refusals


RBAC = "rbac.authorization.k8s.io"
BOUND = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "r"}


@pytest.mark.parametrize(
    ("kind", "role", "refusals"),
    [
        ("RoleBinding", {"kind": "Role"}, []),
        (
            "ClusterRoleBinding",
            {"kind": "Role"},
            ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'],
        ),
        (
            "RoleBinding",
            {"kind": "Rolle"},
            ['roleRef.kind: Unsupported value: "Rolle": supported values: "Role", "ClusterRole"'],
        ),
        (
            "RoleBinding",
            {"apiGroup": "x", "name": "a/b"},
            [
                f'roleRef.apiGroup: Unsupported value: "x": supported values: "{RBAC}"',
                "roleRef.name: Invalid value: \"a/b\": may not contain '/'",
            ],
        ),
    ],
)
def test_a_binding_refers_to_a_role(kind: str, role: dict[str, str], refusals: list[str]) -> None:
    assert told(made(kind, roleRef=BOUND | role)) == refusals


@pytest.mark.parametrize(
    ("kind", "subject", "refusals"),
    [
        ("RoleBinding", {"kind": "ServiceAccount", "name": "a"}, []),
        (
            "ClusterRoleBinding",
            {"kind": "ServiceAccount", "name": "a"},
            ["subjects[0].namespace: Required value"],
        ),
        (
            "RoleBinding",
            {"kind": "ServiceAccount", "name": "a", "apiGroup": RBAC},
            [f'subjects[0].apiGroup: Unsupported value: "{RBAC}": supported values: ""'],
        ),
        ("RoleBinding", {"kind": "Group", "name": "a b/c"}, []),
        (
            "RoleBinding",
            {"kind": "User", "name": "a", "apiGroup": "x"},
            [f'subjects[0].apiGroup: Unsupported value: "x": supported values: "{RBAC}"'],
        ),
        ("RoleBinding", {"kind": "User"}, ["subjects[0].name: Required value"]),
    ],
)
def test_whom_a_binding_names(kind: str, subject: dict[str, str], refusals: list[str]) -> None:
    assert told(made(kind, roleRef=BOUND, subjects=[subject])) == refusals


def test_a_service_account_in_a_binding_is_named_as_one() -> None:
    (refusal,) = told(
        made("RoleBinding", roleRef=BOUND, subjects=[{"kind": "ServiceAccount", "name": "A"}])
    )
    assert refusal.startswith('subjects[0].name: Invalid value: "A": a lowercase RFC 1123')


def test_a_binding_stays_that_of_its_role() -> None:
    before = made("RoleBinding", roleRef=BOUND)
    after = made("RoleBinding", roleRef=BOUND | {"name": "s"})
    (refusal,) = validation.validate_update("RoleBinding", before, after)
    value = f'{{"APIGroup":"{RBAC}","Kind":"ClusterRole","Name":"s"}}'
    assert refusal.message == f"Invalid value: {value}: cannot change roleRef"


def test_a_token_of_a_service_account_names_it() -> None:
    kind = "kubernetes.io/service-account-token"
    named = {"annotations": {"kubernetes.io/service-account.name": "builder"}}
    assert told(made("Secret", type=kind, metadata=named)) == []


@pytest.mark.parametrize("name", ["requests.nvidia.com/gpu", f"{'a' * 245}.com/x"])
def test_what_is_no_extended_resource(name: str) -> None:
    greedy = {"name": "main", "image": "busybox", "resources": {"limits": {name: "1"}}}
    found = told(made("Pod", spec={"containers": [greedy]}))
    assert any("doesn't follow extended resource name standard" in text for text in found)
