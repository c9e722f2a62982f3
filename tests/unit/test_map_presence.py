"""A run as one thing: its name, its state and its counts by what its pods and its lease are."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobman.kube.objects import Lease, OwnerReference, Pod
from jobman.map import presence, run_names, waiting
from jobman.map.presence import Presence
from jobman.map.record import RECORD, Record, here, of_lease, place
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
    metadata["creationTimestamp"] = "2026-01-01T10:00:00Z"
    spec = {"holderIdentity": "h/1.2", "renewTime": "2026-01-01T11:30:00.5Z"}
    return msgspec.convert({"metadata": metadata, "spec": spec}, Lease)


def recorded(items: int, succeeded: int, failed: int, **annotations: str) -> Lease:
    return lease(**Record(items, succeeded, failed).annotation, **annotations)


def run_of(letters: str, *, living: bool = False, held: Lease | None = None) -> Presence:
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
    assert run_names.run_of(name) == expected


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


def test_who_waits_for_a_cancelled_run_does_not_see_its_dying_pods() -> None:
    run = run_of("RS", living=False, held=lease(**{"jobman/cancelled-by": "alice"}))
    nobody: Any = None
    over = waiting.until_over(nobody, run, now=lambda: NOW, timeout_s=None)
    assert (run.state, over.state) == (State.RUNNING, State.CANCELLED)


def test_the_row_counts_what_is_there() -> None:
    row = presence.row(run_of("PRRSF"), None, now=NOW)
    assert (row.name, row.namespace, row.user) == (f"map-{RUN}", "team", "alice")
    assert (row.completions, row.succeeded, row.failed) == (5, 1, 1)
    assert (row.active, row.running, row.gpus) == (3, 2, 6)
    assert (row.flavor, row.image, row.reason) == ("small", "busybox", "NoRunner")
    assert row.submitted_at == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert presence.row(run_of("R", living=True), None, now=NOW).reason == ""


@pytest.mark.parametrize(
    ("letters", "held", "living", "state", "reason", "counts"),
    [
        ("", recorded(9, 2, 1), True, State.RUNNING, "", (9, 2, 1)),
        ("", recorded(9, 2, 1), False, State.SUSPENDED, "NoRunner", (9, 2, 1)),
        ("SS", recorded(9, 0, 0), False, State.SUSPENDED, "NoRunner", (9, 2, 0)),
        ("RS", recorded(9, 5, 0), False, State.RUNNING, "NoRunner", (9, 5, 0)),
        ("", recorded(9, 8, 1), False, State.FAILED, "", (9, 8, 1)),
        ("SSS", recorded(3, 3, 0), False, State.SUCCEEDED, "", (3, 3, 0)),
        (
            "",
            recorded(9, 2, 1, **{"jobman/cancelled-by": "alice"}),
            False,
            State.CANCELLED,
            "",
            (9, 2, 1),
        ),
    ],
)
def test_the_row_counts_what_has_come_home(
    letters: str, held: Lease, living: bool, state: State, reason: str, counts: tuple[int, int, int]
) -> None:
    row = presence.row(run_of(letters, living=living, held=held), None, now=NOW)
    assert (row.state, row.reason) == (state, reason)
    assert (row.completions, row.succeeded, row.failed) == counts
    assert row.submitted_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    if state.finished or state is State.SUSPENDED:
        assert row.finished_at == datetime(2026, 1, 1, 11, 30, 0, 500_000, tzinfo=UTC)
        assert row.duration_seconds == 5400
    else:
        assert (row.finished_at, row.duration_seconds) == (None, 7200)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"items": "3"}', '{"items": 3, "failed": 4}', '{"items": -1}']
)
def test_a_record_that_makes_no_sense_is_none(text: str) -> None:
    assert of_lease(lease(**{RECORD: text})) is None
    assert of_lease(None) is None


def test_a_detached_runs_lease_is_its_jobs() -> None:
    owned = lease()
    owner = OwnerReference(kind="Job", name=f"map-{RUN}", uid="j")
    meta = msgspec.structs.replace(owned.metadata, owner_references=[owner])
    owned = msgspec.structs.replace(owned, metadata=meta)
    assert presence.grouped([], {("team", RUN): (owned, True)}, now=NOW) == []


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


@pytest.mark.parametrize(
    ("directory", "written", "found"),
    [
        ("/a b/c:d", "/a b/c:d", Path("/a b/c:d")),
        ("/a/\udcffé", "/a/\\xffé", Path("/a/\\xffé")),
    ],
)
def test_the_place_of_the_logs_is_text(directory: str, written: str, found: Path) -> None:
    told = place(Path(directory))
    assert told == f"{socket.gethostname()}:{written}"
    assert Record(items=1, logs=told).annotation
    assert here(told) == found
    assert here(f"x{told}") is None
