"""Roles that gather the rules of others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from plugins.local_registry import settle

from jobman.local.api.authz import RBAC
from jobman.local.api.registry import Registry
from jobman.local.controllers.role_aggregation import ROLES, RoleAggregation, gather
from jobman.local.stored import Record

Object = dict[str, Any]


@pytest.fixture
def aggregation(registry: Registry) -> Iterator[RoleAggregation]:
    found = RoleAggregation(registry)

    async def start() -> Any:
        return found.start()

    stop = asyncio.run(start())
    settle(found)
    yield found
    stop()


def rule(resource: str) -> Object:
    return {"verbs": ["get"], "apiGroups": ["example.com"], "resources": [resource]}


def create(registry: Registry, name: str, **fields: Any) -> None:
    about = {"name": name, "labels": fields.pop("labels", {})}
    obj = {"kind": "ClusterRole", "apiVersion": f"{RBAC}/v1", "metadata": about, **fields}
    registry.create(ROLES, "", obj)


def gathers(*selectors: Object) -> Object:
    return {"clusterRoleSelectors": list(selectors)}


def labelled(**labels: str) -> Object:
    return {"matchLabels": labels}


def told(registry: Registry, name: str) -> list[str]:
    """The resources of example.com that a role's rules are about, in their order."""
    rules = registry.get(ROLES, "", name)["rules"]
    return [r["resources"][0] for r in rules if r["apiGroups"] == ["example.com"]]


def own(name: str) -> str:
    return f"system:aggregate-to-{name}"


def test_a_role_is_read_once_however_many_select_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    plain = Record.object

    def told_of(record: Record) -> Object:
        read.append(record.key.name)
        return plain(record)

    create(registry, "one", labels={"a": "b"}, rules=[rule("ones")])
    selectors = [labelled(a="b")] * 100
    create(registry, "all", aggregationRule=gathers(*selectors), rules=[])
    monkeypatch.setattr(Record, "object", told_of)
    gather(registry, "all")
    monkeypatch.undo()
    assert told(registry, "all") == ["ones"]
    assert read.count("one") == 1


def test_the_clusters_own_roles_gather(registry: Registry) -> None:
    def rules(name: str) -> list[Object]:
        found: list[Object] = registry.get(ROLES, "", name)["rules"]
        return found

    assert rules("view") == rules(own("view"))
    assert rules("edit") == rules(own("edit")) + rules("view")
    assert rules("admin") == rules("edit") + rules(own("admin"))
    for name in ("view", "edit", "admin"):
        wanted = gathers({"matchLabels": {f"{RBAC}/aggregate-to-{name}": "true"}})
        assert registry.get(ROLES, "", name)["aggregationRule"] == wanted


def test_a_role_labelled_for_view_adds_to_all_three(
    registry: Registry, aggregation: RoleAggregation
) -> None:
    create(registry, "more", labels={f"{RBAC}/aggregate-to-view": "true"}, rules=[rule("widgets")])
    settle(aggregation)
    people = ("view", "edit", "admin")
    assert [told(registry, name) for name in people] == [["widgets"]] * 3
    registry.modify(ROLES, "", "more", lambda role: role.update(rules=[rule("gadgets")]))
    settle(aggregation)
    assert [told(registry, name) for name in people] == [["gadgets"]] * 3
    registry.modify(ROLES, "", "more", lambda role: role["metadata"].update(labels={}))
    settle(aggregation)
    assert [told(registry, name) for name in people] == [[]] * 3


def test_what_others_write_is_overwritten(registry: Registry, aggregation: RoleAggregation) -> None:
    create(registry, "a", labels={"for": "all"}, rules=[rule("a")])
    create(
        registry, "all", rules=[rule("mine")], aggregationRule=gathers(labelled(**{"for": "all"}))
    )
    settle(aggregation)
    assert told(registry, "all") == ["a"]
    registry.modify(ROLES, "", "all", lambda role: role.update(rules=[rule("b")]))
    settle(aggregation)
    assert told(registry, "all") == ["a"]
    registry.delete(ROLES, "", "a")
    settle(aggregation)
    assert told(registry, "all") == []


def test_what_is_gathered_in_which_order(registry: Registry, aggregation: RoleAggregation) -> None:
    tier = {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["1", "2"]}]}
    create(registry, "c", labels={"first": "yes"}, rules=[rule("c"), rule("both")])
    create(registry, "b", labels={"tier": "2"}, rules=[rule("both"), rule("b")])
    create(registry, "a", labels={"tier": "1"}, rules=[rule("a")])
    create(registry, "other", labels={"tier": "3"}, rules=[rule("other")])
    create(
        registry,
        "all",
        labels={"tier": "1"},
        aggregationRule=gathers(labelled(first="yes"), tier),
    )
    settle(aggregation)
    assert told(registry, "all") == ["c", "both", "a", "b"]


def test_one_that_gathers_no_more_keeps_its_rules(
    registry: Registry, aggregation: RoleAggregation
) -> None:
    create(registry, "a", labels={"for": "all"}, rules=[rule("a")])
    create(registry, "all", aggregationRule=gathers(labelled(**{"for": "all"})))
    settle(aggregation)
    registry.modify(ROLES, "", "all", lambda role: role.pop("aggregationRule"))
    registry.delete(ROLES, "", "a")
    settle(aggregation)
    assert told(registry, "all") == ["a"]


def test_two_that_gather_each_other_come_to_rest(
    registry: Registry, aggregation: RoleAggregation
) -> None:
    create(registry, "seed", labels={"for": "x"}, rules=[rule("a")])
    for name, other in (("x", "y"), ("y", "x")):
        create(
            registry,
            name,
            labels={"for": other},
            aggregationRule=gathers(labelled(**{"for": name})),
        )
    settle(aggregation)
    assert told(registry, "x") == told(registry, "y") == ["a"]


def test_a_ring_comes_to_rest_with_what_others_put_in(
    registry: Registry, aggregation: RoleAggregation
) -> None:
    """Each would hand on what it has from the one before, round and round."""

    async def comes_to_rest() -> bool:
        for _ in range(100):
            if not len(aggregation.queue):
                return True
            await aggregation.step()
        return False

    ring = {"x": "z", "y": "x", "z": "y"}
    for name, other in ring.items():
        create(
            registry,
            name,
            labels={"for": other},
            rules=[rule(f"own-{name}")],
            aggregationRule=gathers(labelled(**{"for": name})),
        )
    assert asyncio.run(comes_to_rest())
    create(registry, "seed", labels={"for": "x"}, rules=[rule("a")])
    assert asyncio.run(comes_to_rest())
    assert [told(registry, name) for name in ring] == [["a"]] * 3
    registry.delete(ROLES, "", "seed")
    assert asyncio.run(comes_to_rest())
    assert [told(registry, name) for name in ring] == [[]] * 3
