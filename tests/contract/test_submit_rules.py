"""What jobman refuses before it asks is what a real server refuses, and no more."""

from __future__ import annotations

import json

import pytest
from plugins.recordings import recorded

from jobman.jobs import documents, rules

REFUSED = [
    "400-label-value-not-string",
    "400-wrong-apiVersion",
    "400-wrong-kind",
    "422-bad-annotation-key",
    "422-bad-label-key",
    "422-bad-label-value",
    "422-bad-name",
    "422-label-value-64",
    "422-name-64-chars",
]
TAKEN = [
    "201-activeDeadline-0",
    "201-create-good",
    "201-gpu-limit-only",
    "201-indexed-without-completions",
    "201-name-63-chars",
    "201-name-dots",
    "201-priorityClassName-unknown-in-job",
    "201-quantity-number-and-canonical",
]


def problems_of(name: str) -> list[str]:
    body = recorded("errors", name).body
    return documents.read(json.dumps(body), name)[1]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_by_the_server(name: str) -> None:
    assert recorded("errors", name).reply.status in (400, 422)
    assert problems_of(name)


@pytest.mark.parametrize("name", TAKEN)
def test_taken_as_by_the_server(name: str) -> None:
    assert recorded("errors", name).reply.status == 201
    assert problems_of(name) == []


def test_names_of_variables() -> None:
    pod = recorded("errors", "422-env-bad-name").body["spec"]["template"]["spec"]
    (entry,) = pod["containers"][0]["env"]
    assert list(rules.env_problems({entry["name"]: entry["value"]}))
