"""Server-side apply: what an applier drops goes, what others own stays."""

from __future__ import annotations

import functools
import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from jobman.local.api import apply
from jobman.local.api.managed_fields import after_update
from jobman.local.api.patch import APPLY, MERGE
from jobman.local.api.registry import Registry, Write
from jobman.local.api.resources import RESOURCES, resource_of
from jobman.local.api.status import ApiError

Object = dict[str, Any]

WRITES = Path(__file__).parents[1] / "contract" / "recordings" / "writes.jsonl.gz"
JOBS, CONFIGMAPS = resource_of("jobs.batch"), resource_of("configmaps")
A, B = {"name": "a", "image": "x"}, {"name": "b", "image": "x", "command": ["true"]}


def applied(registry: Registry, body: Object, manager: str = "one", *, force: bool = False) -> Any:
    resource = next(each for each in RESOURCES if each.kind == body["kind"])
    write = Write(manager=manager, force=force)
    return registry.patch_as(resource, "default", "it", APPLY, body, write).object


def config(data: Object, **about: Any) -> Object:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": about, "data": data}


def job(*containers: Object, **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [*containers]}}
    spec = {"suspend": True, "template": template, **spec}
    return {"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": "it"}, "spec": spec}


def managers(obj: Object) -> dict[str, Any]:
    return {each["manager"]: each["fieldsV1"] for each in obj["metadata"].get("managedFields", [])}


def test_a_dropped_field_goes_and_the_others_stay(registry: Registry) -> None:
    applied(registry, config({"a": "1", "b": "2"}, labels={"x": "y"}))
    found = applied(registry, config({"b": "2"}))
    assert found["data"] == {"b": "2"}
    assert "labels" not in found["metadata"]
    assert managers(found) == {"one": {"f:data": {"f:b": {}}}}


def test_a_dropped_field_gets_its_default_again(registry: Registry) -> None:
    applied(registry, job(A, parallelism=3, backoffLimit=1))
    found = applied(registry, job(A, parallelism=3))
    assert found["spec"]["backoffLimit"] == 6
    assert found["metadata"]["generation"] == 2


def test_an_item_of_a_list_goes_by_its_key(registry: Registry) -> None:
    def account(*names: str, **about: Any) -> Object:
        secrets = [{"name": name} for name in names]
        head = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": about}
        return {**head, "secrets": secrets}

    applied(registry, account("a", "b", finalizers=["x.io/a", "x.io/b"]))
    applied(registry, account("c"), "two")
    found = applied(registry, account("b", finalizers=["x.io/b"]))
    assert sorted(each["name"] for each in found["secrets"]) == ["b", "c"]
    assert found["metadata"]["finalizers"] == ["x.io/b"]


def test_the_same_again_writes_nothing(registry: Registry) -> None:
    first = applied(registry, config({"a": "1"}))
    assert applied(registry, config({"a": "1"})) == first


def test_what_another_applies_too_stays(registry: Registry) -> None:
    applied(registry, config({"a": "1", "b": "2"}))
    applied(registry, config({"a": "1"}), "two")
    assert applied(registry, config({"b": "2"}))["data"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize("empty", [{"labels": {}}, {"labels": {"a": "1"}, "finalizers": []}])
def test_what_was_applied_empty_and_is_filled_now_stays(registry: Registry, empty: Object) -> None:
    applied(registry, config({}))
    applied(registry, config({}, **empty))
    filled = {"labels": {"b": "2"}, "finalizers": ["x.io/a"]}
    found = applied(registry, config({"c": "3"}, **filled))
    assert (found["metadata"]["labels"], found["data"]) == ({"b": "2"}, {"c": "3"})
    assert found["metadata"]["finalizers"] == ["x.io/a"]


def test_what_one_applied_empty_keeps_what_another_filled(registry: Registry) -> None:
    applied(registry, config({}))
    applied(registry, config({}, labels={}))
    applied(registry, config({}, labels={"a": "1"}), "two")
    assert applied(registry, config({"b": "2"}))["metadata"]["labels"] == {"a": "1"}


def test_what_an_update_changed_is_no_more_the_appliers(registry: Registry) -> None:
    applied(registry, config({"a": "1", "b": "2"}))
    change = {"data": {"a": "mine"}}
    registry.patch_as(CONFIGMAPS, "default", "it", MERGE, change, Write())
    assert applied(registry, config({"b": "2"}))["data"] == {"a": "mine", "b": "2"}


def test_what_a_controller_writes_leaves_the_owners(registry: Registry) -> None:
    applied(registry, job(A))
    before = registry.get("jobs.batch", "default", "it")
    registry.modify("jobs.batch", "default", "it", lambda found: found["status"].update(active=1))
    assert managers(registry.get("jobs.batch", "default", "it")) == managers(before)
    assert after_update(JOBS, before, before) == tuple(before["metadata"]["managedFields"])


def test_a_conflict_names_the_fields(registry: Registry) -> None:
    applied(registry, config({"a": "1", "b": "2"}))
    with pytest.raises(ApiError) as refused:
        applied(registry, config({"a": "x", "b": "y"}), "two")
    assert refused.value.code == 409
    assert refused.value.message == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b'
    )
    found = applied(registry, config({"a": "x", "b": "y"}), "two", force=True)
    assert managers(found) == {"two": {"f:data": {"f:a": {}, "f:b": {}}}}


def test_a_conflict_in_a_list_names_the_item(registry: Registry) -> None:
    applied(registry, job(A))
    with pytest.raises(ApiError) as refused:
        applied(registry, job({**A, "image": "other"}), "two")
    (cause,) = refused.value.status["details"]["causes"]
    assert cause["field"] == '.spec.template.spec.containers[name="a"].image'


