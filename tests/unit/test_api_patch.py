"""Patches: the laws of RFC 7386 and RFC 6902, and strategic merge by tables."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.local.api import json_patch, patch, strategic_merge
from jobman.local.api.status import ApiError

KEYS = st.text("abc/~", min_size=1, max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)


@pytest.mark.parametrize(
    ("target", "change", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7386(target: Any, change: Any, result: Any) -> None:
    assert patch.merge(target, change) == result


@given(OBJECTS, OBJECTS)
def test_a_merge_done_twice_is_a_merge_done_once(target: Any, change: Any) -> None:
    before = copy.deepcopy((target, change))
    once = patch.merge(target, change)
    assert patch.merge(once, change) == once
    assert (target, change) == before


@given(OBJECTS, OBJECTS)
def test_a_merge_sets_what_it_names_and_keeps_the_rest(target: Any, change: Any) -> None:
    merged = patch.merge(target, change)
    for key, value in change.items():
        assert (key in merged) == (value is not None)
        if not isinstance(value, dict | None):
            assert merged[key] == value
    for key in target.keys() - change.keys():
        assert merged[key] == target[key]


@given(JSON, JSON)
def test_replacing_the_root_gives_the_value(document: Any, value: Any) -> None:
    assert json_patch.apply(document, [{"op": "replace", "path": "", "value": value}]) == value


@given(OBJECTS, KEYS, JSON)
def test_added_then_tested_then_removed(document: Any, key: str, value: Any) -> None:
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    operations = [
        {"op": "add", "path": path, "value": value},
        {"op": "test", "path": path, "value": value},
        {"op": "copy", "from": path, "path": "/new"},
        {"op": "remove", "path": path},
        {"op": "move", "from": "/new", "path": path},
    ]
    assert (
        json_patch.apply(document, operations)
        == {each: item for each, item in {**document, key: value}.items() if each != "new"}
        or key == "new"
    )


@given(OBJECTS, st.lists(st.dictionaries(st.sampled_from(["op", "path", "from", "value"]), JSON)))
def test_any_operations_fit_or_are_refused(document: Any, operations: list[Any]) -> None:
    before = copy.deepcopy(document)
    with contextlib.suppress(json_patch.PatchError):
        json_patch.apply(document, operations)
    assert document == before


@pytest.mark.parametrize(
    ("document", "operation", "result"),
    [
        ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"a": [1, 2]}, {"op": "replace", "path": "/a/0", "value": 9}, {"a": [9, 2]}),
        ({"a/b": 1, "m~n": 2}, {"op": "remove", "path": "/a~1b"}, {"m~n": 2}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/c"}, {"a": {}, "c": 1}),
        ({"a": {}}, {"op": "test", "path": "/a/b", "value": None}, {"a": {}}),
    ],
)
def test_operations(document: Any, operation: dict[str, Any], result: Any) -> None:
    assert json_patch.apply(document, [operation]) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nope"},
        {"op": "replace", "path": "/nope", "value": 1},
        {"op": "add", "path": "/a/b/c", "value": 1},
        {"op": "add", "path": "/list/5", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "list", "value": 1},
        {"op": "add", "path": "/x"},
        {"op": "test", "path": "/one", "value": True},
        {"op": "test", "path": "/one", "value": None},
        {"op": "test", "path": "/nope/nope", "value": None},
        {"op": "test", "path": "/list/7", "value": None},
        {"op": "move", "from": "/a", "path": "/a/b"},
        {"op": "frobnicate", "path": "/a"},
        {},
    ],
)
def test_operations_that_do_not_fit(operation: dict[str, Any]) -> None:
    with pytest.raises(json_patch.PatchError):
        json_patch.apply({"a": {}, "one": 1, "list": [1, 2]}, [operation])


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": spec}


MAIN = {"name": "main", "image": "a", "env": [{"name": "A", "value": "1"}]}
SIDE = {"name": "side", "image": "b"}


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        pytest.param(
            {"containers": [MAIN, SIDE]},
            {"containers": [{"name": "side", "image": "c"}]},
            {"containers": [MAIN, {"name": "side", "image": "c"}]},
            id="containers merge by name",
        ),
        pytest.param(
            {"containers": [MAIN]},
            {"containers": [{"name": "main", "env": [{"name": "B", "value": "2"}]}]},
            {
                "containers": [
                    {**MAIN, "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}
                ]
            },
            id="a new variable comes first",
        ),
        pytest.param(
            {"containers": [MAIN]},
            {
                "$setElementOrder/containers": [{"name": "main"}, {"name": "side"}],
                "containers": [SIDE],
            },
            {"containers": [MAIN, SIDE]},
            id="the order that kubectl sends",
        ),
        pytest.param(
            {"containers": [MAIN, SIDE]},
            {"containers": [{"name": "side", "$patch": "delete"}]},
            {"containers": [MAIN]},
            id="an element deleted",
        ),
        pytest.param(
            {"containers": [MAIN, SIDE]},
            {"containers": [{"$patch": "replace"}, {"name": "new", "image": "z"}]},
            {"containers": [{"name": "new", "image": "z"}]},
            id="a list replaced",
        ),
        pytest.param(
            {"tolerations": [{"key": "a"}]},
            {"tolerations": [{"key": "b"}]},
            {"tolerations": [{"key": "b"}]},
            id="tolerations are atomic",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {
                "volumes": [
                    {"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}
                ]
            },
            {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
            id="a volume of another kind",
        ),
        pytest.param(
            {"nodeSelector": {"a": "1", "b": "2"}},
            {"nodeSelector": {"a": None, "c": "3"}},
            {"nodeSelector": {"b": "2", "c": "3"}},
            id="maps merge",
        ),
        pytest.param(
            {"securityContext": {"runAsUser": 1, "fsGroup": 2}},
            {"securityContext": {"$patch": "replace", "fsGroup": 3}},
            {"securityContext": {"fsGroup": 3}},
            id="a struct replaced",
        ),
        pytest.param(
            {"securityContext": {"runAsUser": 1}},
            {"securityContext": {"$patch": "delete"}},
            {"securityContext": {}},
            id="a struct emptied",
        ),
        pytest.param(
            {},
            {"containers": [{"name": "x", "env": [{"name": "A", "value": None}]}]},
            {"containers": [{"name": "x", "env": [{"name": "A"}]}]},
            id="nothing there yet: nulls and directives go",
        ),
    ],
)
def test_strategic_merge(before: Any, change: Any, after: Any) -> None:
    start = pod(**before)
    kept = copy.deepcopy(start)
    assert patch.apply_patch(patch.STRATEGIC, "Pod", start, pod(**change))["spec"] == after
    assert start == kept


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({"finalizers": ["b/c"]}, ["b/c", "a/b"]),
        ({"$deleteFromPrimitiveList/finalizers": ["a/b"]}, []),
        ({"finalizers": None}, None),
        (
            {"$setElementOrder/finalizers": ["a/b", "b/c"], "finalizers": ["b/c"]},
            ["a/b", "b/c"],
        ),
    ],
)
def test_finalizers_are_a_set(change: Any, after: Any) -> None:
    before = {"metadata": {"finalizers": ["a/b"]}}
    merged = patch.apply_patch(patch.STRATEGIC, "Job", before, {"metadata": change})
    assert merged["metadata"].get("finalizers") == after


def test_conditions_and_owners_merge_by_their_keys() -> None:
    before = {
        "metadata": {"ownerReferences": [{"uid": "1", "name": "a"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X"}]},
    }
    change = {
        "metadata": {"ownerReferences": [{"uid": "1", "controller": True}]},
        "status": {"conditions": [{"type": "Ready", "status": "False"}]},
    }
    merged = patch.apply_patch(patch.STRATEGIC, "Node", before, change)
    assert merged["metadata"]["ownerReferences"] == [{"uid": "1", "name": "a", "controller": True}]
    assert merged["status"]["conditions"] == [{"type": "Ready", "status": "False"}, {"type": "X"}]


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"containers": [{"image": "no name"}]}},
        {"spec": {"containers": ["x"]}},
        {"spec": {"$patch": "frobnicate"}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}},
        {"spec": {"$setElementOrder/containers": 5}},
        {"spec": {"$retainKeys": ["a"], "nodeName": "b"}},
    ],
)
def test_directives_that_make_no_sense_are_400(change: Any) -> None:
    with pytest.raises(ApiError) as refused:
        patch.apply_patch(patch.STRATEGIC, "Pod", pod(containers=[MAIN]), change)
    assert refused.value.code == 400


@given(OBJECTS, OBJECTS)
def test_without_a_type_strategic_merge_is_a_merge_patch(target: Any, change: Any) -> None:
    assert strategic_merge.merge("Unknown", target, change) == patch.merge(target, change)


@given(st.sampled_from(["Pod", "Job", "Node", "ConfigMap"]), JSON, JSON)
def test_any_patch_merges_or_is_refused(kind: str, before: Any, change: Any) -> None:
    names = ("metadata", "spec", "status", "containers", "finalizers", "conditions")
    obj = dict.fromkeys(names, before)
    for content_type in patch.CONTENT_TYPES:
        body = [change] if content_type == patch.JSON_PATCH else dict.fromkeys(names, change)
        assert outcome(content_type, kind, obj, body) in ("patched", 400, 422)


def outcome(content_type: str, kind: str, obj: dict[str, Any], body: Any) -> str | int:
    try:
        patch.apply_patch(content_type, kind, obj, body)
    except ApiError as error:
        return error.code
    return "patched"


def test_apply_merges_the_configuration() -> None:
    before = {"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [MAIN]}}
    config = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"b": "2"}},
        "spec": {"containers": [{"name": "main", "image": "z"}]},
    }
    merged = patch.apply_patch(patch.APPLY, "Pod", before, config)
    assert merged["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert merged["spec"]["containers"] == [{**MAIN, "image": "z"}]


def test_copies_do_not_make_much_of_little() -> None:
    twice = [{"op": "copy", "from": "/x", "path": "/x/-"}] * 40
    with pytest.raises(json_patch.PatchError):
        json_patch.apply({"x": []}, twice)


@pytest.mark.parametrize("content_type", [patch.STRATEGIC, patch.APPLY])
def test_long_lists_merge_at_once(content_type: str) -> None:
    names = [f"a/{number}" for number in range(60_000)]
    owners = [{"uid": name} for name in names]
    change = {"metadata": {"finalizers": names, "ownerReferences": owners}}
    merged = patch.apply_patch(content_type, "ConfigMap", {"metadata": {}}, change)
    assert merged == change
