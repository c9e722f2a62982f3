"""Failures by what they have in common."""

from __future__ import annotations

import pytest

from jobman.map.failures import by_cause, id_of, unmet
from jobman.map.outcome import Outcome


def failed(reason: str, line: str = "", node: str = "", message: str = "") -> Outcome:
    return Outcome(
        index=0,
        name="p",
        succeeded=False,
        reason=reason,
        last_line=line,
        node=node,
        message=message,
    )


def test_failures_by_cause() -> None:
    found = by_cause(
        [
            failed("Error(exit 1)", "no file 000017.tar at 0xFf12", "a"),
            failed("OOMKilled", node="a"),
            failed("Error(exit 1)", "no file 000099.tar at 0x3", "b"),
            failed("Error(exit 1)", "another", "b"),
            failed("Error(exit 1)", "No file 3.tar at 0x4", "a"),
            failed("InvalidImageName", message="bad image"),
        ]
    )
    assert [(c.reason, c.line, c.count, dict(c.nodes)) for c in found] == [
        ("Error(exit 1)", "no file 000017.tar at 0xFf12", 3, {"a": 2, "b": 1}),
        ("OOMKilled", "", 1, {"a": 1}),
        ("Error(exit 1)", "another", 1, {"b": 1}),
        ("InvalidImageName", "bad image", 1, {}),
    ]


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (set(), ""),
        ({"OOMKilled", id_of(failed("Error(exit 3)", "oh"))}, ""),
        (
            {"Evicted", "OOMKilled"},
            "nothing failed of Evicted; there are: Error(exit 3) (2), OOMKilled (1)",
        ),
    ],
)
def test_reasons_that_nothing_failed_of_are_told(reasons: set[str], told: str) -> None:
    all_failures = [
        failed("Error(exit 3)", "oh"),
        failed("OOMKilled"),
        failed("Error(exit 3)", "ah"),
    ]
    assert unmet(reasons, all_failures) == told


def test_no_failures_at_all_are_told() -> None:
    assert unmet({"b", "a"}, []) == "nothing failed of a or b; nothing has failed at all"


def test_no_failures_have_no_cause() -> None:
    assert by_cause([]) == []


def test_a_cause_has_a_name_that_stays() -> None:
    one, other = by_cause([failed("Error(exit 1)", "no file 17"), failed("Error(exit 1)", "no")])
    (again,) = by_cause([failed("Error(exit 1)", "no file 99", "b")])
    assert one.id == again.id != other.id
    assert id_of(failed("Error(exit 1)", "no file 5")) == one.id
