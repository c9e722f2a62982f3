"""Layers over one another, and where each value came from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.config.merge import Merged


def merged(*layers: dict[str, Any]) -> Merged:
    made = Merged()
    for index, layer in enumerate(layers):
        made.put_over(layer, f"layer {index}")
    return made


def flavors(*entries: tuple[str, Any]) -> dict[str, Any]:
    predefined = [{"name": name, "resources": resources} for name, resources in entries]
    return {"job": {"resources": {"predefined": predefined}}}


@pytest.mark.parametrize(
    ("layers", "value", "origin"),
    [
        pytest.param([], {}, {}, id="none"),
        pytest.param(
            [{"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}],
            {"a": {"b": 1, "c": 3}},
            {"a.b": "layer 0", "a.c": "layer 1"},
            id="objects by key",
        ),
        pytest.param(
            [{"a": [1, 2]}, {"a": [3]}], {"a": [3]}, {"a": "layer 1"}, id="lists are replaced"
        ),
        pytest.param(
            [{"a": {"b": 1}}, {"a": None}], {"a": None}, {"a": "layer 1"}, id="null over an object"
        ),
        pytest.param(
            [{"a": None}, {"a": {"b": 1}}],
            {"a": {"b": 1}},
            {"a.b": "layer 1"},
            id="an object over null",
        ),
        pytest.param(
            [flavors(("s", 1), ("l", 2)), flavors(("l", 3), ("x", 4))],
            flavors(("s", 1), ("l", 3), ("x", 4)),
            {
                "job.resources.predefined[l]": "layer 1",
                "job.resources.predefined[s]": "layer 0",
                "job.resources.predefined[x]": "layer 1",
            },
            id="flavors by name, each whole and in its place",
        ),
        pytest.param(
            [flavors(("s", {"cpu": 1})), flavors(("s", None))],
            flavors(("s", None)),
            {"job.resources.predefined[s]": "layer 1"},
            id="a hidden flavor",
        ),
        pytest.param(
            [flavors(("s", 1)), {"job": {"resources": {"predefined": None}}}, flavors(("x", 2))],
            flavors(("x", 2)),
            {"job.resources.predefined[x]": "layer 2"},
            id="null takes all flavors out",
        ),
        pytest.param(
            [{"harborProjects": [{"name": "p", "token": 1}]}, {"harborProjects": [{"name": "p"}]}],
            {"harborProjects": [{"name": "p"}]},
            {"harborProjects[p]": "layer 1"},
            id="projects by name",
        ),
    ],
)
def test_merge(layers: list[dict[str, Any]], value: Any, origin: dict[str, str]) -> None:
    made = merged(*layers)
    assert made.value == value
    assert made.origin == origin


def test_layers_stay_as_they_are() -> None:
    below, above = {"a": {"b": 1}}, {"a": {"c": 2}}
    merged(below, above)
    assert (below, above) == ({"a": {"b": 1}}, {"a": {"c": 2}})


keys = st.sampled_from("abc")
trees = st.dictionaries(
    keys, st.recursive(st.none() | st.integers(), lambda x: st.dictionaries(keys, x), max_leaves=6)
)


@given(trees, trees)
def test_the_last_layer_has_its_way(below: dict[str, Any], above: dict[str, Any]) -> None:
    made = merged(below, above)
    assert merged(made.value, above).value == made.value
    for path, value in leaves(above):
        assert at(made.value, path) == value
        assert made.origin[".".join(path)] == "layer 1"


@given(trees)
def test_empty_layers_change_nothing(tree: dict[str, Any]) -> None:
    assert merged({}, tree, {}).value == tree


def leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Any:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree
