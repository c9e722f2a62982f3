"""A run as one thing: its name, its state and its counts by what its pods and its lease are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from jobman.kube.objects import Lease, Pod
from jobman.map import presence
from jobman.map.presence import Presence
from jobman.values.enums import State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = "bcdfghjk"
PHASES = {"P": "Pending", "R": "Running", "S": "Succeeded", "F": "Failed"}


def pod(index: int, letter: str, *, run: str = RUN, owned: bool = False) -> Pod:
    metadata: dict[str, Any] = {
        "name": f"p{index}",
        "namespace": "team",
        "uid": f"u{index}",
        "creationTimestamp": f"2026-01-01T11:00:0{index}Z",
        "labels": {"jobman/run": run, "jobman/flavor": "small"},
        "annotations": {"jobman/user": "alice", "jobman/item": str(index)},
    }
    if owned:
        owner = {"kind": "Job", "name": f"map-{run}", "uid": "j", "apiVersion": "batch/v1"}
        metadata["ownerReferences"] = [owner]
    gpus = {"limits": {"nvidia.com/gpu": "2"}}
    spec = {"containers": [{"name": "main", "image": "busybox", "resources": gpus}]}
    status = {"phase": PHASES[letter]}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": status}, Pod)


def lease(**annotations: str) -> Lease:
    metadata = {"name": f"jobman-map-{RUN}", "namespace": "team", "annotations": annotations}
    return msgspec.convert({"metadata": metadata, "spec": {"holderIdentity": "h/1.2"}}, Lease)


def run_of(letters: str, *, living: bool = False, held: Lease | None = None) -> Presence:
    if not letters:
        return Presence(RUN, "team", (), held, living)
    pods = [pod(index, letter) for index, letter in enumerate(letters)]
    leases = {("team", RUN): (held or lease(), living)} if held or living else {}
    (found,) = presence.grouped(pods, leases, now=NOW)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("map-bcdfghjk", "bcdfghjk"),
        ("map-12345678", "12345678"),
        ("map-bcdfghj", None),
        ("map-bcdfghjkl", None),
        ("map-BCDFGHJK", None),
        ("xmap-bcdfghjk", None),
        ("bcdfghjk", None),
        ("map-*", None),
    ],
)
def test_names(name: str, expected: str | None) -> None:
    assert presence.run_of(name) == expected


@pytest.mark.parametrize(
    ("letters", "living", "cancelled", "expected"),
    [
        ("PRS", True, False, State.RUNNING),
        ("PP", True, False, State.PENDING),
        ("SF", True, False, State.RUNNING),
        ("", True, False, State.RUNNING),
        ("PR", False, False, State.RUNNING),
        ("SF", False, False, State.FAILED),
        ("SS", False, False, State.SUCCEEDED),
        ("SS", False, True, State.CANCELLED),
        ("RS", False, True, State.RUNNING),
    ],
)
def test_states(letters: str, living: bool, cancelled: bool, expected: State) -> None:
    held = lease(**{"jobman/cancelled-by": "alice"}) if cancelled else None
    assert run_of(letters, living=living, held=held).state is expected


def test_the_row_counts_what_is_there() -> None:
    row = presence.row(run_of("PRRSF"), None, now=NOW)
    assert (row.name, row.namespace, row.user) == (f"map-{RUN}", "team", "alice")
    assert (row.completions, row.succeeded, row.failed) == (5, 1, 1)
    assert (row.active, row.running, row.gpus) == (3, 2, 6)
    assert (row.flavor, row.image, row.reason) == ("small", "busybox", "NoRunner")
    assert row.submitted_at == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert presence.row(run_of("R", living=True), None, now=NOW).reason == ""


def test_a_detached_runs_pods_are_its_jobs() -> None:
    pods = [pod(0, "R", owned=True), pod(1, "R", run="other222"), pod(2, "S")]
    found = presence.grouped(pods, {}, now=NOW)
    assert sorted((run.name, len(run.pods)) for run in found) == [
        (f"map-{RUN}", 1),
        ("map-other222", 1),
    ]


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [(None, [0, 1, 2]), (frozenset({2, 0}), [0, 2]), (frozenset({7}), [])],
)
def test_pods_by_index(indexes: frozenset[int] | None, expected: list[int]) -> None:
    assert [index for index, _ in presence.with_index(run_of("SRP"), indexes)] == expected