def test_an_equal_amount_in_other_words_is_no_conflict(registry: Registry) -> None:
    limits = [{**A, "resources": {"limits": {"cpu": cpu}}} for cpu in ("1", "1000m")]
    applied(registry, job(limits[0]))
    assert sorted(managers(applied(registry, job(limits[1]), "two"))) == ["one", "two"]


def test_fields_are_written_as_recorded(registry: Registry) -> None:
    lines = [json.loads(line) for line in gzip.decompress(WRITES.read_bytes()).splitlines()]
    recorded = {
        line["name"]: line["response"]["body"] for line in lines if "apply-" in line["name"]
    }
    first = {**job({**A, "name": "main", "command": ["true"]}, parallelism=1)}
    first["metadata"]["labels"] = {"team": "a"}
    (entry,) = recorded["apply-create-201"]["metadata"]["managedFields"]
    assert managers(applied(registry, first, "jobman")) == {"jobman": entry["fieldsV1"]}
    second = {**first, "spec": {**first["spec"], "parallelism": 2}}
    wanted = managers(recorded["apply-force-200"])
    del wanted["hk-kcm"]
    assert managers(applied(registry, second, "other", force=True)) == wanted


def ports(*given: Object) -> Object:
    return {**A, "ports": [*given]}


def test_the_items_of_a_list_with_several_keys_are_told_apart_by_all_of_them(
    registry: Registry,
) -> None:
    tcp, udp = {"containerPort": 80}, {"containerPort": 80, "protocol": "UDP", "name": "u"}
    first = applied(registry, job(ports(tcp, udp)))
    again = applied(registry, job(ports(tcp, udp)))
    assert again == first
    path = ["f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"a"}', "f:ports"]
    owned = functools.reduce(lambda fields, part: fields[part], path, managers(again)["one"])
    assert list(owned) == [
        'k:{"containerPort":80,"protocol":"TCP"}',
        'k:{"containerPort":80,"protocol":"UDP"}',
    ]
    merged = apply.merge("Container", ports(tcp, udp), ports({**udp, "hostPort": 5}))
    assert merged["ports"] == [tcp, {**udp, "hostPort": 5}]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            job(A, {**A, "image": "y"}),
            '.spec.template.spec.containers: duplicate entries for key [name="a"]',
        ),
        (
            job({"image": "y"}),
            (
                ".spec.template.spec.containers: element 0: associative list with keys has an"
                ' element that omits key field "name" (and doesn\'t have default value)'
            ),
        ),
        (job(A, backofLimit=1), ".spec.backofLimit: field not declared in schema"),
        (
            job({**A, "x": 1, "ports": [*[{"containerPort": 8}] * 2], "volumeMounts": [{"y": 2}]}),
            (
                "errors:\n"
                '  .spec.template.spec.containers[name="a"].x: field not declared in schema\n'
                '  .spec.template.spec.containers[name="a"].ports: duplicate entries for key'
                ' [containerPort=8,protocol="TCP"]\n'
                '  .spec.template.spec.containers[name="a"].volumeMounts: element 0: associative'
                ' list with keys has an element that omits key field "mountPath"'
                " (and doesn't have default value)"
            ),
        ),
        (
            job(A, podFailurePolicy={"rules": [{"action": "Ignore", "z": None}]}),
            ".spec.podFailurePolicy.rules[0].z: field not declared in schema",
        ),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_what_the_types_cannot_hold(
    registry: Registry, body: Object, why: str, *, there: bool
) -> None:
    if there:
        applied(registry, job(A))
    with pytest.raises(ApiError) as refused:
        applied(registry, body)
    assert (refused.value.code, refused.value.message) == (
        400,
        f"failed to create typed patch object (/it; batch/v1, Kind=Job): {why}",
    )


def test_however_much_is_wrong_a_hundred_things_are_told(registry: Registry) -> None:
    with pytest.raises(ApiError) as refused:
        applied(registry, job(*[A] * 10_000))
    assert refused.value.message.count("duplicate entries") == 100


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        ({"kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ({"apiVersion": "v2"}, 400, "invalid object type: /v2, Kind=ConfigMap"),
        ({"metadata": {"managedFields": []}}, 400, "metadata.managedFields must be nil"),
        (
            {"metadata": {"uid": "7"}},
            409,
            (
                'Operation cannot be fulfilled on configmaps "it": uid mismatch: the provided'
                " object specified uid 7, and no existing object was found"
            ),
        ),
    ],
)
def test_what_cannot_be_applied(registry: Registry, change: Object, code: int, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        registry.patch_as(
            CONFIGMAPS, "default", "it", APPLY, {**config({}), **change}, Write(manager="one")
        )
    assert (refused.value.code, refused.value.message) == (code, why)


def test_who_owns_the_items_of_a_long_list_is_known_at_once(registry: Registry) -> None:
    began = time.process_time()
    names = [f"x.io/{number}" for number in range(30_000)]
    applied(registry, config({"a": "1"}, finalizers=names))
    change = {"metadata": {"finalizers": names[1:]}, "data": {"a": "2"}}
    found = registry.patch_as(CONFIGMAPS, "default", "it", MERGE, change, Write()).object
    assert list(managers(found)["one"]["f:metadata"]["f:finalizers"]) == [
        f'v:"{name}"' for name in sorted(names[1:])
    ]
    applied(registry, config({}, finalizers=names), "two")
    assert len(applied(registry, config({}))["metadata"]["finalizers"]) == 30_000
    assert "finalizers" not in applied(registry, config({}), "two")["metadata"]
    assert time.process_time() - began < 20
