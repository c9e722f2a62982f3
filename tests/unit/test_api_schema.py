"""The shape of objects: what is refused, what goes, what becomes canonical."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobman.local.api import defaults, schema, types, validation
from jobman.local.api.resources import RESOURCES
from jobman.local.api.status import ApiError

KINDS = {resource.kind: resource for resource in RESOURCES}
FIELDS = sorted(
    {
        name
        for kind in (
            "Job",
            "JobSpec",
            "PodSpec",
            "Container",
            "ObjectMeta",
            "Volume",
            "EnvVar",
            "ResourceRequirements",
            "Secret",
            "NodeSpec",
            "Taint",
            "Role",
            "PolicyRule",
            "RoleBinding",
            "Toleration",
            "LimitRangeSpec",
            "LimitRangeItem",
            "ResourceQuotaSpec",
            "PodTemplateSpec",
            "PersistentVolumeClaimSpec",
            "Lease",
            "LeaseSpec",
            "Event",
        )
        for name in types.struct(kind)
    }
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["1", "500m", "-1", "Always", "Never", "a/b", "2026-01-01T00:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=40,
)


def _valued(code: types.Type, depth: int) -> st.SearchStrategy[Any]:
    """Mostly values of the type, here and there anything."""
    if depth == 0:
        return st.none()
    plain = {
        "s": st.text(max_size=6) | st.sampled_from(["a", "Always", "In", "NoExecute", "main"]),
        "i": st.integers(-(2**31), 2**31 - 1),
        "l": st.integers(-3, 2**40),
        "b": st.booleans(),
        "q": st.sampled_from(["1", "500m", "-1", "1Gi", 2, 1.5, "0"]),
        "t": st.just("2026-01-01T00:00:00Z"),
        "u": st.just("2026-01-01T00:00:00.000001Z"),
        "x": st.integers(0, 9) | st.just("50%"),
        "y": st.sampled_from(["", "AAAA", "aGk="]),
    }
    if code.form == "struct":
        typed = st.deferred(lambda: structs(code.name, depth - 1))
    elif code.form == "list":
        typed = st.lists(_valued(code.element or types.ANYTHING, depth - 1), max_size=2)
    elif code.form == "map":
        keys = st.sampled_from(["cpu", "nvidia.com/gpu", "a", "a/b", ""]) | st.text(max_size=4)
        typed = st.dictionaries(
            keys, _valued(code.element or types.ANYTHING, depth - 1), max_size=2
        )
    else:
        typed = plain.get(code.form, st.none())
    return typed


def structs(name: str, depth: int = 7) -> st.SearchStrategy[dict[str, Any]]:
    fields = types.struct(name)
    return st.lists(st.sampled_from(sorted(fields)), max_size=5, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({n: _valued(fields[n].type, depth) for n in names})
    )


def refused(kind: str, obj: Any, mode: schema.Mode = "Warn") -> str:
    with pytest.raises(ApiError) as error:
        schema.check(KINDS[kind], obj, mode)
    assert error.value.code == 400
    return error.value.message


def job(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "spec": spec}


def container(**fields: Any) -> dict[str, Any]:
    return job(template={"spec": {"containers": [{"name": "main", **fields}]}})


JOB = 'Job in version "v1" cannot be handled as a Job: '
TEMPLATE = "spec.template.spec.containers"


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (
            job(parallelism="two"),
            "string into Go struct field JobSpec.spec.parallelism of type int32",
        ),
        (job(parallelism=2**31), "number 2147483648 into Go struct field JobSpec.spec.parallelism"),
        (job(suspend="yes"), "string into Go struct field JobSpec.spec.suspend of type bool"),
        (job(parallelism=True), "bool into Go struct field JobSpec.spec.parallelism of type int32"),
        (
            job(template=[]),
            "array into Go struct field JobSpec.spec.template of type v1.PodTemplateSpec",
        ),
        (
            container(command="sh"),
            f"string into Go struct field Container.{TEMPLATE}.command of type []string",
        ),
        (
            container(command=[1]),
            f"number into Go struct field Container.{TEMPLATE}.command of type string",
        ),
        (
            container(resources={"limits": [1]}),
            f"array into Go struct field ResourceRequirements.{TEMPLATE}.resources.limits",
        ),
        (
            {"metadata": {"labels": {"a": 1}}},
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        ({"metadata": 5}, "number into Go struct field Job.metadata of type v1.ObjectMeta"),
    ],
)
def test_a_wrong_type_is_told_as_go_tells_it(obj: dict[str, Any], text: str) -> None:
    assert refused("Job", obj).startswith(f"{JOB}json: cannot unmarshal {text}")


REGEX = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("lots", REGEX),
        ("", REGEX),
        ("1_000", REGEX),
        ("NaN", REGEX),
        ("1 Gi", REGEX),
        (True, REGEX),
        ([], REGEX),
        (float("inf"), REGEX),
        ("1KK", "unable to parse quantity's suffix"),
        ("1gi", REGEX),
    ],
)
def test_a_bad_quantity_is_a_400(amount: Any, text: str) -> None:
    assert refused("Job", container(resources={"limits": {"cpu": amount}})) == JOB + text


@pytest.mark.parametrize(
    ("amount", "canonical"),
    [
        (1, "1"),
        (1.5, "1500m"),
        ("0.5", "500m"),
        ("2000m", "2"),
        ("1024Mi", "1Gi"),
        ("1000Mi", "1000Mi"),
        ("-1", "-1"),
        ("1e3", "1e3"),
        ("1k", "1k"),
        (0, "0"),
    ],
)
def test_quantities_become_canonical(amount: Any, canonical: str) -> None:
    obj, _ = schema.check(KINDS["Job"], container(resources={"limits": {"cpu": amount}}), "Strict")
    limits = obj["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": canonical}


@pytest.mark.parametrize(
    ("kind", "obj", "text"),
    [
        ("Pod", {"kind": "Job", "apiVersion": "batch/v1"}, "converting (v1.Job) to (core.Pod)"),
        ("Job", {"kind": "Pod", "apiVersion": "v1"}, "converting (v1.Pod) to (batch.Job)"),
        ("Job", {"apiVersion": "batch/v2"}, 'no kind "Job" is registered for version "batch/v2"'),
        ("Job", {"kind": "Nope"}, 'no kind "Nope" is registered for version "batch/v1"'),
        ("Job", {"kind": 5}, "the object provided is unrecognized"),
        ("Job", {"kind": ["Job"]}, "the object provided is unrecognized"),
        ("Job", [], "the object provided is unrecognized"),
        ("Job", None, "the object provided is unrecognized"),
    ],
)
def test_another_kind_is_refused(kind: str, obj: Any, text: str) -> None:
    assert text in refused(kind, obj)


def test_unknown_fields_by_mode() -> None:
    obj = container(comand=["x"]) | {"extra": 1}
    obj["spec"]["paralelism"] = 2
    texts = [
        f'unknown field "{TEMPLATE}[0].comand"',
        'unknown field "spec.paralelism"',
        'unknown field "extra"',
    ]
    shaped, warnings = schema.check(KINDS["Job"], obj, "Warn")
    assert warnings == texts
    assert shaped == schema.check(KINDS["Job"], container(), "Strict")[0]
    assert schema.check(KINDS["Job"], obj, "Ignore") == (shaped, [])
    assert refused("Job", obj, "Strict") == JOB + "strict decoding error: " + ", ".join(texts)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"parallelism": None}, {}),
        ({"parallelism": 0}, {"parallelism": 0}),
        ({"suspend": False}, {"suspend": False}),
        ({"completionMode": ""}, {}),
        ({"selector": {"matchLabels": {}}}, {"selector": {}}),
        (
            {"template": {"spec": {"hostNetwork": False, "nodeSelector": {}, "tolerations": []}}},
            {"template": {"spec": {}}},
        ),
    ],
)
def test_what_is_as_good_as_absent_goes(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert schema.check(KINDS["Job"], {"spec": given}, "Strict")[0]["spec"] == kept


@pytest.mark.parametrize(
    ("kind", "obj", "text"),
    [
        ("ConfigMap", {"binaryData": {"a": "not base64!"}}, "illegal base64 data at input byte 3"),
        (
            "Secret",
            {"data": {"a": 5}},
            "json: cannot unmarshal number into Go struct field Secret.data",
        ),
        (
            "Pod",
            {"metadata": {"creationTimestamp": "yesterday"}},
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday"',
        ),
        (
            "Pod",
            {"metadata": {"deletionTimestamp": 5}},
            "json: cannot unmarshal number into Go value",
        ),
        ("Pod", {"metadata": {"creationTimestamp": "2026-13-01T00:00:00Z"}}, "parsing time"),
    ],
)
def test_values_of_other_forms(kind: str, obj: dict[str, Any], text: str) -> None:
    assert text in refused(kind, obj)


def test_times_become_canonical() -> None:
    lease = {"spec": {"renewTime": "2026-01-01T12:00:00.5+02:00"}, "metadata": {}}
    lease["metadata"] = {"creationTimestamp": "2026-01-01T12:00:00.7+02:00"}
    obj, _ = schema.check(KINDS["Lease"], lease, "Strict")
    assert obj["spec"]["renewTime"] == "2026-01-01T10:00:00.500000Z"
    assert obj["metadata"]["creationTimestamp"] == "2026-01-01T10:00:00Z"


def test_times_of_early_years_keep_their_form_and_gos_zero_time_is_none() -> None:
    lease = {
        "spec": {"renewTime": "0001-01-02T00:00:00.5Z", "acquireTime": "0001-01-01T01:00:00+01:00"},
        "metadata": {"creationTimestamp": "0001-01-01T00:00:00Z"},
    }
    obj, _ = schema.check(KINDS["Lease"], lease, "Strict")
    assert obj["spec"] == {"renewTime": "0001-01-02T00:00:00.500000Z"}
    assert "creationTimestamp" not in obj["metadata"]


def test_a_checked_object_begins_with_its_kind() -> None:
    obj, _ = schema.check(
        KINDS["ConfigMap"], {"data": {"a": "b"}, "metadata": {"name": "x"}}, "Warn"
    )
    assert list(obj) == ["kind", "apiVersion", "metadata", "data"]
    assert (obj["kind"], obj["apiVersion"]) == ("ConfigMap", "v1")


def shape(kind: str, obj: Any) -> dict[str, Any] | None:
    """The checked object; None for one that is refused in due form."""
    try:
        return schema.check(KINDS[kind], obj, "Ignore")[0]
    except ApiError as error:
        if error.code != 400:
            raise
        return None


def settle(kind: str, obj: Any) -> None:
    """Whatever comes is refused in due form, or goes all the way."""
    resource = KINDS[kind]
    shaped = shape(kind, obj)
    if shaped is None:
        return
    again, _ = schema.check(resource, shaped, "Strict")
    assert again == shaped
    shaped.setdefault("metadata", {})
    defaults.apply(kind, shaped)
    if kind == "Job":
        shaped["metadata"]["uid"] = "u"
        defaults.generate_selector(shaped)
    first = copy.deepcopy(shaped)
    defaults.apply(kind, shaped)
    assert shaped == first
    for cause in [
        *validation.validate_create(kind, shaped),
        *validation.validate_update(kind, shaped, shaped),
        *validation.validate_status(kind, shaped, shaped),
    ]:
        assert cause.reason.startswith("FieldValue")
        assert cause.message
    assert isinstance(validation.warnings(kind, shaped), list)


@given(st.sampled_from(sorted(KINDS)), JSON)
def test_any_json_is_refused_or_settled(kind: str, obj: Any) -> None:
    settle(kind, obj)
    settle(kind, {"metadata": obj, "spec": obj, "status": obj})


@given(st.data())
def test_objects_of_the_right_shape_are_settled(data: st.DataObject) -> None:
    kind = data.draw(
        st.sampled_from(
            [
                "Job",
                "Pod",
                "Node",
                "ConfigMap",
                "Secret",
                "LimitRange",
                "ResourceQuota",
                "Role",
                "RoleBinding",
                "Event",
                "Lease",
                "PersistentVolumeClaim",
                "PriorityClass",
                "Namespace",
            ]
        )
    )
    settle(kind, data.draw(structs(kind)))


MUTABLE = {"tolerations", "activeDeadlineSeconds", "schedulingGates"}


@settings(max_examples=30)
@given(structs("PodSpec", 4), structs("PodSpec", 4))
def test_any_change_of_a_pod_is_told(before: dict[str, Any], after: dict[str, Any]) -> None:
    pods = []
    for spec in (before, after):
        pod = shape("Pod", {"metadata": {"name": "x"}, "spec": spec})
        if pod is None:
            return
        defaults.apply("Pod", pod)
        pods.append(pod)
    causes = validation.validate_update("Pod", *pods)
    ours, theirs = (pod["spec"].keys() - MUTABLE for pod in pods)
    assert causes or ours == theirs
