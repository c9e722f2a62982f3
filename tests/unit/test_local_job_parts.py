"""The small pure parts of the Job controller: indexes, pauses, rules, which pods, how they look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.local.controllers import job_policies, job_replicas
from jobman.local.controllers.indexes import IndexSet
from jobman.local.controllers.job_backoff import Backoff
from jobman.local.controllers.job_memory import Memory, Orphans
from jobman.local.controllers.job_pods import INDEX, JobPod
from jobman.local.controllers.job_template import NewPod, new_pod
from jobman.local.stored import Key

T0 = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


class TestIndexes:
    @pytest.mark.parametrize(
        ("indexes", "text"),
        [
            ([], ""),
            ([0], "0"),
            ([0, 1], "0,1"),
            ([0, 1, 2], "0-2"),
            ([5, 0, 1, 3, 4], "0,1,3-5"),
            ([7, 7, 9], "7,9"),
        ],
    )
    def test_written(self, indexes: list[int], text: str) -> None:
        assert str(IndexSet.of(indexes)) == text

    @pytest.mark.parametrize(
        ("text", "below", "written"),
        [
            ("0,1,3-5", 10, "0,1,3-5"),
            ("0-9", 4, "0-3"),
            ("3-1", 10, ""),
            ("", 10, ""),
            ("a,2,-,4-,-5,6", 10, "2,6"),
            ("1-3,2-5", 10, "1-5"),
            ("12", 10, ""),
            ("1," + "9" * 5000 + ",3-" + "9" * 5000, 10, "1"),
        ],
    )
    def test_read(self, text: str, below: int, written: str) -> None:
        assert str(IndexSet.parse(text, below)) == written

    @given(st.sets(st.integers(0, 300)), st.sets(st.integers(0, 300)))
    def test_behaves_as_a_set(self, one: set[int], other: set[int]) -> None:
        left, right = IndexSet.of(one), IndexSet.of(other)
        assert len(left) == len(one)
        assert [i for i in range(302) if i in left] == sorted(one)
        assert left | right == IndexSet.of(one | other)
        assert left.count_common(right) == len(one & other)
        assert list(left.missing(300)) == sorted(set(range(300)) - one)
        assert IndexSet.parse(str(left), 301) == left


class TestBackoff:
    @pytest.mark.parametrize(
        ("before", "succeeded", "failed", "after"),
        [
            (Backoff(), [], [], Backoff()),
            (Backoff(), [], [at(5)], Backoff(1, at(5))),
            (Backoff(2, at(1)), [], [at(9), at(5)], Backoff(4, at(9))),
            (Backoff(2, at(1)), [at(3)], [], Backoff()),
            (Backoff(2, at(1)), [at(3)], [at(2), at(4)], Backoff(1, at(4))),
        ],
        ids=["nothing", "first", "more", "a success", "a failure after a success"],
    )
    def test_counts_failures_since_the_last_success(
        self, before: Backoff, succeeded: list[datetime], failed: list[datetime], after: Backoff
    ) -> None:
        assert before.after(succeeded, failed) == after

    @pytest.mark.parametrize(
        ("failures", "pause_s"), [(0, 0), (1, 10), (2, 20), (4, 80), (7, 600), (500, 600)]
    )
    def test_pause_doubles_up_to_ten_minutes(self, failures: int, pause_s: float) -> None:
        assert Backoff(failures, T0).left_s(T0) == pause_s
        assert Backoff(failures, T0).left_s(at(pause_s)) == 0
        assert Backoff(failures, T0).left_s(at(4)) == max(0, pause_s - 4)


def failed(**more: Any) -> JobPod:
    return JobPod("ns", "p", "u", **{"phase": "Failed", **more})


def policy(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"podFailurePolicy": {"rules": list(rules)}}


def on_exit(action: str, operator: str, *values: int, name: str | None = None) -> dict[str, Any]:
    codes = {"operator": operator, "values": list(values)} | (
        {"containerName": name} if name else {}
    )
    return {"action": action, "onExitCodes": codes}


DISRUPTED = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}


class TestFailurePolicy:
    @pytest.mark.parametrize(
        ("spec", "pod", "counts", "fails_index", "fails_job"),
        [
            ({}, failed(exits=(("main", 1),)), True, False, None),
            (
                policy(on_exit("FailJob", "In", 42)),
                failed(exits=(("main", 42),)),
                True,
                False,
                (
                    "Container main for pod ns/p failed with exit code 42"
                    " matching FailJob rule at index 0"
                ),
            ),
            (policy(on_exit("FailJob", "In", 42)), failed(exits=(("main", 1),)), True, False, None),
            (policy(on_exit("Ignore", "NotIn", 42)), failed(exits=(("m", 1),)), False, False, None),
            (policy(on_exit("Ignore", "NotIn", 42)), failed(exits=(("m", 0),)), True, False, None),
            (
                policy(on_exit("FailIndex", "In", 1, name="side")),
                failed(exits=(("main", 1), ("side", 1))),
                True,
                True,
                None,
            ),
            (
                policy(on_exit("FailIndex", "In", 1, name="side")),
                failed(exits=(("main", 1),)),
                True,
                False,
                None,
            ),
            (
                policy(on_exit("Count", "In", 1), on_exit("Ignore", "In", 1)),
                failed(exits=(("main", 1),)),
                True,
                False,
                None,
            ),
            (
                policy(DISRUPTED),
                failed(conditions=(("DisruptionTarget", "True"),)),
                False,
                False,
                None,
            ),
            (
                policy(DISRUPTED),
                failed(conditions=(("DisruptionTarget", "False"),)),
                True,
                False,
                None,
            ),
            (
                policy({**DISRUPTED, "action": "FailJob"}),
                failed(conditions=(("DisruptionTarget", "True"),)),
                True,
                False,
                "Pod ns/p has condition DisruptionTarget matching FailJob rule at index 0",
            ),
        ],
    )
    def test_first_rule_that_matches(
        self,
        spec: dict[str, Any],
        pod: JobPod,
        counts: bool,
        fails_index: bool,
        fails_job: str | None,
    ) -> None:
        found = job_policies.ruling(pod, spec)
        assert (found.counts, found.fails_index, found.fails_job) == (
            counts,
            fails_index,
            fails_job,
        )

    @pytest.mark.parametrize(
        ("pod", "spec", "is_failed"),
        [
            (failed(), {}, True),
            (JobPod("ns", "p", "u", phase="Running"), {}, False),
            (JobPod("ns", "p", "u", phase="Running", deleting=True), {}, True),
            (JobPod("ns", "p", "u", phase="Succeeded", deleting=True), {}, False),
            (
                JobPod("ns", "p", "u", phase="Running", deleting=True),
                {"podReplacementPolicy": "Failed"},
                False,
            ),
            (JobPod("ns", "p", "u", phase="Running", deleting=True), policy(DISRUPTED), False),
        ],
    )
    def test_when_a_pod_is_a_failure(
        self, pod: JobPod, spec: dict[str, Any], is_failed: bool
    ) -> None:
        assert job_policies.is_failed(pod, spec) is is_failed

    @pytest.mark.parametrize(
        ("limit", "policy_", "restarts", "past"),
        [
            (2, "OnFailure", 1, False),
            (2, "OnFailure", 2, True),
            (0, "OnFailure", 0, False),
            (0, "OnFailure", 1, True),
            (2, "Never", 9, False),
        ],
    )
    def test_restarts_in_place(self, limit: int, policy_: str, restarts: int, past: bool) -> None:
        spec = {"backoffLimit": limit, "template": {"spec": {"restartPolicy": policy_}}}
        pods = [JobPod("ns", "p", "u", phase="Running", restarts=restarts)]
        assert job_policies.past_restarts(pods, spec) is past


@pytest.mark.parametrize(
    ("rules", "done", "rule"),
    [
        ([{"succeededIndexes": "0"}], [0], 0),
        ([{"succeededIndexes": "0"}], [1], None),
        ([{"succeededIndexes": "0-2"}], [0, 1], None),
        ([{"succeededIndexes": "0-2", "succeededCount": 2}], [0, 2], 0),
        ([{"succeededCount": 2}], [3], None),
        ([{"succeededCount": 2}, {"succeededIndexes": "3"}], [3], 1),
        ([{"succeededCount": 2}], [3, 4], 0),
        ([], [0, 1, 2, 3, 4], None),
    ],
)
def test_success_policy(rules: list[Any], done: list[int], rule: int | None) -> None:
    spec = {"completions": 5, "successPolicy": {"rules": rules}}
    told = job_policies.success(spec, IndexSet.of(done))
    assert told == (None if rule is None else f"Matched rules at index {rule}")


class TestReplicas:
    @pytest.mark.parametrize(
        ("spec", "succeeded", "active", "wanted"),
        [
            ({"parallelism": 3}, 0, 1, 3),
            ({"parallelism": 3}, 1, 2, 2),
            ({"parallelism": 3, "completions": 5}, 3, 1, 2),
            ({"parallelism": 3, "completions": 5}, 5, 0, 0),
            ({"parallelism": 0, "completions": 5}, 0, 2, 0),
        ],
        ids=["work queue", "work queue after a success", "few are left", "done", "paused"],
    )
    def test_wanted(self, spec: dict[str, int], succeeded: int, active: int, wanted: int) -> None:
        assert job_replicas.wanted(spec, succeeded, active) == wanted

    def test_the_least_worthy_go_first(self) -> None:
        old = JobPod("ns", "old", "1", phase="Running", node="n", ready=True, created="2026-01-01")
        new = JobPod("ns", "new", "2", phase="Running", node="n", ready=True, created="2026-01-02")
        unready = JobPod("ns", "unready", "3", phase="Running", node="n", created="2026-01-01")
        pending = JobPod("ns", "pending", "4", node="n", created="2026-01-01")
        unplaced = JobPod("ns", "unplaced", "5", created="2026-01-01")
        pods = [old, new, unready, pending, unplaced]
        gone = job_replicas.to_remove(pods, 4, None, indexed=False)
        assert [pod.name for pod in gone] == ["unplaced", "pending", "unready", "new"]

    def test_pods_without_a_place_go_anyhow(self) -> None:
        pods = [
            JobPod("ns", "twin-new", "1", index=0, created="2026-01-02"),
            JobPod("ns", "twin-old", "2", index=0, created="2026-01-01"),
            JobPod("ns", "beyond", "3", index=7),
            JobPod("ns", "none", "4"),
        ]
        gone = job_replicas.to_remove(pods, 0, 2, indexed=True)
        assert sorted(pod.name for pod in gone) == ["beyond", "none", "twin-new"]

    def test_next_indexes_wait_for_their_pause(self) -> None:
        delayed = {1: failed(index=1, failures=0, finished_at=T0)}
        taken = IndexSet.of([0])
        new, wait_s = job_replicas.next_indexes(taken, 2, 4, delayed, {}, at(4))
        assert (new, wait_s) == ([NewPod(2)], 6.0)
        new, wait_s = job_replicas.next_indexes(taken, 2, 4, delayed, {}, at(10))
        assert (new, wait_s) == ([NewPod(1, failures=1), NewPod(2)], None)

    def test_ignored_failures_are_counted_apart(self) -> None:
        delayed = {0: failed(failures=1, ignored=1, conditions=(("DisruptionTarget", "True"),))}
        new, _ = job_replicas.next_indexes(IndexSet(), 1, 1, delayed, policy(DISRUPTED), at(1e9))
        assert new == [NewPod(0, failures=1, ignored=2)]

    @given(st.integers(1, 10**6))
    def test_a_hundred_thousand_indexes_are_no_work(self, completions: int) -> None:
        taken = IndexSet([(0, completions - 2)])
        new, _ = job_replicas.next_indexes(taken, 10, completions, {}, {}, T0)
        assert new == [NewPod(completions - 1)]


def sample_job(**spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "x", "env": [{"name": "A", "value": "1"}]}
    template = {
        "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }
    about = {"name": "j", "uid": "u-1", "namespace": "ns"}
    return {"metadata": about, "spec": {"template": template, **spec}}


class TestTemplate:
    def test_a_plain_pod(self) -> None:
        made = new_pod(sample_job(), NewPod())
        assert made["metadata"] == {
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "generateName": "j-",
            "finalizers": ["batch.kubernetes.io/job-tracking"],
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": "j",
                    "uid": "u-1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        }
        assert "hostname" not in made["spec"]

    def test_an_index_is_told_in_four_ways(self) -> None:
        source = sample_job(completionMode="Indexed", backoffLimitPerIndex=1)
        made = new_pod(source, NewPod(3, failures=1, ignored=2))
        about, spec = made["metadata"], made["spec"]
        assert about["labels"] == {"a": "b", INDEX: "3"}
        assert about["annotations"] == {
            "c": "d",
            INDEX: "3",
            "batch.kubernetes.io/job-index-failure-count": "1",
            "batch.kubernetes.io/job-index-ignored-failure-count": "2",
        }
        assert (about["generateName"], spec["hostname"]) == ("j-3-", "j-3")
        assert spec["containers"][0]["env"][1] == {
            "name": "JOB_COMPLETION_INDEX",
            "valueFrom": {
                "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}
            },
        }
        assert "env" in source["spec"]["template"]["spec"]["containers"][0]
        assert len(source["spec"]["template"]["spec"]["containers"][0]["env"]) == 1

    def test_what_is_too_long_of_a_name_is_left_to_the_server(self) -> None:
        source = sample_job()
        source["metadata"]["name"] = "n" * 63
        assert new_pod(source, NewPod())["metadata"]["generateName"] == "n" * 63 + "-"

    def test_a_long_name_leaves_room_for_index_and_suffix(self) -> None:
        source = sample_job(completionMode="Indexed")
        source["metadata"]["name"] = "n" * 61
        base = new_pod(source, NewPod(12))["metadata"]["generateName"]
        assert len(base) == 58
        assert base.endswith("n-12-")


def test_a_job_that_is_refused_asks_once_a_minute_at_last() -> None:
    memory, now = Memory(Backoff()), datetime(2026, 11, 21, tzinfo=UTC)
    pauses = []
    for _ in range(100):
        memory.refused(now)
        pauses += memory.waits_s(now)
    assert (pauses[:7], pauses[-1]) == ([1, 2, 4, 8, 16, 32, 60], 60)


def test_orphans_are_asked_for_once() -> None:
    orphans, key = Orphans(), Key("pods", "default", "p")
    orphans.put("uid", key)
    assert [orphans.take("uid"), orphans.take("uid")] == [{key}, set()]
