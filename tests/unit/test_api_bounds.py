"""What may bound a namespace, and who may do what: what is allowed, and what is newly refused."""

from __future__ import annotations

import pytest
from plugins.new_object import made, told

from jobman.local.api import validation


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


def test_a_token_of_a_service_account_names_it() -> None:
    kind = "kubernetes.io/service-account-token"
    named = {"annotations": {"kubernetes.io/service-account.name": "builder"}}
    assert told(made("Secret", type=kind, metadata=named)) == []
