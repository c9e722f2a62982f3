"""What a Job needs next: (Job, pods, time) -> plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobman.local.controllers import job_plan
from jobman.local.controllers.job_backoff import Backoff
from jobman.local.controllers.job_plan import Plan, with_active
from jobman.local.controllers.job_pods import JobPod
from jobman.local.controllers.job_template import NewPod

T0 = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
START = "2026-11-21T02:00:00Z"
SUSPENDED = {"type": "Suspended", "status": "True", "reason": "JobSuspended"}


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def job(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main"}]}}
    defaults = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": template}
    metadata = {"name": "j", "namespace": "ns", "uid": "job"}
    return {"metadata": metadata, "spec": defaults | spec, "status": status or {}}


def indexed(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return job(status, completionMode="Indexed", **spec)


def pod(name: str, phase: str = "Running", **more: Any) -> JobPod:
    return JobPod("ns", name, name, owner="job", phase=phase, **{"finished_at": T0, **more})


def plan(made: dict[str, Any], *pods: JobPod, now: datetime = T0, **more: Any) -> Plan:
    return job_plan.plan(made, pods, now, **more)


def verdicts(found: Plan) -> list[tuple[str, str]]:
    return [(c["type"], c["reason"]) for c in found.status.get("conditions", [])]


def told(found: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: found[key] for key in keys if key in found}


class TestPods:
    def test_a_new_job_gets_its_pods(self) -> None:
        found = plan(job(parallelism=2, completions=5))
        assert found.create == [NewPod(), NewPod()]
        assert found.status == {
            "startTime": START,
            "active": 2,
            "terminating": 0,
            "uncountedTerminatedPods": {},
            "ready": 0,
        }
        assert found.noted == found.status

    def test_a_status_tells_what_could_be_made(self) -> None:
        found = plan(job(parallelism=2, completions=5))
        assert with_active(found.status, 1)["active"] == 1
        assert "active" not in with_active(found.status, 2)

    def test_nothing_is_made_while_the_cluster_refuses(self) -> None:
        found = plan(job(), may_create=False)
        assert (found.create, "active" in found.status) == ([], False)

    def test_ready_and_terminating_pods_are_counted(self) -> None:
        pods = [pod("a", ready=True), pod("b"), pod("c", deleting=True, tracked=False)]
        found = plan(job({"startTime": START}, parallelism=2, completions=4), *pods)
        assert told(found.status, "active", "ready", "terminating") == {
            "active": 2,
            "ready": 1,
            "terminating": 1,
        }

    def test_lower_parallelism_drops_pods_uncounted(self) -> None:
        pods = [pod("run"), pod("wait", "Pending")]
        found = plan(job({"startTime": START}, completions=4), *pods)
        assert [p.name for p in found.drop] == ["wait"]
        assert (found.untrack, found.status["terminating"]) == ([], 1)

    def test_a_big_job_gets_its_pods_bit_by_bit(self) -> None:
        found = plan(job(parallelism=10_000, completions=10_000))
        assert len(found.create) == 100

    @pytest.mark.parametrize(
        ("spec", "created"),
        [({}, 1), ({"podReplacementPolicy": "Failed"}, 0)],
        ids=["replaced at once", "replaced when it has ended"],
    )
    def test_replacement_of_a_pod_that_is_going(self, spec: dict[str, Any], created: int) -> None:
        going = pod("a", deleting=True, finished_at=at(-60))
        found = plan(job({"startTime": START}, **spec), going)
        assert len(found.create) == created
        assert found.noted["uncountedTerminatedPods"] == ({"failed": ["a"]} if created else {})

    def test_a_job_that_is_going_makes_no_pods_and_lets_go_of_all(self) -> None:
        made = job({"startTime": START}, parallelism=2, completions=2)
        made["metadata"]["deletionTimestamp"] = START
        found = plan(made, pod("a"))
        assert (found.create, [p.name for p in found.untrack]) == ([], ["a"])
        assert "failed" not in found.status


class TestCounting:
    def test_an_ended_pod_is_noted_let_go_and_counted(self) -> None:
        found = plan(job({"startTime": START, "active": 1}, completions=2), pod("a", "Succeeded"))
        assert found.noted["uncountedTerminatedPods"] == {"succeeded": ["a"]}
        assert "succeeded" not in found.noted
        assert [p.name for p in found.untrack] == ["a"]
        assert told(found.status, "succeeded", "uncountedTerminatedPods") == {
            "succeeded": 1,
            "uncountedTerminatedPods": {},
        }

    @pytest.mark.parametrize("tracked", [True, False], ids=["before", "after it was let go"])
    def test_killed_between_noting_and_counting(self, tracked: bool) -> None:
        status = {"startTime": START, "uncountedTerminatedPods": {"failed": ["a"]}}
        found = plan(job(status), pod("a", "Failed", tracked=tracked), now=at(60))
        assert found.status["failed"] == 1
        assert found.noted.get("failed", 0) == (0 if tracked else 1)

    def test_many_ended_pods_are_counted_in_portions(self) -> None:
        pods = [pod(f"p{number}", "Succeeded") for number in range(700)]
        found = plan(job({"startTime": START}, completions=700, parallelism=700), *pods)
        assert len(found.noted["uncountedTerminatedPods"]["succeeded"]) == 500
        assert found.status["succeeded"] == 500
        assert verdicts(found) == [("SuccessCriteriaMet", "CompletionsReached")]

    def test_an_ignored_failure_is_let_go_and_not_counted(self) -> None:
        rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
        made = job({"startTime": START}, podFailurePolicy={"rules": [rule]}, backoffLimit=0)
        found = plan(made, pod("a", "Failed", conditions=(("DisruptionTarget", "True"),)))
        assert [p.name for p in found.untrack] == ["a"]
        assert ("failed" in found.status, verdicts(found), found.again_s) == (False, [], 10.0)


class TestVerdicts:
    def test_complete_when_all_succeeded(self) -> None:
        found = plan(job({"startTime": START}), pod("a", "Succeeded"))
        assert [c["type"] for c in found.noted["conditions"]] == ["SuccessCriteriaMet"]
        assert verdicts(found) == [
            ("SuccessCriteriaMet", "CompletionsReached"),
            ("Complete", "CompletionsReached"),
        ]
        assert found.status["completionTime"] == START
        assert found.events == [("Normal", "Completed", "Job completed")]

    def test_no_completions_at_all_need_no_pod(self) -> None:
        found = plan(job(completions=0))
        assert (found.create, verdicts(found)[-1]) == ([], ("Complete", "CompletionsReached"))

    def test_a_work_queue_is_done_when_the_others_are_too(self) -> None:
        status = {"startTime": START}
        made = job(status, parallelism=2)
        del made["spec"]["completions"]
        assert verdicts(plan(made, pod("a", "Succeeded"), pod("b"))) == []
        found = plan(made, pod("a", "Succeeded"), pod("b", "Failed"))
        assert verdicts(found)[-1] == ("Complete", "CompletionsReached")

    def test_too_many_failures(self) -> None:
        found = plan(job({"startTime": START, "failed": 1}, backoffLimit=1), pod("a", "Failed"))
        assert verdicts(found) == [
            ("FailureTarget", "BackoffLimitExceeded"),
            ("Failed", "BackoffLimitExceeded"),
        ]
        assert "completionTime" not in found.status
        assert found.status["failed"] == 2

    def test_running_pods_of_a_failed_job_are_stopped_and_counted(self) -> None:
        made = job({"startTime": START}, activeDeadlineSeconds=5)
        found = plan(made, pod("a", ready=True), now=at(5))
        assert [p.name for p in found.stop] == ["a"]
        assert found.status["failed"] == 1
        assert told(found.status, "active", "terminating", "ready") == {
            "terminating": 1,
            "ready": 0,
        }
        assert verdicts(found) == [("FailureTarget", "DeadlineExceeded")]
        gone = plan(made | {"status": found.status}, now=at(6))
        assert verdicts(gone)[-1] == ("Failed", "DeadlineExceeded")
        assert gone.events == [
            ("Warning", "DeadlineExceeded", "Job was active longer than specified deadline")
        ]

    def test_the_deadline_is_looked_at_when_it_is_due(self) -> None:
        made = job({"startTime": START}, activeDeadlineSeconds=5)
        assert plan(made, pod("a"), now=at(2)).again_s == 3.0

    def test_a_verdict_stands_whatever_comes_after(self) -> None:
        condition = {"type": "FailureTarget", "status": "True", "reason": "R", "message": "m"}
        status = {"startTime": START, "conditions": [condition], "terminating": 1}
        found = plan(job(status), pod("a", "Succeeded", deleting=True))
        assert verdicts(found) == [("FailureTarget", "R"), ("Failed", "R")]

    def test_the_failure_policy_fails_the_job(self) -> None:
        rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
        made = job({"startTime": START}, podFailurePolicy={"rules": [rule]})
        found = plan(made, pod("a", "Failed", exits=(("main", 42),)))
        assert verdicts(found)[-1] == ("Failed", "PodFailurePolicy")
        assert found.events[0][2].endswith("exit code 42 matching FailJob rule at index 0")


class TestBackOff:
    def test_a_retry_waits(self) -> None:
        made = job({"startTime": START})
        found = plan(made, pod("a", "Failed"), now=at(3))
        assert (found.create, found.again_s, found.backoff) == ([], 7.0, Backoff(1, T0))
        later = plan(made | {"status": found.status}, now=at(10), backoff=found.backoff)
        assert later.create == [NewPod()]

    def test_no_pause_before_a_verdict(self) -> None:
        found = plan(job({"startTime": START}, backoffLimit=0), pod("a", "Failed"))
        assert verdicts(found)[-1] == ("Failed", "BackoffLimitExceeded")


class TestSuspension:
    def test_born_suspended(self) -> None:
        found = plan(job(suspend=True))
        assert told(found.status, "startTime", "terminating", "ready") == {
            "terminating": 0,
            "ready": 0,
        }
        assert found.events == [("Normal", "Suspended", "Job suspended")]

    def test_suspended_while_it_runs(self) -> None:
        found = plan(job({"startTime": START, "active": 1}, suspend=True), pod("a"))
        assert [p.name for p in found.drop] == ["a"]
        assert told(found.status, "startTime", "active", "failed", "terminating") == {
            "terminating": 1
        }

    def test_resumed_with_a_new_start(self) -> None:
        found = plan(job({"conditions": [SUSPENDED]}, suspend=False), now=at(30))
        assert found.status["conditions"][0]["status"] == "False"
        assert found.status["startTime"] == "2026-11-21T02:00:30Z"
        assert found.events == [("Normal", "Resumed", "Job resumed")]
        assert found.create == [NewPod()]

    def test_told_once(self) -> None:
        assert plan(job({"conditions": [SUSPENDED]}, suspend=True)).events == []


class TestIndexes:
    def test_the_lowest_free_indexes_come_next(self) -> None:
        status = {"startTime": START, "completedIndexes": "0,2", "succeeded": 2}
        found = plan(indexed(status, parallelism=3, completions=6), pod("b", index=1))
        assert found.create == [NewPod(3), NewPod(4)]

    def test_an_index_counts_once(self) -> None:
        pods = [pod("a", "Succeeded", index=0), pod("b", "Succeeded", index=0)]
        found = plan(indexed({"startTime": START}, completions=2), *pods)
        assert told(found.status, "succeeded", "completedIndexes") == {
            "succeeded": 1,
            "completedIndexes": "0",
        }

    def test_indexes_beyond_the_end_do_not_count(self) -> None:
        found = plan(indexed({"startTime": START}, completions=2), pod("x", "Succeeded", index=2))
        assert found.status.get("succeeded", 0) == 0
        assert [p.name for p in found.untrack] == ["x"]

    def test_fewer_completions_forget_indexes(self) -> None:
        status = {"startTime": START, "completedIndexes": "0-4", "succeeded": 5}
        found = plan(indexed(status, completions=3, parallelism=3))
        assert told(found.status, "succeeded", "completedIndexes") == {
            "succeeded": 3,
            "completedIndexes": "0-2",
        }

    def test_each_index_has_its_own_limit(self) -> None:
        status = {"startTime": START, "failedIndexes": ""}
        made = indexed(status, completions=2, parallelism=2, backoffLimitPerIndex=1)
        first = plan(made, pod("a", "Failed", index=0), pod("b", index=1), now=at(4))
        assert (first.create, first.again_s, first.untrack) == ([], 6.0, [])
        second = plan(made, pod("a", "Failed", index=0), pod("b", index=1), now=at(10))
        assert second.create == [NewPod(0, failures=1)]
        third = plan(made, pod("a", "Failed", index=0, failures=1), pod("b", index=1), now=at(10))
        assert (third.create, third.status["failedIndexes"]) == ([], "0")
        assert [p.name for p in third.untrack] == ["a"]

    def test_failed_indexes_fail_the_job_when_the_others_are_done(self) -> None:
        status = {"startTime": START, "failedIndexes": "0"}
        made = indexed(status, completions=2, parallelism=2, backoffLimitPerIndex=0)
        assert verdicts(plan(made, pod("b", index=1))) == []
        found = plan(made, pod("b", "Succeeded", index=1))
        assert verdicts(found)[-1] == ("Failed", "FailedIndexes")

    def test_too_many_failed_indexes(self) -> None:
        status = {"startTime": START, "failedIndexes": "0"}
        more = {"backoffLimitPerIndex": 0, "maxFailedIndexes": 1}
        made = indexed(status, completions=9, parallelism=2, **more)
        found = plan(made, pod("a", "Failed", index=1), pod("b", index=2))
        assert verdicts(found) == [("FailureTarget", "MaxFailedIndexesExceeded")]
        assert [p.name for p in found.stop] == ["b"]

    def test_a_success_policy_stops_the_rest_without_counting_it(self) -> None:
        policy = {"rules": [{"succeededIndexes": "0"}]}
        made = indexed({"startTime": START}, completions=2, parallelism=2, successPolicy=policy)
        found = plan(made, pod("a", "Succeeded", index=0), pod("b", index=1))
        assert verdicts(found) == [("SuccessCriteriaMet", "SuccessPolicy")]
        assert [p.name for p in found.stop] == ["b"]
        assert "failed" not in found.status


@given(
    st.integers(0, 6),
    st.integers(0, 8),
    st.integers(0, 4),
    st.lists(st.sampled_from(["Succeeded", "Failed"]), max_size=60),
    st.integers(0, 10**6),
)
def test_a_job_lives_by_its_bounds(
    parallelism: int, completions: int, limit: int, ends: list[str], pick: int
) -> None:
    """Whatever its pods do: never too many at once, each counted once, and it ends."""
    made = job(parallelism=parallelism, completions=completions, backoffLimit=limit)
    pods: dict[str, JobPod] = {}
    backoff, now, counted = Backoff(), T0, 0
    for end in [*ends, *["Failed"] * (2 * limit + completions + 6)]:
        found = job_plan.plan(made, list(pods.values()), now, backoff=backoff)
        backoff = found.backoff
        for gone in (*found.drop, *found.stop):
            pods.pop(gone.uid)
        for ended in found.untrack:
            pods.pop(ended.uid, None)
            counted += 1
        for _ in found.create:
            name = f"p{counted}-{len(pods)}-{now.timestamp()}"
            pods[name] = pod(name)
        made = made | {"status": found.status}
        assert len(pods) <= parallelism
        if {kind for kind, _ in verdicts(found)} & {"Complete", "Failed"}:
            break
        running = [p for p in pods.values() if p.active]
        now += timedelta(seconds=700)
        if running:
            chosen = running[pick % len(running)]
            pods[chosen.uid] = replace(chosen, phase=end, finished_at=now)
    status = made["status"]
    assert status.get("succeeded", 0) + status.get("failed", 0) == counted
    assert status.get("succeeded", 0) <= completions
    if parallelism and completions:
        assert verdicts(Plan(status=status))[-1][0] in ("Complete", "Failed")
