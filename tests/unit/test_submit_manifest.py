"""Requests to Jobs: whole manifests, and words that arrive as they were given."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.cli.render.yaml_text import dump
from jobman.config.flavors import Flavor
from jobman.jobs import manifest
from jobman.jobs.request import Array, SubmitRequest, Toleration, Volume, validate
from jobman.jobs.stamp import Stamp
from jobman.values.enums import ImagePullPolicy

GOLDEN = Path(__file__).parent / "golden" / "submit"
STAMP = Stamp(
    "alice@example.com", datetime(2026, 5, 4, 3, 2, 1, 7, UTC), "0123456789abcdef", "1.2.3"
)
SMALL = Flavor.model_validate(
    {"name": "small", "resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}
)
GPU = Flavor.model_validate(
    {
        "name": "large-gpu",
        "description": "the big ones",
        "resources": {"requests": {"cpu": 8, "nvidia.com/gpu": 2}, "limits": {"cpu": "16"}},
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "priorityClassName": "gpu-users",
        "runtimeClassName": "nvidia",
        "localQueue": "gpus",
    }
)


def request(flavor: Flavor = SMALL, **more: Any) -> SubmitRequest:
    return SubmitRequest(**{"flavor": flavor, "image": "docker.io/library/alpine:3"} | more)


REQUESTS = {
    "least": request(),
    "words": request(words=("sh", "-c", 'echo "$HOME" $(id)\nls', ""), env={"A": "$(B)", "B": ""}),
    "command": request(words=("ls", "-al", "/"), as_command=True, workdir="/tmp"),
    "gpu": request(GPU, words=("nvidia-smi", "-L"), time_limit_s=7200),
    "flavor-overruled": request(
        GPU,
        priority_class="urgent",
        local_queue="mine",
        node_selector={"pool": "other"},
        tolerations=(Toleration("spot"), Toleration("team", "a", "NoSchedule")),
    ),
    "array": request(words=("work",), array=Array(10, 3), retries=2, ttl_s=3600, hold=True),
    "everything": request(
        words=("run",),
        labels={"project": "x"},
        annotations={"note": "a b"},
        image_pull_policy=ImagePullPolicy.ALWAYS,
        image_pull_secrets=("registry",),
        security_context={"runAsUser": 1000, "supplementalGroups": [500]},
        service_account="runner",
        secret_env=("keys",),
        volumes=(
            Volume("data", "/in", read_only=True),
            Volume("data", "/out"),
            Volume("models", "/models", read_only=True),
        ),
        shm="8Gi",
        retries=1,
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_the_whole_manifest(case: str) -> None:
    assert validate(REQUESTS[case]) == []
    made = manifest.job(REQUESTS[case], "job-x", STAMP)
    assert dump([made]) == (GOLDEN / f"{case}.yaml").read_text("utf-8")


def test_the_flavor_can_be_given_again() -> None:
    made = manifest.job(request(GPU), "job-x", STAMP)
    spec = json.loads(made["metadata"]["annotations"]["jobman/flavor-spec"])
    again = Flavor.model_validate(spec)
    assert again == GPU.model_copy(update={"description": ""})


def test_jobs_own_labels_outrank_the_users() -> None:
    made = manifest.job(request(labels={"jobman/user": "eve", "a": "b"}), "job-x", STAMP)
    for metadata in (made["metadata"], made["spec"]["template"]["metadata"]):
        assert metadata["labels"]["jobman/user"] == "alice_40example.com"
        assert metadata["labels"]["a"] == "b"
        assert metadata["annotations"]["jobman/user"] == "alice@example.com"


def test_nothing_is_shared_between_job_and_pods() -> None:
    made = manifest.job(request(), "job-x", STAMP)
    made["metadata"]["labels"]["only"] = "the job"
    assert "only" not in made["spec"]["template"]["metadata"]["labels"]


def expanded(text: str, variables: dict[str, str]) -> str:
    """What Kubernetes makes of a word (third_party/forked/golang/expansion)."""
    out, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out, at = out + text[at], at + 1
        elif text[at + 1] == "(" and ")" in text[at + 2 :]:
            end = text.index(")", at + 2)
            name = text[at + 2 : end]
            out, at = out + variables.get(name, f"$({name})"), end + 1
        else:
            out, at = out + ("$" if text[at + 1] == "$" else text[at : at + 2]), at + 2
    return out


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "x"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$x"),
        ("$A", "$A"),
        ("$", "$"),
        ("$(B)", "$(B)"),
    ],
)
def test_the_simulated_expansion(text: str, result: str) -> None:
    assert expanded(text, {"A": "x"}) == result


TEXTS = st.text(st.sampled_from("$()AB '\"\\\n-=é") | st.characters(codec="utf-8"), max_size=30)


@given(st.lists(TEXTS, max_size=4), TEXTS, st.booleans())
def test_words_and_values_arrive_untouched(words: list[str], value: str, as_command: bool) -> None:
    made = manifest.container(
        request(words=tuple(words), as_command=as_command, env={"A": "never", "V": value})
    )
    variables = {"A": "EXPANDED", "B": "EXPANDED", "": "EXPANDED"}
    sent = made.get("command" if as_command else "args", [])
    assert [expanded(word, variables) for word in sent] == words
    assert expanded(made["env"][1]["value"], variables) == value
