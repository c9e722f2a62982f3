"""A kubeconfig that acts as somebody else: what each request says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from plugins.scripted_server import Reply, ScriptedServer

from jobman.errors import ConfigError
from jobman.kube import impersonation
from jobman.kube.client import Client
from jobman.kube.resources import PODS

USER, UID, GROUP = "Impersonate-User", "Impersonate-Uid", "Impersonate-Group"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({}, ()),
        ({"token": "t", "as-groups": []}, ()),
        ({"as": "bob"}, ((USER, "bob"),)),
        ({"as": "bob", "as-uid": 7}, ((USER, "bob"), (UID, "7"))),
        ({"as": "bob", "as-groups": ["a", "b"]}, ((USER, "bob"), (GROUP, "a"), (GROUP, "b"))),
        (
            {"as": "bob", "as-user-extra": {"acme.org/scopes": ["x", "y"]}},
            (
                (USER, "bob"),
                ("Impersonate-Extra-acme.org%2Fscopes", "x"),
                ("Impersonate-Extra-acme.org%2Fscopes", "y"),
            ),
        ),
    ],
)
def test_headers(user: dict[str, Any], said: tuple[tuple[str, str], ...]) -> None:
    assert impersonation.headers(user, "a file") == said


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ({"as-groups": ["a"]}, "not `as` whom"),
        ({"as": "bob", "as-groups": "team"}, "as-groups is a list"),
        ({"as": "bob", "as-groups": 3}, "as-groups is a list"),
        ({"as": "bob", "as-user-extra": ["x"]}, "as-user-extra an object"),
        ({"as": "bob", "as-user-extra": {"k": "x"}}, "as-user-extra an object"),
        ({"as": "bob\nHost: x"}, "no HTTP header can say"),
        ({"as": "b\u00f6b"}, "no HTTP header can say"),
    ],
)
def test_what_no_header_can_say(user: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        impersonation.headers(user, "a file")


def test_each_request_says_all_of_it(
    make_client: Callable[..., Client], scripted_server: ScriptedServer
) -> None:
    path = "/api/v1/namespaces/team/pods"
    scripted_server.script("POST", path, Reply(201, {"metadata": {"name": "a"}}))
    scripted_server.script("GET", f"{path}/a", Reply(200, {"metadata": {"name": "a"}}))
    user = {"as": "bob", "as-groups": ["one", "two"]}
    client = make_client(scripted_server, user=user)
    client.create(PODS, {"metadata": {"name": "a"}})
    client.get(PODS, "a")
    for asked in scripted_server.requests:
        assert (asked.headers[USER], asked.headers[GROUP]) == ("bob", "one, two")
