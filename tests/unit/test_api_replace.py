"""Objects that are replaced as a whole: which of it is a change, and of which object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import ApiServer
from plugins.local_registry import job

from jobman.local.api.registry import Registry


def backwards(value: Any) -> Any:
    """The same with the keys of its objects in another order, as clients sort them."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(list(value))}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def test_what_comes_in_another_order_is_no_change(registry: Registry) -> None:
    before = registry.create("jobs.batch", "default", job(suspend=True, backoffLimit=3))
    again = registry.update("jobs.batch", "default", "j", backwards(before))
    assert again["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    again["spec"]["suspend"] = False
    changed = registry.update("jobs.batch", "default", "j", backwards(again))
    assert changed["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    assert changed["metadata"]["generation"] == before["metadata"]["generation"] + 1


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({}, "the name of the object (n based on URL) was undeterminable: name must be provided"),
        ({"name": "o"}, "the name of the object (o) does not match the name on the URL (n)"),
    ],
)
def test_the_finalizers_of_a_namespace_are_set_by_its_name(
    tmp_path: Path, about: dict[str, str], why: str
) -> None:
    with ApiServer(tmp_path) as server:
        named = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
        assert server.ask("POST", "/api/v1/namespaces", body=named).code == 201
        refused = server.ask("PUT", "/api/v1/namespaces/n/finalize", body={"metadata": about})
        assert (refused.code, refused.json["message"]) == (400, why)
        done = server.ask("PUT", "/api/v1/namespaces/n/finalize", body=named)
        assert (done.code, done.json["spec"]) == (200, {"finalizers": []})
