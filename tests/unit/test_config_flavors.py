"""Flavors: what is refused with which path, and what `-r` finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobman.config.flavors import Flavor, is_extended, is_gpu, resolve
from jobman.config.problems import problems_of
from jobman.config.settings import Settings
from jobman.errors import ConfigError, UsageError

NVIDIA = "nvidia.com/gpu"


def flavor(**more: Any) -> dict[str, Any]:
    return {"name": "f", "resources": {"requests": {"cpu": "1"}}} | more


def resources(requests: Any = None, limits: Any = None) -> dict[str, Any]:
    return flavor(resources={"requests": requests or {}, "limits": limits or {}})


def problems(value: Any) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        Flavor.model_validate(value)
    return [str(problem) for problem in problems_of(raised.value, Flavor)]


LABEL_RULE = (
    "only letters, digits, '-', '_' and '.' are allowed, with a letter or digit at both ends"
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            resources({"cpu": "1x"}),
            ["resources.requests.cpu: '1x' is no quantity (like 500m, 2, 1.5 or 4Gi)"],
            id="bad quantity",
        ),
        pytest.param(
            resources({"memory": True}),
            ["resources.requests.memory: True is no quantity"],
            id="a boolean",
        ),
        pytest.param(
            resources({"cpu": "-1"}),
            ["resources.requests.cpu: '-1' is negative"],
            id="a negative amount",
        ),
        pytest.param(
            resources({"memory": "2Gi"}, {"memory": "1024Mi"}),
            ["resources.requests.memory: 2Gi is over the limit (1024Mi)"],
            id="request over limit",
        ),
        pytest.param(
            resources({NVIDIA: 0.5}),
            [
                (
                    'resources.requests["nvidia.com/gpu"]: '
                    "'0.5' is no whole number; nvidia.com/gpu cannot be divided"
                )
            ],
            id="half a GPU",
        ),
        pytest.param(
            resources({NVIDIA: 1}, {NVIDIA: 2}),
            [
                (
                    'resources.requests["nvidia.com/gpu"]: '
                    "1 must equal the limit (2): it cannot be overcommitted"
                )
            ],
            id="GPUs unequal",
        ),
        pytest.param(
            resources({"hugepages-2Mi": "2Mi"}, {"hugepages-2Mi": "4Mi"}),
            [
                (
                    "resources.requests.hugepages-2Mi: "
                    "2Mi must equal the limit (4Mi): it cannot be overcommitted"
                )
            ],
            id="huge pages unequal",
        ),
        pytest.param(
            resources({"mem": "1Gi", "gpu": 1}),
            [
                "resources.requests.mem: no resource of Kubernetes; did you mean 'memory'?",
                "resources.requests.gpu: no resource of Kubernetes; a GPU is nvidia.com/gpu",
            ],
            id="unknown resources",
        ),
        pytest.param(
            flavor(name="a b"), [f"name: 'a b' is no flavor name: {LABEL_RULE}"], id="bad name"
        ),
        pytest.param(flavor(name=""), ["name: '' is no flavor name: it is empty"], id="no name"),
        pytest.param(
            flavor(name=7), ["name: found 7: input should be a valid string"], id="name a number"
        ),
        pytest.param(
            {"name": "f", "resurces": {}},
            ["resources: is missing", "resurces: unknown key; did you mean 'resources'?"],
            id="unknown key",
        ),
        pytest.param(
            flavor(resources={"request": {}}),
            ["resources.request: unknown key; did you mean 'requests'?"],
            id="unknown key below",
        ),
        pytest.param(
            flavor(resources={"requests": [1]}),
            ["resources.requests: found a list: input should be an object"],
            id="a list",
        ),
        pytest.param(
            flavor(nodeSelector={"zone": "a b"}),
            [f"nodeSelector.zone: is no label: {LABEL_RULE}"],
            id="bad label",
        ),
        pytest.param(flavor(timeLimit=0), ["timeLimit: '0' leaves no time at all"], id="no time"),
        pytest.param(
            flavor(timeLimit="soon"),
            ["timeLimit: 'soon' is no duration (like 90, 45s, 2h30m, 7d or 1-02:30:00)"],
            id="no duration",
        ),
        pytest.param(
            flavor(tolerations=[{"operator": "Exists"}, {"key": "a", "efect": "NoSchedule"}]),
            ["tolerations[1].efect: unknown key; did you mean 'effect'?"],
            id="a toleration's key",
        ),
        pytest.param(
            flavor(tolerations=[{"value": "x"}]),
            ["tolerations[0].operator: must be Exists where there is no key"],
            id="a toleration of all keys",
        ),
        pytest.param(
            flavor(tolerations=[{"key": "a", "operator": "Exists", "value": "x"}]),
            ["tolerations[0].value: must be empty where the operator is Exists"],
            id="a toleration's value",
        ),
        pytest.param(
            flavor(tolerations=[{"key": "a", "tolerationSeconds": 5}]),
            ["tolerations[0].effect: must be NoExecute where tolerationSeconds is set"],
            id="a toleration's seconds",
        ),
        pytest.param(
            flavor(tolerations=[{"key": "a/b/c"}]),
            [
                (
                    "tolerations[0].key: 'a/b/c' is no taint's key: "
                    "its prefix 'a/b' is no DNS name: "
                    "only lower case letters, digits, '-' and '.' are allowed, "
                    "with a letter or digit at both ends of each part"
                )
            ],
            id="a taint's key",
        ),
        pytest.param(
            {
                "name": "a b",
                "resources": {"requests": {"cpu": "x", NVIDIA: 0.5}},
                "timeLimit": 0,
            },
            [
                f"name: 'a b' is no flavor name: {LABEL_RULE}",
                "resources.requests.cpu: 'x' is no quantity (like 500m, 2, 1.5 or 4Gi)",
                (
                    'resources.requests["nvidia.com/gpu"]: '
                    "'0.5' is no whole number; nvidia.com/gpu cannot be divided"
                ),
                "timeLimit: '0' leaves no time at all",
            ],
            id="all at once",
        ),
    ],
)
def test_refused(value: Any, expected: list[str]) -> None:
    assert problems(value) == expected


def test_extended_resources_get_their_limits() -> None:
    made = Flavor.model_validate(
        resources({"cpu": 2, NVIDIA: "1", "hugepages-2Mi": "4Mi"}, {"memory": "4Gi"})
    )
    assert made.requests == {"cpu": "2", NVIDIA: "1", "hugepages-2Mi": "4Mi"}
    assert made.limits == {"memory": "4Gi", NVIDIA: "1", "hugepages-2Mi": "4Mi"}
    assert made.gpu_count == 1


def test_limits_alone() -> None:
    made = Flavor.model_validate(resources(None, {"cpu": "2", NVIDIA: 3}))
    assert (made.requests, made.gpu_count) == ({}, 3)


def test_equal_in_different_words() -> None:
    made = Flavor.model_validate(resources({NVIDIA: "2", "memory": "1Gi"}, {NVIDIA: 2.0}))
    assert made.limits[NVIDIA] == "2.0"


def test_null_is_absent() -> None:
    value = flavor(description=None, image=None, nodeSelector=None, tolerations=None)
    value["resources"]["limits"] = None
    assert Flavor.model_validate(value) == Flavor.model_validate(flavor())


def test_a_hidden_flavor_has_no_amounts() -> None:
    hidden = Flavor.model_validate(flavor(resources=None))
    assert (hidden.requests, hidden.limits, hidden.gpu_count) == ({}, {}, 0)


@pytest.mark.parametrize(
    ("resource", "extended", "gpu"),
    [
        (NVIDIA, True, True),
        ("amd.com/gpu", True, True),
        ("nvidia.com/mig-1g.10gb", True, False),
        ("cpu", False, False),
        ("kubernetes.io/gpu", False, False),
        ("x.kubernetes.io/gpu", False, False),
    ],
)
def test_kinds_of_resources(resource: str, extended: bool, gpu: bool) -> None:
    assert (is_extended(resource), is_gpu(resource)) == (extended, gpu)


def test_resources_on_top() -> None:
    made = Flavor.model_validate(resources({"cpu": 1, "memory": "2Gi"}, {"memory": "2Gi"}))
    changed = made.with_resources({"memory": "4Gi", "cpu": "2", NVIDIA: "1"})
    assert changed.requests == {"cpu": "2", "memory": "4Gi", NVIDIA: "1"}
    assert changed.limits == {"memory": "4Gi", NVIDIA: "1"}
    assert changed.name == "f"
    without = changed.with_resources({NVIDIA: "0"})
    assert NVIDIA not in {**without.requests, **without.limits}


def test_bad_resources_on_top_are_all_told() -> None:
    with pytest.raises(UsageError) as raised:
        Flavor.model_validate(flavor()).with_resources({"cpu": "x", NVIDIA: "0.5"})
    assert raised.value.message.splitlines() == [
        "resources on top of flavor 'f':",
        "  resources.requests.cpu: 'x' is no quantity (like 500m, 2, 1.5 or 4Gi)",
        (
            '  resources.requests["nvidia.com/gpu"]: '
            "'0.5' is no whole number; nvidia.com/gpu cannot be divided"
        ),
    ]


def test_seed_json_is_taken_again() -> None:
    made = Flavor.model_validate(
        flavor(description="d", tolerations=[{"key": "a"}], timeLimit="2h", nodeSelector={"a": "b"})
    )
    assert made.seed_json() == {
        "name": "f",
        "description": "d",
        "resources": {"requests": {"cpu": "1"}},
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "a"}],
        "timeLimit": "2h",
    }
    assert Flavor.model_validate(made.seed_json()) == made


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
known_keys = st.dictionaries(
    st.sampled_from(["name", "resources", "tolerations", "nodeSelector", "timeLimit", "image"]),
    json_values | st.fixed_dictionaries({"requests": json_values, "limits": json_values}),
)


@given(json_values | known_keys)
def test_any_json_is_a_flavor_or_a_problem_with_a_path(value: Any) -> None:
    told = []
    try:
        Flavor.model_validate(value)
    except ValidationError as error:
        told = problems_of(error, Flavor)
    assert all(problem.message for problem in told)


SETTINGS = Settings.model_validate(
    {"job": {"resources": {"default": "small", "predefined": [flavor(name="small")]}}}
)


def test_a_name(tmp_path: Path) -> None:
    assert resolve("small", SETTINGS, tmp_path).name == "small"
    assert resolve(None, SETTINGS, tmp_path).name == "small"


def test_json_then_a_file_then_a_name(tmp_path: Path) -> None:
    (tmp_path / "small").write_text(json.dumps(flavor(name="of-the-file")))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "f.json").write_text("\ufeff" + json.dumps(flavor(name="deeper")))
    assert resolve(json.dumps(flavor(name="inline")), SETTINGS, tmp_path).name == "inline"
    assert resolve("small", SETTINGS, tmp_path).name == "of-the-file"
    assert resolve("sub/f.json", SETTINGS, tmp_path).name == "deeper"
    assert resolve(str(tmp_path / "sub" / "f.json"), SETTINGS, Path("/")).name == "deeper"


def test_the_default_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "small").write_text("echo a script of that name\n")
    assert resolve(None, SETTINGS, tmp_path).name == "small"


def test_the_default_may_be_json(tmp_path: Path) -> None:
    default = json.dumps(flavor(name="inline"))
    settings = Settings.model_validate({"job": {"resources": {"default": default}}})
    assert resolve(None, settings, tmp_path).name == "inline"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smal", "unknown flavor 'smal'; closest: small"),
        ("xyz", "unknown flavor 'xyz'"),
        ("", "unknown flavor ''"),
        ("x" * 5000, f"unknown flavor '{'x' * 79}…'"),
        ("a\0b", "unknown flavor 'a\\x00b'"),
        ("{", "the flavor given as JSON is not JSON"),
        ("{" * 100_000, "the flavor given as JSON is not JSON"),
        (json.dumps(flavor(resources=None)), "the flavor given as JSON:\n  resources: is null"),
        ('{"name": "f"}', "the flavor given as JSON:\n  resources: is missing"),
    ],
)
def test_what_r_refuses(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        resolve(text, SETTINGS, tmp_path)
    assert raised.value.message.startswith(message)


def test_in_a_deleted_directory_there_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    file = tmp_path / "f.json"
    file.write_text(json.dumps(flavor(name="of-the-file")))
    assert resolve(str(file), SETTINGS, None).name == "of-the-file"
    with pytest.raises(UsageError, match="unknown flavor"):
        resolve(str(file)[1:], SETTINGS, None)


def test_a_deep_nest_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nested too deeply|is not JSON"):
        resolve('{"a":' * 100_000, SETTINGS, tmp_path)


def test_the_choices_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        resolve("smal", SETTINGS, tmp_path)
    assert raised.value.hint == "flavors: small (jobman flavors)"


def test_no_default(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        resolve(None, Settings(), tmp_path)
    assert "give -r, or set job.resources.default" in raised.value.message
    assert raised.value.hint == "all flavors: jobman flavors"


def test_a_file_in_the_way_of_a_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "small").write_text("echo a script of that name\n")
    with pytest.raises(UsageError, match="flavor file small is not JSON") as raised:
        resolve("small", SETTINGS, tmp_path)
    assert raised.value.hint == "the file small outranks the flavor of that name; move or rename it"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe{")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        resolve("binary", SETTINGS, tmp_path)
    (tmp_path / "flavor.json").symlink_to("/proc/self/mem")
    with pytest.raises(ConfigError, match="flavor file"):
        resolve("flavor.json", SETTINGS, tmp_path)
