"""Manifests that users bring: what becomes of them, and what is refused by name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.cli.render.yaml_text import dump
from jobman.errors import UsageError
from jobman.jobs import documents
from jobman.jobs.stamp import Stamp
from jobman.jobs.yaml_documents import load

STAMP = Stamp("alice", datetime(2026, 5, 4, tzinfo=UTC), "abc", "1.2.3")
LABELS = {"app.kubernetes.io/managed-by": "jobman", "jobman/user": "alice"}
NOTES = {
    "jobman/user": "alice",
    "jobman/submission": "abc",
    "jobman/submitted-at": "2026-05-04T00:00:00.000000Z",
    "jobman/version": "1.2.3",
}
CONTAINERS = [{"name": "c", "image": "busybox", "args": ["$(A)", "$$"]}]
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j"},
    "spec": {"template": {"spec": {"restartPolicy": "OnFailure", "containers": CONTAINERS}}},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "b"}, "annotations": {"c": "d"}, "uid": "u"},
    "spec": {"restartPolicy": "Always", "containers": CONTAINERS},
    "status": {"phase": "Running"},
}


def one(value: Any) -> documents.Document:
    found, problems = documents.read(dump([value]), "m.yaml")
    assert problems == []
    (document,) = found
    return document


def made(value: Any, **more: dict[str, str]) -> dict[str, Any]:
    extra = {"labels": {}, "annotations": {}} | more
    return documents.job(one(value), "name", STAMP, **extra)


def test_a_job_stays_as_it_is() -> None:
    result = made(JOB)
    assert result["metadata"] == {"name": "name", "labels": LABELS, "annotations": NOTES}
    template = result["spec"]["template"]
    assert template["spec"] == JOB["spec"]["template"]["spec"]  # type: ignore[index]
    assert template["metadata"] == {"labels": LABELS, "annotations": NOTES}


def test_labels_and_annotations_are_added() -> None:
    meta = {"labels": {"a": "1", "jobman/user": "eve"}, "annotations": {"n": "1"}}
    result = made(JOB | {"metadata": meta}, labels={"a": "2"}, annotations={"m": "2"})
    assert result["metadata"]["labels"] == {"a": "2"} | LABELS
    assert result["metadata"]["annotations"] == {"n": "1", "m": "2"} | NOTES
    pods = result["spec"]["template"]["metadata"]
    assert pods["labels"] == {"a": "2"} | LABELS


def test_a_pod_becomes_a_job_of_one_pod() -> None:
    document = one(POD)
    assert document.note == "m.yaml: Pod 'p' is submitted as a Job of one pod that is not restarted"
    assert document.manifest == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "p", "labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
                "spec": {"restartPolicy": "Never", "containers": CONTAINERS},
            },
        },
    }


def test_what_a_server_had_added_is_left_out() -> None:
    uid = "5f0c"
    tracking = {
        "controller-uid": uid,
        "batch.kubernetes.io/controller-uid": uid,
        "job-name": "j",
        "batch.kubernetes.io/job-name": "j",
    }
    exported = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "j",
            "uid": uid,
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [],
            "labels": tracking | {"own": "1"},
        },
        "spec": {
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
            "template": {"metadata": {"labels": tracking}, "spec": {"containers": CONTAINERS}},
        },
        "status": {"active": 1},
    }
    assert one(exported).manifest == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "labels": {"own": "1"}},
        "spec": {"template": {"metadata": {"labels": {}}, "spec": {"containers": CONTAINERS}}},
    }


def test_a_selector_of_ones_own_stays() -> None:
    spec = {"manualSelector": True, "selector": {"matchLabels": {"job-name": "x"}}}
    template = {"metadata": {"labels": {"job-name": "x"}}, "spec": {}}
    result = one(JOB | {"spec": spec | {"template": template}}).manifest["spec"]
    assert result == spec | {"template": template}


@pytest.mark.parametrize(
    ("metadata", "pattern"),
    [
        ({"generateName": "train-"}, r"train-[a-z0-9]{5}"),
        ({"generateName": "x" * 70}, r"x{58}[a-z0-9]{5}"),
        ({}, r"job-[a-z0-9]{5}"),
        (None, r"job-[a-z0-9]{5}"),
    ],
    ids=["generateName", "long", "neither", "no metadata"],
)
def test_names_are_made(metadata: Any, pattern: str) -> None:
    document = one(JOB | {"metadata": metadata})
    assert document.name is None
    assert re.fullmatch(pattern, document.new_name())
    assert "generateName" not in document.manifest["metadata"]


def test_several_documents_and_lists() -> None:
    other = JOB | {"metadata": {"name": "k"}}
    whole = {"apiVersion": "v1", "kind": "List", "items": [other, POD]}
    found, problems = documents.read(dump([JOB, whole]) + "---\n# nothing\n", "m.yaml")
    assert problems == []
    assert [(document.where, document.name) for document in found] == [
        ("m.yaml, document 1", "j"),
        ("m.yaml, document 2, items[0]", "k"),
        ("m.yaml, document 2, items[1]", "p"),
    ]


WRONG: dict[str, tuple[Any, str]] = {
    "kind": (
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}},
        "kind Deployment 'web': jobman submits Jobs and Pods; kubectl apply -f takes other kinds",
    ),
    "cron": (
        {"apiVersion": "batch/v1", "kind": "CronJob"},
        (
            "kind CronJob: jobman submits Jobs and Pods; "
            "kubectl create job NAME --from=cronjob/NAME starts it once"
        ),
    ),
    "no kind": ({"a": 1}, "no kind: jobman submits Jobs and Pods; kubectl apply -f takes other"),
    "no object": ([1], "is no object with a kind and an apiVersion"),
    "no text as a kind": (JOB | {"kind": ["Job"]}, "kind ['Job'] 'j': jobman submits Jobs"),
    "no version": (
        {k: v for k, v in JOB.items() if k != "apiVersion"},
        "apiVersion: is missing; a Job is of batch/v1",
    ),
    "version": (JOB | {"apiVersion": "v1"}, "apiVersion: a Job is of batch/v1, not 'v1'"),
    "no spec": (JOB | {"spec": None}, "spec: is missing"),
    "spec": (POD | {"spec": "x"}, "spec: is no object"),
    "template": (JOB | {"spec": {}}, "spec.template: the pod's template is missing"),
    "metadata": (JOB | {"metadata": []}, "metadata: is no object"),
    "labels": (JOB | {"metadata": {"labels": [1]}}, "metadata.labels: is no object"),
    "number": (
        JOB | {"metadata": {"labels": {"a": 1}}},
        "metadata.labels.a: is no text; put quotes around it",
    ),
    "label": (
        JOB | {"metadata": {"labels": {"a": "b c"}}},
        "metadata.labels: the value 'b c' of 'a' is not allowed: only letters",
    ),
    "annotation": (
        JOB | {"metadata": {"annotations": {"a b": ""}}},
        "metadata.annotations: the key 'a b' is not allowed: only letters",
    ),
    "template's label": (
        JOB | {"spec": {"template": {"metadata": {"labels": {"a": 1}}}}},
        "spec.template.metadata.labels.a: is no text",
    ),
    "name": (JOB | {"metadata": {"name": "A"}}, "metadata.name 'A': only lower case letters"),
    "long name": (
        JOB | {"metadata": {"name": "a" * 64}},
        f"metadata.name '{'a' * 64}': it has 64 characters, at most 63 are allowed",
    ),
    "name's type": (JOB | {"metadata": {"name": 5}}, "metadata.name: is no text; put quotes"),
    "generateName": (
        JOB | {"metadata": {"generateName": "A-"}},
        "metadata.generateName 'A-': only lower case letters",
    ),
    "namespace": (
        JOB | {"metadata": {"namespace": "a b"}},
        "metadata.namespace 'a b': only lower case letters",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(case: str) -> None:
    value, text = WRONG[case]
    found, problems = documents.read(dump([value]), "m.yaml")
    assert found == []
    assert len(problems) == 1
    assert problems[0].startswith(f"m.yaml: {text}")


def test_one_name_twice() -> None:
    elsewhere = JOB | {"metadata": {"name": "j", "namespace": "other"}}
    _, problems = documents.read(dump([JOB, elsewhere, JOB]), "m.yaml")
    assert problems == ["m.yaml, document 3: the name 'j' is m.yaml, document 1's already"]


@pytest.mark.parametrize("text", ["", "---\n", "# only a comment\n", "null\n"])
def test_nothing_in_it(text: str) -> None:
    assert documents.read(text, "-") == ([], ["-: holds no Job and no Pod"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30:00", "12:30:00"),
        ("2026-01-01", "2026-01-01"),
        ("1e3", 1000.0),
        ("1_000", 1000),
        ("0o17", 15),
        ("017", 15),
        ("0x1F", 31),
        ("08", "08"),
        ("1.5", 1.5),
        ("1.2.3", "1.2.3"),
        ("yes", True),
        ("n", "n"),
        ("~", None),
        ("500m", "500m"),
    ],
)
def test_plain_scalars_as_kubectl_reads_them(text: str, value: object) -> None:
    assert load(f"a: {text}", "m.yaml") == [{"a": value}]


def test_json_with_tabs() -> None:
    assert load('{"a":\t[1,\n\t2]}', "m.json") == [{"a": [1, 2]}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "m.yaml: no YAML: line 2, column 1: the key 'a' is there twice"),
        ("a: [", "m.yaml: no YAML: line 2, column 1"),
        ("a: .nan", "m.yaml: holds what JSON cannot"),
        ('{"a": "\\ud800"}', "m.yaml: holds what JSON cannot"),
        ("&a [*a]", "m.yaml: holds what JSON cannot"),
        ("!!binary aGk=", "m.yaml: holds what JSON cannot"),
        ("!!python/name:os.system {}", "m.yaml: no YAML: line 1, column 1"),
        ("? [1]\n: 2\n", "m.yaml: no YAML: line 1, column 3"),
        ("a: \x00", "m.yaml: no YAML"),
        ("[" * 3000, "m.yaml: "),
    ],
)
def test_texts_that_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text, "m.yaml")
    assert caught.value.message.startswith(said)


SCALARS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.text("0123456789xobeEynNY+-._:", max_size=8),
    st.integers(-(2**62), 2**62),
    st.booleans(),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab$y1.", max_size=4), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), VALUES, min_size=1, max_size=3))
def test_what_is_printed_can_be_read_again(value: dict[str, Any]) -> None:
    assert load(dump([value]), "-") == [value]
