"""What jobman refuses before it asks is what a real server refuses, and no more."""

from __future__ import annotations

import json

import pytest
from plugins.recordings import names, recorded

from jobman.jobs import documents, rules

OF_THE_CONTAINER = {"422-env-bad-name"}
"""Refused in what jobman makes of flags; in a manifest the pod is left to the server."""


def refused() -> list[str]:
    return [name for name in names("submit", "4*") if name not in OF_THE_CONTAINER]


def problems_of(name: str) -> list[str]:
    body = recorded("submit", name).body
    return documents.read(json.dumps(body), name)[1]


@pytest.mark.parametrize("name", refused())
def test_refused_as_by_the_server(name: str) -> None:
    assert recorded("submit", name).reply.status in (400, 422)
    assert problems_of(name)


@pytest.mark.parametrize("name", names("submit", "201-*"))
def test_taken_as_by_the_server(name: str) -> None:
    assert recorded("submit", name).reply.status == 201
    assert problems_of(name) == []


def test_names_of_variables() -> None:
    pod = recorded("submit", "422-env-bad-name").body["spec"]["template"]["spec"]
    (entry,) = pod["containers"][0]["env"]
    assert list(rules.env_problems({entry["name"]: entry["value"]}))
