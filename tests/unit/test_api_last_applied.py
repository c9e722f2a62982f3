"""`kubectl apply`, then `kubectl apply --server-side`: the note of the one holds for the other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobman.local.api.last_applied import ANNOTATION
from jobman.local.api.patch import APPLY
from jobman.local.api.registry import Registry, Write
from jobman.local.api.resources import resource_of
from jobman.local.api.status import ApiError

Object = dict[str, Any]

CONFIGMAPS = resource_of("configmaps")


def config(data: Object, **about: Any) -> Object:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": about, "data": data}


def noted(registry: Registry, body: Object, note: str | None = None) -> None:
    """The object as `kubectl apply` leaves it."""
    note = json.dumps(body) if note is None else note
    about = {**body["metadata"], "name": "it", "annotations": {ANNOTATION: note}}
    registry.create("configmaps", "default", {**body, "metadata": about})


def applied(registry: Registry, body: Object, manager: str = "kubectl") -> Any:
    write = Write(manager=manager)
    return registry.patch_as(CONFIGMAPS, "default", "it", APPLY, body, write).object


def note_of(obj: Object) -> str | None:
    note: str | None = obj["metadata"].get("annotations", {}).get(ANNOTATION)
    return note


def test_what_kubectl_applies_no_more_goes(registry: Registry) -> None:
    noted(registry, config({"a": "1", "b": "2"}, labels={"x": "y"}))
    found = applied(registry, config({"a": "5"}))
    assert found["data"] == {"a": "5"}
    assert "labels" not in found["metadata"]


def test_what_was_changed_since_and_what_others_apply_stays(registry: Registry) -> None:
    noted(
        registry, config({"a": "1", "b": "2", "c": "3"}), json.dumps(config({"a": "x", "b": "2"}))
    )
    applied(registry, config({"b": "2"}), "other")
    assert applied(registry, config({"d": "4"}))["data"] == {
        "a": "1",
        "b": "2",
        "c": "3",
        "d": "4",
    }


def test_the_note_is_kept_true(registry: Registry) -> None:
    noted(registry, config({"a": "1"}))
    found = applied(registry, config({"a": "<5> & \u2028é"}, annotations={"k": "v"}))
    assert note_of(found) == (
        '{"apiVersion":"v1","data":{"a":"\\u003c5\\u003e \\u0026 \\u2028é"},'
        '"kind":"ConfigMap","metadata":{"annotations":{"k":"v"}}}\n'
    )


def test_a_note_without_room_goes(registry: Registry) -> None:
    noted(registry, config({"a": "1"}))
    assert note_of(applied(registry, config({"a": "x" * 300_000}))) is None


def test_another_applier_leaves_the_note_and_what_it_tells_of(registry: Registry) -> None:
    noted(registry, config({"a": "1", "b": "2"}), "{}")
    found = applied(registry, config({"a": "5"}), "other")
    assert (found["data"], note_of(found)) == ({"a": "5", "b": "2"}, "{}")


def test_what_nobody_noted_gets_no_note(registry: Registry) -> None:
    applied(registry, config({"a": "1"}))
    assert note_of(applied(registry, config({"a": "2"}))) is None


def test_what_the_note_tells_is_not_in_conflict(registry: Registry) -> None:
    noted(registry, config({"a": "1", "b": "2"}), json.dumps(config({"a": "1"})))
    applied(registry, config({"a": "1", "b": "2"}), "other")
    with pytest.raises(ApiError) as refused:
        applied(registry, config({"a": "5", "b": "6"}))
    assert refused.value.code == 409
    assert applied(registry, config({"a": "5"}))["data"] == {"a": "5", "b": "2"}


@pytest.mark.parametrize(
    "note",
    [
        "no JSON",
        "[]",
        "7",
        '{"apiVersion":"v2","data":{"b":"2"}}',
        '{"apiVersion":"v1","metadata":[{}],"data":"b"}',
        "[" * 100_000,
        '{"apiVersion":"v1","data":{"b":{"c":[1]}}}',
    ],
)
def test_a_note_that_tells_nothing_of_use(registry: Registry, note: str) -> None:
    noted(registry, config({"a": "1", "b": "2"}), note)
    assert applied(registry, config({"a": "5"}))["data"] == {"a": "5", "b": "2"}
