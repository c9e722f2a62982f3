"""What the registry offers to the cluster's own parts."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest
from plugins.local_registry import config_map, names, pod

from jobman.local.api.registry import DeleteOptions, Registry

Object = dict[str, Any]


def running(told: Object) -> Object:
    return {**told, "phase": "Running"}


def test_a_status_is_replaced_and_what_is_known_stays(registry: Registry) -> None:
    known = registry.create("pods", "default", pod("p"))
    before = deepcopy(known)
    written = registry.replace_status("pods", known, running)
    assert written == registry.get("pods", "default", "p")
    assert written is not None
    assert written["status"]["phase"] == "Running"
    assert written["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    assert known == before


def test_a_status_is_merged_with_the_one_that_is_there(registry: Registry) -> None:
    known = registry.create("pods", "default", pod("p"))
    registry.modify("pods", "default", "p", lambda found: found["status"].update(message="said"))
    registry.modify(
        "pods", "default", "p", lambda found: found["metadata"].update(labels={"a": "b"})
    )
    written = registry.replace_status("pods", known, running)
    assert written is not None
    assert (written["status"]["message"], written["status"]["phase"]) == ("said", "Running")
    assert written["metadata"]["labels"] == {"a": "b"}
    assert registry.get("pods", "default", "p") == written


def test_a_status_is_that_of_one_very_object(registry: Registry) -> None:
    known = registry.create("pods", "default", pod("p"))
    registry.delete("pods", "default", "p")
    assert registry.find("pods", "default", "p") is None
    assert registry.replace_status("pods", known, running) is None
    other = registry.create("pods", "default", pod("p"))
    assert registry.replace_status("pods", known, running) is None
    assert registry.get("pods", "default", "p") == other


def test_a_grace_period_longer_than_a_calendar_is_long(registry: Registry) -> None:
    wanted = pod("p")
    wanted["spec"] |= {"nodeName": "n", "terminationGracePeriodSeconds": 2**63 - 1}
    registry.create("pods", "default", wanted)
    registry.delete("pods", "default", "p")
    marked = registry.get("pods", "default", "p")["metadata"]["deletionTimestamp"]
    assert marked > "2050"
    registry.delete("pods", "default", "p", DeleteOptions(grace_s=2))
    assert registry.get("pods", "default", "p")["metadata"]["deletionTimestamp"] < marked


@pytest.mark.parametrize(
    ("own", "given"),
    [
        ({}, [{"name": "of-account"}]),
        ({"imagePullSecrets": []}, [{"name": "of-account"}]),
        ({"imagePullSecrets": [{"name": "own"}]}, [{"name": "own"}]),
        ({"serviceAccountName": "bare"}, None),
    ],
)
def test_a_pod_without_pull_secrets_has_those_of_its_account(
    registry: Registry, own: Object, given: list[Object] | None
) -> None:
    for name, secrets in (("default", [{"name": "of-account"}]), ("bare", [])):
        about = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        account = {**about, "imagePullSecrets": secrets}
        registry.create("serviceaccounts", "default", account)
    made = registry.create("pods", "default", pod("p", **own))
    assert made["spec"].get("imagePullSecrets") == given


def test_others_have_their_turn_while_many_are_deleted(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they delete, or make anew, is not what was to be deleted."""
    monkeypatch.setattr("jobman.local.api.registry._TURN_S", 0)
    for name in ("a", "b", "c", "d"):
        registry.create("configmaps", "default", config_map(name))
    records = registry.store.list("configmaps", "default")

    async def other() -> None:
        registry.delete("configmaps", "default", "c")
        registry.delete("configmaps", "default", "d")
        registry.create("configmaps", "default", config_map("d"))

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(registry.delete_collection(records, DeleteOptions()))
            group.create_task(other())

    asyncio.run(both())
    assert names(registry.list("configmaps", "default")) == ["d"]
