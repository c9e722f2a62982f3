"""What a label selector may look like: never stricter than Kubernetes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobman.local.api import selectors
from jobman.local.api.status import ApiError
from jobman.values.selectors import selector_problem


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "!a",
        "! a",
        "a=",
        "a =b",
        "a==b",
        "a != b",
        "x.y/z=1",
        "a in (x, y),!b, c notin (z)",
        "in in (in)",
        "a in(b,)",
        "a>5,b<-1",
    ],
)
def test_what_is_one(text: str) -> None:
    assert selector_problem(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("==", "'==' is no condition on a label"),
        ("a=1,b c", "'b c' is no condition on a label"),
        ("a=b=c", "'a=b=c' is no condition on a label"),
        ("a,,b", "'' is no condition on a label"),
        ("a,", "'' is no condition on a label"),
        (" ", "'' is no condition on a label"),
        ("a in (b", "'a in (b' is no condition on a label"),
        ("a in b", "'a in b' is no condition on a label"),
        ("a>x", "'a>x' is no condition on a label"),
        ("!", "'!' is no condition on a label"),
        ("-a", "'-a' is no label's key: only letters"),
        ("/z=1", "'/z' is no label's key: its prefix"),
        ("a in (b,$)", "'$' is no label's value: only letters"),
        ("a=" + "v" * 64, "is no label's value: it has 64 characters"),
    ],
)
def test_what_is_none(text: str, said: str) -> None:
    assert said in str(selector_problem(text))


@given(st.text("ab1. \t,=!()<>-/nit", max_size=12))
@example("a notin (b,c),!d")
@example("a in (b),c in (d)")
def test_what_a_server_takes_is_never_refused(text: str) -> None:
    try:
        selectors.labels(text)
    except ApiError:
        return
    assert not text.strip() or selector_problem(text) is None
