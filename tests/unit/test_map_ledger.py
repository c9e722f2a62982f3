"""The log directory: whole logs, attempts that survive any end, and no other run in its place."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.errors import ConfigError, UsageError
from jobman.map import ranges
from jobman.map.attempts import Attempts
from jobman.map.ledger import Ledger, RunFile, Source, Totals
from jobman.map.outcome import Outcome


def fresh(**changes: Any) -> RunFile:
    source = {"count": 5, "items": "i", "template": "t", "namespace": "team"} | changes
    template = source.pop("document", {"kind": "Pod", "spec": {"containers": [{"image": "a"}]}})
    return RunFile(run="abc", source=Source(**source), template=template)


def opened(directory: Path) -> Ledger:
    ledger = Ledger.open(directory, fresh())
    ledger.take_up(fresh())
    return ledger


def keep(ledger: Ledger, index: int, text: str = "words\n", **more: Any) -> Outcome:
    partial = ledger.partial(index, 1)
    partial.write_text(text)
    given = {"succeeded": True, "item": f"item {index}"} | more
    outcome = Outcome(index=index, name=f"pod-{index}", **given)
    ledger.keep(outcome, partial)
    return outcome


@pytest.mark.parametrize("umask", [0o002, 0o077])
def test_what_may_hold_secrets_is_the_owners_alone(umask: int, tmp_path: Path) -> None:
    """The values of `-e` are in the command, and in the template."""
    before = os.umask(umask)
    try:
        ledger = opened(tmp_path)
        modes = [(tmp_path / "run.json").stat().st_mode & 0o777]
        ledger.write(Totals())
        modes.append((tmp_path / "run.json").stat().st_mode & 0o777)
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]


def test_a_log_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    ledger = opened(tmp_path / "deep" / "logs")
    assert ledger.outcome_on_disk("pod-1") is None
    assert ledger.ended() == set()
    keep(ledger, 1, "one\n")
    assert ledger.ended() == {hash("pod-1")}
    assert (ledger.directory / "pod-1.log").read_text() == "one\n"
    assert ledger.outcome_on_disk("pod-1") is True
    assert not ledger.partial(1, 1).exists()


def test_what_a_killed_runner_left_half_done_is_dropped(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.partial(1, 1).write_text("hal")
    again = opened(tmp_path)
    assert list((tmp_path / ".partial").glob("*/*")) == []
    assert ledger.partial(1, 1) != again.partial(1, 1)
    assert again.outcome_on_disk("pod-1") is None


def test_a_later_success_replaces_the_error(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    keep(ledger, 2, succeeded=False, reason="Error(exit 3)", exit_code=3)
    assert ledger.outcome_on_disk("pod-2") is False
    assert [o.index for o in ledger.failures()] == [2]
    keep(ledger, 2)
    assert ledger.outcome_on_disk("pod-2") is True
    assert list(ledger.failures()) == []
    assert not (tmp_path / "pod-2.err").exists()


def test_of_both_files_the_log_counts(tmp_path: Path) -> None:
    """As a runner leaves them that is killed between writing the one and removing the other."""
    ledger = opened(tmp_path)
    keep(ledger, 2)
    (tmp_path / "pod-2.err").write_text("of before")
    assert ledger.outcome_on_disk("pod-2") is True
    assert not (tmp_path / "pod-2.err").exists()


def test_failed_csv_has_each_failure_once(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    for attempt, index in enumerate((3, 1, 3)):
        keep(ledger, index, succeeded=False, reason="OOMKilled", attempts=attempt, last_line="x,y")
    ledger.write(Totals(5, 0, 2))
    with (tmp_path / "failed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["index"], r["item"], r["attempts"]) for r in rows] == [
        ("1", "item 1", "1"),
        ("3", "item 3", "2"),
    ]
    assert rows[0]["last_line"] == "x,y"


def test_failed_csv_has_a_column_per_parameter(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    keep(ledger, 0, succeeded=False, values={"x": "1", "y": "a b"})
    ledger.write(Totals(5, 0, 1))
    head, row = (tmp_path / "failed.csv").read_text().splitlines()
    assert head.startswith("index,name,x,y,reason,exit_code")
    assert row.startswith("0,pod-0,1,a b,")


def test_a_failure_that_was_noted_by_half_is_none(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    keep(ledger, 1, succeeded=False)
    with (tmp_path / ".failures").open("ab") as file:
        file.write(b'{"index": 2, "na')
    again = opened(tmp_path)
    keep(again, 3, succeeded=False)
    assert [outcome.index for outcome in again.failures()] == [1, 3]


def test_run_json_tells_what_was_done(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.attempts.begin([0, 1, 2])
    ledger.attempts.begin([1])
    keep(ledger, 4, incomplete=True)
    ledger.write(Totals(5, 1, 0), finished=True)
    found = json.loads((tmp_path / "run.json").read_text())
    assert found["attempts"] == {"1": "0,2", "2": "1"}
    assert found["totals"] == {"items": 5, "succeeded": 1, "failed": 0}
    assert found["incompleteLogs"] == ["pod-4.log"]
    assert found["finishedAt"] == found["updatedAt"]


def test_a_log_that_came_whole_the_next_time_lacks_nothing(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    keep(ledger, 4, succeeded=False, incomplete=True)
    keep(ledger, 5, incomplete=True)
    keep(ledger, 4)
    ledger.write(Totals(5, 2, 0))
    assert ledger.file.incomplete_logs == ["pod-5.log"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"count": 6}, "items: 5 there, 6 here", id="more items"),
        pytest.param({"items": "x"}, "items: 5 in both, but not the same ones", id="others"),
        pytest.param({"namespace": "b"}, "namespace: team there, b here", id="elsewhere"),
        pytest.param(
            {
                "template": "x",
                "document": {"kind": "Pod", "spec": {"containers": [{"image": "b"}]}},
            },
            'template spec.containers[0].image: "a" there, "b" here',
            id="another image",
        ),
        pytest.param(
            {"template": "x", "document": {"kind": "Pod", "spec": {"containers": []}}},
            'template spec.containers: [{"image":"a"}] there, [] here',
            id="fewer containers",
        ),
        pytest.param({"template": "x"}, "template: not the same", id="in a way not kept"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    opened(tmp_path).attempts.begin([0])
    with pytest.raises(UsageError) as caught:
        Ledger.open(tmp_path, fresh(**changes))
    assert caught.value.message.splitlines()[1:] == [f"  {expected}"]


def test_the_same_run_is_taken_up(tmp_path: Path) -> None:
    opened(tmp_path)
    again = fresh()
    again.run = "another"
    assert Ledger.open(tmp_path, again).run == "abc"


@pytest.mark.parametrize("text", ["", "{", '{"run": 3}', "\xff"], ids=repr)
def test_an_unreadable_run_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, "latin-1")
    with pytest.raises(ConfigError, match=r"run\.json cannot be read"):
        Ledger.open(tmp_path, fresh())


def test_running_everything_again_forgets_the_failures(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    keep(ledger, 1, succeeded=False)
    ledger.begin_anew()
    assert Ledger.open(tmp_path, fresh()).file.rerun
    ledger.forget("pod-1")
    ledger.cleared()
    assert list(ledger.failures()) == []
    assert not Ledger.open(tmp_path, fresh()).file.rerun


def test_attempts_are_on_disk_before_they_begin(tmp_path: Path) -> None:
    first = Attempts(tmp_path, 5)
    first.begin([1, 2, 1])
    first.never_began(2)
    second = Attempts(tmp_path, 5)
    second.load(0, {})
    assert list(second.counts) == [0, 2, 0, 0, 0]


def test_a_torn_line_of_the_journal_never_happened(tmp_path: Path) -> None:
    (tmp_path / ".attempts-0").write_bytes(b"+1\n+2\n+")
    attempts = Attempts(tmp_path, 5)
    attempts.load(0, {"1": "0-1"})
    attempts.begin([4])
    again = Attempts(tmp_path, 5)
    again.load(0, {"1": "0-1"})
    assert list(again.counts) == [1, 2, 1, 0, 1]


def test_folding_counts_nothing_twice(tmp_path: Path) -> None:
    """Whether the runner is killed before run.json is replaced, or after."""
    attempts = Attempts(tmp_path, 5)
    attempts.begin([0, 1])
    folded = attempts.fold()
    attempts.begin([1])
    before, after = Attempts(tmp_path, 5), Attempts(tmp_path, 5)
    before.load(0, {})
    after.load(1, folded)
    assert list(before.counts) == [1, 1, 0, 0, 0]
    assert list(after.counts) == [1, 2, 0, 0, 0]
    attempts.forget_older()
    assert [path.name for path in tmp_path.iterdir()] == [".attempts-1"]


@pytest.mark.parametrize("folded", [{"1": "0-9"}, {"1": "x"}, {"x": "1"}, {"1": "3-1"}], ids=repr)
def test_attempts_that_make_no_sense_are_an_error(tmp_path: Path, folded: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="the count of attempts cannot be read"):
        Attempts(tmp_path, 5).load(0, folded)


@given(st.lists(st.integers(0, 3), max_size=60))
def test_ranges_come_back(values: list[int]) -> None:
    back = [0] * len(values)
    for value, text in ranges.by_value(values).items():
        for first, last in ranges.parse(text):
            for index in range(first, last + 1):
                back[index] = value
    assert back == values
