"""Indexes, tasks, the order of rows, and logs without a head: all pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.job_world import NOW, a_job, a_pod, exited, running

from jobman.jobs import indexes, state, tasks
from jobman.jobs.listing import JobRow
from jobman.jobs.order import KEYS, ordered
from jobman.jobs.rotation import head_may_be_missing
from jobman.kube.objects import Job, Pod
from jobman.values.enums import State

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(st.frozensets(st.integers(0, 99_999), min_size=1, max_size=50))
def test_indexes_there_and_back(some: frozenset[int]) -> None:
    assert indexes.parse(indexes.text(some)) == some


@pytest.mark.parametrize("text", ["", "a", "-1", "4-2", "1,,2", "1-", "100000", "\u0663", "9" * 30])
def test_what_is_no_index(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        indexes.parse(text)
    assert indexes.told(text) == frozenset()


def an_array(
    status: dict[str, Any], *pods: tuple[str, int, dict[str, Any]]
) -> tuple[Job, list[Pod]]:
    spec = {"completions": 4, "parallelism": 2, "completionMode": "Indexed"}
    job = a_job("a", spec=spec, status=status)
    job["metadata"] |= {"uid": "uid-a", "namespace": "team"}
    found = []
    for name, index, pod_status in pods:
        pod = a_pod("a", name, **pod_status)
        pod["metadata"]["annotations"] = {"batch.kubernetes.io/job-completion-index": str(index)}
        found.append(pod)
    return msgspec.convert(job, Job, strict=False), msgspec.convert(found, list[Pod], strict=False)


def test_tasks_of_an_array() -> None:
    job, pods = an_array(
        {"completedIndexes": "0", "failedIndexes": "1"},
        ("first", 2, exited(3)),
        ("second", 2, running()),
    )
    rows = tasks.of(job, state.of(job, pods, now=NOW), now=NOW)
    assert [(row.index, row.state, row.reason, row.attempts) for row in rows] == [
        (0, State.SUCCEEDED, "PodGone", 0),
        (1, State.FAILED, "PodGone", 0),
        (2, State.RUNNING, "", 2),
        (3, State.PENDING, "", 0),
    ]
    assert (rows[2].pod, rows[2].duration_seconds) == ("second", 500)


def a_row(name: str, **more: Any) -> JobRow:
    blank = dict.fromkeys(JobRow.__struct_fields__, None)
    counts = dict.fromkeys(("gpus", "completions", "succeeded", "failed", "active", "running"), 0)
    texts = dict.fromkeys(("namespace", "reason", "message", "image", "node"), "")
    return JobRow(**(blank | counts | texts | {"name": name, "state": State.RUNNING} | more))


@pytest.mark.parametrize(
    ("key", "expected"),
    [("name", "abc"), ("-name", "cba"), ("gpus", "bca"), ("-gpus", "acb"), ("duration", "cab")],
)
def test_order(key: str, expected: str) -> None:
    rows = [
        a_row("a", gpus=0, duration_seconds=1),
        a_row("b", gpus=8),
        a_row("c", gpus=4, duration_seconds=9),
    ]
    assert "".join(row.name for row in ordered(rows, key)) == expected


@given(
    st.permutations(
        [
            a_row(n, submitted_at=AT + timedelta(seconds=s))
            for n, s in zip("abcd", [3, 1, 1, 2], strict=True)
        ]
    )
)
def test_the_order_of_input_does_not_matter(rows: list[JobRow]) -> None:
    assert "".join(row.name for row in ordered(rows)) == "adbc"
    assert all(len(ordered(rows, key)) == 4 for key in KEYS)


@pytest.mark.parametrize(
    ("silent_s", "spoke_s", "size", "missing"),
    [
        pytest.param(0.5, 60, 9 << 20, False, id="begins at the start"),
        pytest.param(60, 60, 9 << 20, True, id="as much again before it"),
        pytest.param(600, 600, 100_000, False, id="quiet, then few lines"),
        pytest.param(3600, 60, 1 << 20, True, id="chatty for an hour"),
    ],
)
def test_a_head_that_may_be_missing(
    silent_s: float, spoke_s: float, size: int, missing: bool
) -> None:
    first = AT + timedelta(seconds=silent_s)
    last = first + timedelta(seconds=spoke_s)
    assert head_may_be_missing(AT, first, last, size) is missing
