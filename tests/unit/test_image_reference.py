"""Image references in parts."""

from __future__ import annotations

import pytest

from jobman.errors import UsageError
from jobman.images.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("alpine", (None, "alpine", None, None)),
        ("library/alpine:3", (None, "library/alpine", "3", None)),
        ("localhost/x", ("localhost", "x", None, None)),
        ("host:5000/a/b:t", ("host:5000", "a/b", "t", None)),
        ("ghcr.io/a/b@" + DIGEST, ("ghcr.io", "a/b", None, DIGEST)),
        ("a:1@" + DIGEST, (None, "a", "1", DIGEST)),
        (
            "ubuntu_python_tensorflow:3.1cuda11",
            (None, "ubuntu_python_tensorflow", "3.1cuda11", None),
        ),
    ],
)
def test_parts(text: str, parts: tuple[str | None, ...]) -> None:
    reference = Reference.parse(text)
    assert (reference.host, reference.name, reference.tag, reference.digest) == parts
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no repository name"),
        ("Alpine", "'Alpine' is no repository name; names are in lower case"),
        ("a:", "'' is no tag"),
        ("a:b c", "'b c' is no tag"),
        ("a@sha", "'sha' is no digest"),
        ("a@sha256:", "'sha256:' is no digest (sha256 has 64 digits)"),
        (f"a@sha256:{'a' * 40}", "is no digest (sha256 has 64 digits)"),
        (f"a@sha256:{'g' * 64}", "is no digest"),
        ("a//b", "'a//b' is no repository name"),
        ("-x.y/a", "'-x.y' is no host"),
        ("a b", "'a b' is no repository name"),
    ],
)
def test_what_is_none(text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        Reference.parse(text)
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("prefix", "text", "whole"),
    [
        (None, "a:1", "a:1"),
        ("", "a:1", "a:1"),
        ("harbor.example/lib/", "a:1", "harbor.example/lib/a:1"),
        ("harbor.example/lib/", "ghcr.io/a:1", "ghcr.io/a:1"),
    ],
)
def test_prefix(prefix: str | None, text: str, whole: str) -> None:
    assert str(Reference.parse(text).with_prefix(prefix)) == whole
