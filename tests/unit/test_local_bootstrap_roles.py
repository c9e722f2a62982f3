"""The roles that every cluster has: what they give, and that they cannot be lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from jobman.local.api import authz
from jobman.local.api.authz import RBAC, Act
from jobman.local.api.registry import Registry
from jobman.local.api.users import ANONYMOUS, User
from jobman.local.controllers import bootstrap_roles
from jobman.local.controllers.bootstrap_roles import BINDINGS
from jobman.local.controllers.role_aggregation import ROLES

Object = dict[str, Any]
ALICE = User("alice")
PEOPLE = ("view", "edit", "admin", "cluster-admin")
# Act -> the least of PEOPLE that allows it, bound in a namespace.
LEAST = {
    Act("list", "", "pods"): "view",
    Act("watch", "batch", "jobs"): "view",
    Act("get", "", "pods", "log"): "view",
    Act("list", "", "events"): "view",
    Act("get", "", "configmaps"): "view",
    Act("list", "", "resourcequotas"): "view",
    Act("list", "", "limitranges"): "view",
    Act("get", "", "namespaces"): "view",
    Act("list", "", "persistentvolumeclaims"): "view",
    Act("list", "", "serviceaccounts"): "view",
    Act("get", "resource.k8s.io", "resourceclaims", "status"): "view",
    Act("list", "", "secrets"): "edit",
    Act("get", "coordination.k8s.io", "leases"): "edit",
    Act("create", "batch", "jobs"): "edit",
    Act("deletecollection", "batch", "jobs"): "edit",
    Act("patch", "", "pods"): "edit",
    Act("create", "", "pods", "exec"): "edit",
    Act("get", "", "pods", "exec"): "edit",
    Act("create", "", "pods", "eviction"): "edit",
    Act("create", "", "secrets"): "edit",
    Act("update", "", "configmaps"): "edit",
    Act("create", "coordination.k8s.io", "leases"): "edit",
    Act("create", "resource.k8s.io", "resourceclaimtemplates"): "edit",
    Act("impersonate", "", "serviceaccounts"): "edit",
    Act("list", RBAC, "roles"): "admin",
    Act("create", RBAC, "rolebindings"): "admin",
    Act("create", "", "resourcequotas"): "cluster-admin",
    Act("create", "", "limitranges"): "cluster-admin",
    Act("patch", "", "pods", "status"): "cluster-admin",
    Act("create", "", "pods", "binding"): "cluster-admin",
    Act("patch", "batch", "jobs", "status"): "cluster-admin",
    Act("delete", "", "namespaces"): "cluster-admin",
    Act("list", "", "nodes"): "cluster-admin",
    Act("list", RBAC, "clusterroles"): "cluster-admin",
    Act("create", "scheduling.k8s.io", "priorityclasses"): "cluster-admin",
}


def bind(registry: Registry, role: str) -> None:
    binding = {
        "kind": "RoleBinding",
        "apiVersion": f"{RBAC}/v1",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "alice"}],
    }
    registry.create(f"rolebindings.{RBAC}", "default", binding)


def may(registry: Registry, act: Act, namespace: str) -> bool:
    return authz.decide(registry, ALICE, replace(act, namespace=namespace)) is not None


@pytest.mark.parametrize("role", PEOPLE)
def test_what_a_role_allows_in_its_namespace(registry: Registry, role: str) -> None:
    bind(registry, role)
    enough = {act for act, least in LEAST.items() if PEOPLE.index(role) >= PEOPLE.index(least)}
    assert {act for act in LEAST if may(registry, act, "default")} == enough
    assert not [act for act in LEAST if may(registry, act, "kube-public")]


def test_what_everybody_may_ask(registry: Registry) -> None:
    def paths(user: User) -> list[str]:
        asked = ("/version", "/readyz", "/apis/batch", "/openapi/v3", "/metrics")
        return [p for p in asked if authz.decide_path(registry, user, "get", p) is not None]

    assert paths(ALICE) == ["/version", "/readyz", "/apis/batch", "/openapi/v3"]
    assert paths(ANONYMOUS) == ["/version", "/readyz"]


def restart(registry: Registry) -> None:
    bootstrap_roles.ensure(registry)


def test_a_deleted_role_is_made_anew(registry: Registry) -> None:
    names = {resource: registry.list(resource) for resource in (ROLES, BINDINGS)}
    for resource, found in names.items():
        for each in found:
            registry.delete(resource, "", each["metadata"]["name"])
    restart(registry)
    for resource, found in names.items():
        again = registry.list(resource)
        assert [each["metadata"]["name"] for each in again] == [
            each["metadata"]["name"] for each in found
        ]


def weaken(role: Object) -> None:
    role["rules"] = [{"verbs": ["get"], "apiGroups": ["batch"], "resources": ["jobs"]}]
    role["metadata"]["labels"] = {"mine": "too"}


@pytest.mark.parametrize(("autoupdate", "kept"), [("true", True), ("", True), ("false", False)])
def test_an_edited_role_gets_back_what_it_lacks(
    registry: Registry, autoupdate: str, kept: bool
) -> None:
    def change(role: Object) -> None:
        weaken(role)
        role["rules"].append({"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]})
        said = {"rbac.authorization.kubernetes.io/autoupdate": autoupdate} if autoupdate else {}
        role["metadata"]["annotations"] = said

    name = "system:aggregate-to-view"
    bind(registry, name)
    registry.modify(ROLES, "", name, change)
    restart(registry)
    assert may(registry, Act("get", "", "nodes"), "default")
    assert may(registry, Act("get", "batch", "jobs"), "default")
    assert may(registry, Act("list", "batch", "jobs"), "default") is kept
    assert may(registry, Act("get", "", "pods", "log"), "default") is kept
    about = registry.get(ROLES, "", name)["metadata"]
    assert about["labels"]["mine"] == "too"
    assert ("kubernetes.io/bootstrapping" in about["labels"]) is kept
    version = registry.store.rv
    restart(registry)
    assert registry.store.rv == version


def gather_more(role: Object) -> None:
    role["aggregationRule"]["clusterRoleSelectors"] = [{"matchLabels": {"mine": "too"}}]


def gather_nothing(role: Object) -> None:
    del role["aggregationRule"]


@pytest.mark.parametrize("change", [gather_more, gather_nothing])
def test_a_role_gathers_again_what_it_has_to(
    registry: Registry, change: Callable[[Object], None]
) -> None:
    before = registry.get(ROLES, "", "edit")
    registry.modify(ROLES, "", "edit", change)
    registry.modify(ROLES, "", "edit", lambda role: role.update(rules=[]))
    restart(registry)
    after = registry.get(ROLES, "", "edit")
    assert after["rules"] == before["rules"]
    selected = after["aggregationRule"]["clusterRoleSelectors"]
    own = {"matchLabels": {f"{RBAC}/aggregate-to-edit": "true"}}
    more = [{"matchLabels": {"mine": "too"}}] if change is gather_more else []
    assert selected == [*more, own]


def test_one_that_is_to_have_rules_of_its_own_gathers_none(registry: Registry) -> None:
    gathers = {"clusterRoleSelectors": [{"matchLabels": {"mine": "too"}}]}
    registry.modify(
        ROLES, "", "system:basic-user", lambda role: role.update(aggregationRule=gathers)
    )
    restart(registry)
    assert "aggregationRule" not in registry.get(ROLES, "", "system:basic-user")


def lose_subjects(binding: Object) -> None:
    binding["subjects"] = [{"kind": "User", "apiGroup": RBAC, "name": "bob"}]


def point_elsewhere(binding: Object) -> None:
    binding["roleRef"]["name"] = "view"


@pytest.mark.parametrize("change", [lose_subjects, point_elsewhere])
def test_an_edited_binding_gets_back_what_it_lacks(
    registry: Registry, change: Callable[[Object], None]
) -> None:
    registry.modify(BINDINGS, "", "system:discovery", change)
    assert authz.decide_path(registry, ALICE, "get", "/apis") is None
    restart(registry)
    assert authz.decide_path(registry, ALICE, "get", "/apis") is not None
    subjects = [s["name"] for s in registry.get(BINDINGS, "", "system:discovery")["subjects"]]
    assert ("bob" in subjects) is (change is lose_subjects)


def test_the_owner_cannot_shut_himself_out(registry: Registry) -> None:
    registry.delete(BINDINGS, "", "cluster-admin")
    owner = User("owner", ("system:masters",))
    assert authz.decide_path(registry, owner, "get", "/metrics") is not None
    assert authz.decide(registry, owner, Act("list", "", "nodes")) is not None
