"""Labels, addresses, pauses and identity: the pure parts of the door."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.scripted_server import Reply, ScriptedServer

from jobman.kube import labels
from jobman.kube.client import Client
from jobman.kube.identity import user_label, user_of_label, who_am_i
from jobman.kube.resources import EVENTS, JOBS, NODES, PODS, Resource
from jobman.kube.retry import LONGEST_WAIT_S, wait_s, worth_repeating

LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("user", "label"),
    [
        ("alice", "alice"),
        ("alice@example.org", "alice_40example.org"),
        ("a_b", "a_5fb"),
        ("system:serviceaccount:ns:me", "system_3aserviceaccount_3ans_3ame"),
        ("CORP\\al ice", "CORP_5cal_20ice"),
        ("a-b.c", "a-b.c"),
        ("_40", None),
        ("@", None),
        ("-a", None),
        ("a.", None),
        ("josé", None),
        ("a" * 64, None),
        ("@" * 22, None),
        ("\ud800", None),
    ],
    ids=ascii,
)
def test_the_label_of_a_user(user: str, label: str | None) -> None:
    made = user_label(user)
    if label is None:
        assert "_x" in made
        assert user_of_label(made) is None
    else:
        assert made == label
        assert user_of_label(made) == user


@given(st.text())
def test_every_user_has_a_valid_label(user: str) -> None:
    assert LABEL.fullmatch(user_label(user))


@given(st.text(st.characters(max_codepoint=127), max_size=80))
def test_a_label_is_read_back_or_is_known_to_be_cut(user: str) -> None:
    found = user_of_label(user_label(user))
    assert found == user or (found is None and "_x" in user_label(user))


@given(st.text(), st.text())
def test_two_users_never_share_a_label(one: str, other: str) -> None:
    assert (user_label(one) == user_label(other)) == (one == other)


@given(st.text(alphabet="ab._-x0123456789", max_size=70))
def test_any_label_may_be_read(label: str) -> None:
    user = user_of_label(label)
    assert user is None or user_label(user) == label


@given(st.text("abzAZ059.-@_: \\", min_size=1, max_size=15).map(lambda text: f"a{text}z"))
def test_a_chain_of_replaces_writes_the_same_label(user: str) -> None:
    chained = user.replace("_", "_5f")
    for char in "@: \\":
        chained = chained.replace(char, f"_{ord(char):02x}")
    assert user_label(user) == chained


@pytest.mark.parametrize(
    ("settings_user", "environ", "reviewed", "expected"),
    [
        ("set", {}, "alice", "set"),
        ("set", {"JOBMAN_USER": "env"}, "alice", "set"),
        (None, {"JOBMAN_USER": "env"}, "alice", "env"),
        (None, {}, "alice", "alice"),
        (None, {}, None, "alice-of-the-kubeconfig"),
        (None, {}, "system:anonymous", "alice-of-the-kubeconfig"),
    ],
    ids=["settings", "settings first", "environment", "server", "kubeconfig", "anonymous"],
)
def test_who_am_i(
    scripted_server: ScriptedServer,
    make_client: Any,
    settings_user: str | None,
    environ: Mapping[str, str],
    reviewed: str | None,
    expected: str,
) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    body = {"status": {"userInfo": {"username": reviewed}}}
    scripted_server.script("POST", path, Reply(201, body) if reviewed else Reply(404))
    client: Client = make_client(scripted_server)
    client.connection = replace(client.connection, kubeconfig_user="alice-of-the-kubeconfig")
    assert who_am_i(client, settings_user, environ) == expected


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (PODS, ("ns",), "/api/v1/namespaces/ns/pods"),
        (PODS, (None,), "/api/v1/pods"),
        (PODS, ("ns", "p", "log"), "/api/v1/namespaces/ns/pods/p/log"),
        (JOBS, ("ns", "j"), "/apis/batch/v1/namespaces/ns/jobs/j"),
        (NODES, ("ns", "n"), "/api/v1/nodes/n"),
        (EVENTS, ("ns", "a b?c#d"), "/api/v1/namespaces/ns/events/a%20b%3Fc%23d"),
    ],
)
def test_paths(resource: Resource[Any], arguments: tuple[Any, ...], path: str) -> None:
    assert resource.path(*arguments) == path


def test_names_of_resources() -> None:
    assert (JOBS.qualified, PODS.qualified, JOBS.group, PODS.group) == (
        "jobs.batch", "pods", "batch", "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05.000006Z", NOW.replace(microsecond=6)),
        ("2026-01-02T05:04:05+02:00", NOW),
        ("2026-01-02T03:04:05", None),
        ("", None),
        ("yesterday", None),
        ("9" * 10_000, None),
        ("0001-01-01T00:00:00+23:00", None),
    ],
    ids=["micros", "offset", "no zone", "empty", "words", "long", "overflow"],
)
def test_when_it_was_submitted(text: str, expected: datetime | None) -> None:
    assert labels.submitted_at({labels.SUBMITTED_AT: text}) == expected
    assert labels.submitted_at({}) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_submission_times_are_read_back(moment: datetime) -> None:
    text = labels.format_submitted_at(moment)
    assert labels.submitted_at({labels.SUBMITTED_AT: text}) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name": "small"}', {"name": "small"}),
        ("[]", None),
        ("", None),
        ("{", None),
        ("[" * 60_000, None),
        ('{"a": "' + "x" * 70_000 + '"}', None),
        ('"\ud800"', None),
    ],
    ids=["object", "list", "empty", "cut", "deep", "long", "surrogate"],
)
def test_the_flavor_of_a_job(text: str, expected: object) -> None:
    assert labels.flavor_spec({labels.FLAVOR_SPEC: text}) == expected


@pytest.mark.parametrize(
    ("annotations", "on_label", "expected"),
    [
        ({labels.USER: "al@x"}, "bob", "al@x"),
        ({}, "al_40x", "al@x"),
        ({}, "al_xffffffffffff", None),
        ({}, "", None),
        ({labels.USER: ""}, "bob", "bob"),
    ],
    ids=["annotation", "label", "cut label", "none", "empty annotation"],
)
def test_the_user_of_a_job(
    annotations: dict[str, str], on_label: str, expected: str | None
) -> None:
    assert labels.user(annotations, {labels.USER: on_label}) == expected


@pytest.mark.parametrize(
    ("code", "repeatable", "retry_after", "expected"),
    [
        (200, True, None, False),
        (404, True, "1", False),
        (429, False, None, True),
        (500, True, None, True),
        (500, False, None, False),
        (503, False, "1", True),
        (501, True, "1", False),
        (504, True, None, True),
    ],
)
def test_worth_repeating(
    code: int, repeatable: bool, retry_after: str | None, expected: bool
) -> None:
    found = worth_repeating(code, repeatable=repeatable, retry_after=retry_after)
    assert found is expected


@pytest.mark.parametrize(
    ("attempt", "retry_after", "least", "most"),
    [
        (0, None, 0.125, 0.25),
        (1, None, 0.25, 0.5),
        (3, None, 1.0, 2.0),
        (2000, None, LONGEST_WAIT_S / 2, LONGEST_WAIT_S),
        (0, "2", 2.0, 2.1),
        (0, " 0 ", 0.0, 0.1),
        (0, "99999", LONGEST_WAIT_S, LONGEST_WAIT_S),
        (0, "Fri, 02 Jan 2026 03:04:08 GMT", 3.0, 3.1),
        (0, "Fri, 02 Jan 2026 03:04:08 -0000", 3.0, 3.1),
        (0, "Fri, 02 Jan 2020 03:04:08 GMT", 0.0, 0.1),
        (0, "soon", 0.125, 0.25),
        (0, "-1", 0.125, 0.25),
        (0, "٣", 0.125, 0.25),
        (0, "9" * 5000, 0.125, 0.25),
    ],
)
def test_pauses(attempt: int, retry_after: str | None, least: float, most: float) -> None:
    for chance, expected in ((0.0, least), (1.0, most)):
        assert wait_s(attempt, retry_after, chance, NOW) == pytest.approx(expected)


@given(st.integers(0, 5000), st.none() | st.text(), st.floats(0, 1))
def test_a_pause_is_bounded(attempt: int, retry_after: str | None, chance: float) -> None:
    assert 0 <= wait_s(attempt, retry_after, chance, NOW) <= LONGEST_WAIT_S


def test_the_text_of_times_sorts_as_they_do() -> None:
    times = [NOW + timedelta(microseconds=n) for n in (0, 1, 999_999, 1_000_000)]
    texts = [labels.format_submitted_at(moment) for moment in times]
    assert texts == sorted(texts)
