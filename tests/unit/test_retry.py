"""The manifest of a job done over, its name, and the flavor that has more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobman.config.bigger import next_bigger
from jobman.config.flavors import Flavor
from jobman.jobs import retry
from jobman.jobs.stamp import Stamp
from jobman.kube import labels

STAMP = Stamp("ann", datetime(2026, 1, 2, tzinfo=UTC), "feed", "1")


def old(**spec: Any) -> dict[str, Any]:
    """A Job as a server gives it."""
    controller = {"batch.kubernetes.io/job-name": "train", "controller-uid": "u", "mine": "x"}
    notes = {"jobman/submission": "dead", "jobman/user": "bob", "note": "n"}
    return {
        "metadata": {
            "name": "train",
            "namespace": "ns",
            "uid": "u",
            "resourceVersion": "7",
            "labels": {"mine": "x"},
            "annotations": notes | {"jobman/retry-of": "first"},
            "finalizers": ["x/y"],
        },
        "spec": {
            "selector": {"matchLabels": {"controller-uid": "u"}},
            "suspend": False,
            "template": {
                "metadata": {"labels": controller, "annotations": dict(notes)},
                "spec": {"containers": [{"name": "main", "args": ["a$$b"]}]},
            },
            **spec,
        },
        "status": {"failed": 1},
    }


def test_an_array_that_was_cut_short_is_done_over_whole() -> None:
    cut = old(completions=3, parallelism=3, completionMode="Indexed")
    cut["metadata"]["annotations"]["jobman/array"] = "100%8"
    made = retry.job(cut, "train-r2", STAMP)
    assert (made["spec"]["completions"], made["spec"]["parallelism"]) == (100, 8)
    assert "jobman/array" not in made["metadata"]["annotations"]


@pytest.mark.parametrize("text", ["", "100", "0%1", "1%", "9999999%1", "-1%2", "1%2%3", "\x1b%1"])
def test_a_note_of_an_array_that_nobody_wrote(text: str) -> None:
    assert labels.array({"jobman/array": text}) is None


def test_what_others_wrote_is_left_out() -> None:
    made = retry.job(old(), "train-r2", STAMP)
    meta, template = made["metadata"], made["spec"]["template"]
    assert meta["name"] == "train-r2"
    assert set(meta) == {"name", "labels", "annotations"}
    assert meta["annotations"]["jobman/retry-of"] == "train"
    assert meta["annotations"]["jobman/submission"] == "feed"
    assert meta["annotations"]["note"] == "n"
    assert meta["annotations"]["jobman/user"] == "ann"
    assert "status" not in made
    assert "selector" not in made["spec"]
    assert "jobman/retry-of" not in template["metadata"]["annotations"]
    assert template["metadata"]["labels"]["mine"] == "x"
    assert not [key for key in template["metadata"]["labels"] if "job-name" in key or "uid" in key]
    assert template["spec"]["containers"][0]["args"] == ["a$$b"]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"suspend": True}, {}),
        ({"activeDeadlineSeconds": 60}, {"activeDeadlineSeconds": 60}),
        ({"backoffLimit": 2}, {"backoffLimit": 2}),
    ],
    ids=["held", "deadline", "retries"],
)
def test_the_rules_of_the_job(change: dict[str, Any], left: dict[str, Any]) -> None:
    spec = retry.job(old(**change), "n", STAMP)["spec"]
    assert {key: value for key, value in spec.items() if key != "template"} == left


def test_the_deadline_that_cancelled_it_goes() -> None:
    cancelled = old(activeDeadlineSeconds=1)
    cancelled["metadata"]["annotations"]["jobman/cancelled-at"] = "2026-01-01T00:00:00Z"
    made = retry.job(cancelled, "n", STAMP)
    assert "activeDeadlineSeconds" not in made["spec"]
    assert "jobman/cancelled-at" not in made["metadata"]["annotations"]


def test_a_job_of_kueue_waits_for_kueue() -> None:
    queued = old()
    queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "q"
    assert retry.job(queued, "n", STAMP)["spec"]["suspend"] is True


def test_one_index() -> None:
    array = old(completionMode="Indexed", completions=9, parallelism=3, backoffLimitPerIndex=2)
    spec = retry.job(array, "n", STAMP, index=7)["spec"]
    assert spec["backoffLimit"] == 2
    assert not {"completionMode", "completions", "parallelism"} & set(spec)
    (env,) = spec["template"]["spec"]["containers"][0]["env"]
    assert env == {"name": "JOB_COMPLETION_INDEX", "value": "7"}


def flavor(name: str, memory: str | None, gpus: int = 0, **more: Any) -> Flavor:
    requests = {"cpu": "1"} | ({"memory": memory} if memory else {})
    if gpus:
        requests["nvidia.com/gpu"] = str(gpus)
    return Flavor.model_validate({"name": name, "resources": {"requests": requests}, **more})


def test_another_flavor_brings_its_own_rules() -> None:
    was = old()
    was["metadata"]["annotations"]["jobman/flavor-spec"] = (
        '{"name":"a","resources":{},"nodeSelector":{"gpu":"a100"},"tolerations":[{"key":"a"}]}'
    )
    pod = was["spec"]["template"]["spec"]
    pod["nodeSelector"] = {"gpu": "a100", "mine": "1"}
    pod["tolerations"] = [{"key": "a"}, {"key": "mine"}]
    new = flavor("b", "2Gi", nodeSelector={"gpu": "h100"}, priorityClassName="high")
    made = retry.job(was, "n", STAMP, flavor=new)["spec"]["template"]
    assert made["spec"]["nodeSelector"] == {"gpu": "h100", "mine": "1"}
    assert made["spec"]["tolerations"] == [{"key": "mine"}]
    assert made["spec"]["priorityClassName"] == "high"
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1", "memory": "2Gi"}}
    assert made["metadata"]["labels"]["jobman/flavor"] == "b"


@pytest.mark.parametrize(
    ("name", "number", "wanted"),
    [
        ("train", 0, "train-r2"),
        ("train-r2", 0, "train-r3"),
        ("train-r2", 2, "train-r5"),
        ("a" * 52, 0, "a" * 49 + "-r2"),
        ("job-r", 0, "job-r-r2"),
    ],
)
def test_names(name: str, number: int, wanted: str) -> None:
    assert retry.next_name(name, number) == wanted


FLAVORS = [
    flavor("big", "64Gi"),
    flavor("mid", "8Gi"),
    flavor("mid-gpu", "8Gi", 1),
    flavor("huge-gpu", "1Ti", 8),
    flavor("none", None),
]


@pytest.mark.parametrize(
    ("amounts", "wanted"),
    [
        ({"memory": "1Gi"}, "mid"),
        ({"memory": "8Gi"}, "big"),
        ({"memory": "8589934592"}, "big"),
        ({"memory": "8Gi", "nvidia.com/gpu": "1"}, "huge-gpu"),
        ({"memory": "4Gi", "nvidia.com/gpu": "1"}, "mid-gpu"),
        ({"memory": "1Ti"}, None),
        ({"cpu": "1"}, None),
        ({"memory": "much"}, None),
    ],
)
def test_the_next_bigger_flavor(amounts: dict[str, str], wanted: str | None) -> None:
    found = next_bigger(FLAVORS, amounts)
    assert (found.name if found else None) == wanted
