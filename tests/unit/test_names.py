"""Kubernetes' rules for names."""

from __future__ import annotations

import pytest

from jobman.values import names


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True),
        ("a-1", True),
        ("", False),
        ("A", False),
        ("-a", False),
        ("a-", False),
        ("a.b", False),
        ("a_b", False),
        ("a\n", False),
        ("ä", False),
        ("a" * 63, True),
        ("a" * 64, False),
    ],
)
def test_dns_label(name: str, good: bool) -> None:
    assert (names.dns_label_problem(name) is None) is good


def test_the_longest_is_said() -> None:
    problem = names.dns_label_problem("a" * 53, longest=names.JOB_NAME_MAX)
    assert problem == "it has 53 characters, at most 52 are allowed"


@pytest.mark.parametrize(
    ("name", "good"), [("a.b-c", True), ("a..b", False), (".a", False), ("a.B", False)]
)
def test_dns_subdomain(name: str, good: bool) -> None:
    assert (names.dns_subdomain_problem(name) is None) is good


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("app", True),
        ("app.kubernetes.io/name", True),
        ("a_B.c", True),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("A/b", False),
        ("a/b/c", False),
        ("x" * 64, False),
        ("_a", False),
    ],
)
def test_label_key(key: str, good: bool) -> None:
    assert (names.label_key_problem(key) is None) is good


@pytest.mark.parametrize(
    ("value", "good"), [("", True), ("a b", False), ("1.2_3-x", True), ("-", False)]
)
def test_label_value(value: str, good: bool) -> None:
    assert (names.label_value_problem(value) is None) is good


@pytest.mark.parametrize(
    ("name", "good"), [("A_1", True), ("a b", True), ("", False), ("A=B", False)]
)
def test_env_name(name: str, good: bool) -> None:
    assert (names.env_name_problem(name) is None) is good


def test_random_suffix() -> None:
    made = {names.random_suffix() for _ in range(100)}
    assert len(made) > 95
    assert all(len(suffix) == 5 and names.dns_label_problem(suffix) is None for suffix in made)


def test_globs() -> None:
    assert [names.is_glob(text) for text in ("a", "a*", "a?", "[ab]")] == [False, True, True, True]
    assert names.glob_matches("train-*", "train-1")
    assert not names.glob_matches("train-*", "Train-1")


def test_nearest() -> None:
    assert names.nearest("smal", ["small", "large"]) == "small"
    assert names.nearest("DEFAULTIMAGE", ["imagePrefix", "defaultImage"]) == "defaultImage"
    assert names.nearest("xyz", ["small", "large"]) is None
