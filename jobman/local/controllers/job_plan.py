"""What a Job needs next, from the Job, its pods and the time. Pure.

A Plan is carried out in its order: the first status (pods that ended are noted by uid), the
pods' finalizers, the final status (they are counted), deletions, creations, events. Killed at
any step and planned anew, no pod is counted twice or not at all.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobman.local.controllers import indexes, job_verdict
from jobman.local.controllers.job_pods import PodFacts
from jobman.local.controllers.job_verdict import Verdict

Object = dict[str, Any]

BACKOFF_S = 10.0
BACKOFF_MAX_S = 600.0
CREATED_AT_ONCE = 500


@dataclass(frozen=True)
class NewPod:
    """A pod to create: its index and how often that failed before."""

    index: int | None = None
    failures: int = 0


@dataclass
class Plan:
    """What to do, and after how many seconds to look again (None: at the next change)."""

    first_status: Object | None = None
    untrack: list[PodFacts] = field(default_factory=list)
    status: Object = field(default_factory=dict)
    delete: list[PodFacts] = field(default_factory=list)
    create: list[NewPod] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again_s: float | None = None

    def look_again(self, after_s: float) -> None:
        """Look again after so many seconds, or earlier."""
        self.again_s = after_s if self.again_s is None else min(self.again_s, after_s)


@dataclass
class Tally:
    """How a Job stands once everything that ended is counted."""

    succeeded: int
    failed: int
    completed: set[int]
    failed_indexes: set[int]
    active: list[PodFacts]
    terminating: list[PodFacts]


def plan(job: Object, pods: Sequence[PodFacts], now: datetime) -> Plan:
    """The next steps of a Job."""
    if is_over(job) or "deletionTimestamp" in job["metadata"]:
        return Plan(untrack=[pod for pod in pods if pod.tracked], status=job.get("status", {}))
    made = Plan(status=copy.deepcopy(job.get("status", {})))
    _suspension(job, made, now)
    _note_ended(job, pods, made)
    tally = _tally(job, pods, made)
    verdict = _standing_verdict(made.status) or job_verdict.decide(job, pods, tally, made, now)
    if verdict is not None:
        _carry_out(verdict, made, tally, now)
    elif job["spec"].get("suspend"):
        made.delete = tally.active
    else:
        _replicas(job, pods, tally, made, now)
    _count(job, tally, made)
    return made


def is_over(job: Object) -> bool:
    """Whether a Job is Complete or Failed."""
    return any(
        condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"
        for condition in job.get("status", {}).get("conditions", [])
    )


def condition(kind: str, value: str, reason: str, message: str, now: datetime) -> Object:
    """A Job's condition."""
    moment = stamp(now)
    return {
        "type": kind,
        "status": value,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def stamp(moment: datetime) -> str:
    """A point in time as statuses carry it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _suspension(job: Object, made: Plan, now: datetime) -> None:
    """The Suspended condition and the start time follow spec.suspend."""
    status, suspended = made.status, bool(job["spec"].get("suspend"))
    conditions = status.setdefault("conditions", [])
    there = next((c for c in conditions if c["type"] == "Suspended"), None)
    was = there is not None and there["status"] == "True"
    if suspended and not was:
        _set(conditions, condition("Suspended", "True", "JobSuspended", "Job suspended", now))
        status.pop("startTime", None)
        made.events.append(("Normal", "Suspended", "Job suspended"))
    elif was and not suspended:
        _set(conditions, condition("Suspended", "False", "JobResumed", "Job resumed", now))
        status["startTime"] = stamp(now)
        made.events.append(("Normal", "Resumed", "Job resumed"))
    elif not suspended:
        status.setdefault("startTime", stamp(now))
    if not conditions:
        del status["conditions"]


def _set(conditions: list[Object], new: Object) -> None:
    conditions[:] = [c for c in conditions if c["type"] != new["type"]] + [new]


def _note_ended(job: Object, pods: Sequence[PodFacts], made: Plan) -> None:
    """Pods that ended and are not counted go by uid into the first status, then are let go."""
    noted = made.status.get("uncountedTerminatedPods", {})
    good, bad = list(noted.get("succeeded", [])), list(noted.get("failed", []))
    indexed = job["spec"].get("completionMode") == "Indexed"
    known = {*good, *bad}
    for pod in pods:
        if not pod.tracked:
            continue
        if pod.uid in known:
            made.untrack.append(pod)
        elif pod.phase == "Succeeded":
            made.untrack.append(pod)
            if not indexed:
                good.append(pod.uid)
        elif pod.phase == "Failed" or (pod.terminating and _counts_at_once(job)):
            made.untrack.append(pod)
            bad.append(pod.uid)
    fresh = {key: uids for key, uids in (("succeeded", good), ("failed", bad)) if uids}
    made.status["uncountedTerminatedPods"] = fresh


def _counts_at_once(job: Object) -> bool:
    """Whether a pod that is being deleted is a failure before it has ended."""
    return bool(job["spec"].get("podReplacementPolicy") != "Failed")


def _tally(job: Object, pods: Sequence[PodFacts], made: Plan) -> Tally:
    status = made.status
    noted = status["uncountedTerminatedPods"]
    indexed = job["spec"].get("completionMode") == "Indexed"
    completed = indexes.parse(status.get("completedIndexes", ""))
    completions = job["spec"].get("completions")
    if indexed:
        completed |= {
            pod.index
            for pod in pods
            if pod.phase == "Succeeded" and pod.index is not None and pod.index < completions
        }
        completed = {index for index in completed if index < completions}
    succeeded = status.get("succeeded", 0) + len(noted.get("succeeded", []))
    return Tally(
        succeeded=len(completed) if indexed else succeeded,
        failed=status.get("failed", 0) + len(noted.get("failed", [])),
        completed=completed,
        failed_indexes=indexes.parse(status.get("failedIndexes", "")),
        active=[pod for pod in pods if pod.active],
        terminating=[pod for pod in pods if pod.terminating and not pod.finished],
    )


def _standing_verdict(status: Object) -> Verdict | None:
    """A verdict that was reached before, and waits for the pods to end."""
    for found in status.get("conditions", []):
        if found["type"] in ("FailureTarget", "SuccessCriteriaMet") and found["status"] == "True":
            good = found["type"] == "SuccessCriteriaMet"
            return Verdict(good, found["reason"], found["message"])
    return None


def _carry_out(verdict: Verdict, made: Plan, tally: Tally, now: datetime) -> None:
    """Say what it will be; when the last pod has gone, say what it is."""
    good = verdict.good
    first, last = ("SuccessCriteriaMet", "Complete") if good else ("FailureTarget", "Failed")
    conditions = made.status.setdefault("conditions", [])
    if not good:
        # The pods that are stopped are failures of the Job, at once.
        stopped = [pod for pod in tally.active if pod.tracked]
        noted = made.status["uncountedTerminatedPods"]
        if stopped:
            noted["failed"] = [*noted.get("failed", []), *(pod.uid for pod in stopped)]
        made.untrack += stopped
        tally.failed += len(stopped)
    if not any(c["type"] == first for c in conditions):
        conditions.append(condition(first, "True", verdict.reason, verdict.message, now))
        made.first_status = copy.deepcopy(made.status)
    made.delete = tally.active
    tally.terminating = tally.terminating + [p for p in tally.active if _goes_slowly(p)]
    tally.active = []
    if tally.terminating:
        return
    conditions.append(condition(last, "True", verdict.reason, verdict.message, now))
    if good:
        made.status["completionTime"] = stamp(now)
        made.events.append(("Normal", "Completed", "Job completed"))
    else:
        made.events.append(("Warning", verdict.reason, verdict.message))


def _goes_slowly(pod: PodFacts) -> bool:
    """Whether a deletion of the pod has to wait for its node."""
    return bool(pod.pod["spec"].get("nodeName"))


def _replicas(
    job: Object, pods: Sequence[PodFacts], tally: Tally, made: Plan, now: datetime
) -> None:
    """As many active pods as are wanted: too many are deleted, missing ones made after a pause."""
    spec = job["spec"]
    wanted = spec.get("parallelism", 1)
    if spec.get("completions") is not None:
        wanted = min(wanted, spec["completions"] - tally.succeeded - len(tally.failed_indexes))
    elif tally.succeeded:
        wanted = min(wanted, len(tally.active))
    wanted = max(wanted, 0)
    if spec.get("completionMode") == "Indexed":
        beyond = [p for p in tally.active if (p.index or 0) >= (spec.get("completions") or 0)]
        made.delete = beyond
    excess = len(tally.active) - len(made.delete) - wanted
    if excess > 0:
        kept = [pod for pod in tally.active if pod not in made.delete]
        made.delete += sorted(kept, key=_dispensable)[:excess]
        return
    occupied = len(tally.active)
    if spec.get("podReplacementPolicy") == "Failed":
        occupied += len(tally.terminating)
    missing = min(wanted - occupied, CREATED_AT_ONCE)
    if missing <= 0:
        return
    if spec.get("completionMode") == "Indexed":
        _create_indexes(job, pods, tally, made, now, missing)
        return
    pause_s = _pause_s(pods, now)
    if pause_s > 0:
        made.look_again(pause_s)
    else:
        made.create = [NewPod() for _ in range(missing)]
        if missing == CREATED_AT_ONCE:
            made.look_again(0)


def _dispensable(pod: PodFacts) -> tuple[bool, bool, str]:
    """The order in which too many pods go: those that do not run yet first."""
    return pod.phase == "Running", pod.ready, pod.name


def _create_indexes(
    job: Object,
    pods: Sequence[PodFacts],
    tally: Tally,
    made: Plan,
    now: datetime,
    missing: int,
) -> None:
    """The lowest indexes that are neither done nor given up nor at work."""
    per_index = "backoffLimitPerIndex" in job["spec"]
    taken = {pod.index for pod in tally.active} | tally.completed | tally.failed_indexes
    if job["spec"].get("podReplacementPolicy") == "Failed":
        taken |= {pod.index for pod in tally.terminating}
    by_index: dict[int | None, list[PodFacts]] = {}
    for pod in pods:
        by_index.setdefault(pod.index, []).append(pod)
    pause_s = 0.0 if per_index else _pause_s(pods, now)
    for index in range(job["spec"]["completions"]):
        if index in taken:
            continue
        if len(made.create) >= missing:
            break
        own = by_index.get(index, [])
        wait_s = _pause_s(own, now) if per_index else pause_s
        if wait_s > 0:
            made.look_again(wait_s)
        else:
            made.create.append(NewPod(index, job_verdict.index_failures(own)))


def _pause_s(pods: Sequence[PodFacts], now: datetime) -> float:
    """How long the next pod has to wait: ten seconds after a failure, doubling with each."""
    ends = [p.finished_at for p in pods if p.phase == "Failed" and p.finished_at is not None]
    good = [p.finished_at for p in pods if p.phase == "Succeeded" and p.finished_at is not None]
    since = max(good, default=None)
    ends = [end for end in ends if since is None or end > since]
    if not ends:
        return 0.0
    pause = min(BACKOFF_S * 2 ** (len(ends) - 1), BACKOFF_MAX_S)
    return (max(ends) + timedelta(seconds=pause) - now).total_seconds()


def _count(job: Object, tally: Tally, made: Plan) -> None:
    """The final status; the first one, where pods must be noted before they are let go."""
    status = made.status
    uids = {pod.uid for pod in made.delete}
    staying = [pod for pod in tally.active if pod.uid not in uids]
    if status["uncountedTerminatedPods"] and made.first_status is None:
        made.first_status = copy.deepcopy(status)
    status["uncountedTerminatedPods"] = {}
    if not job["spec"].get("suspend") or status.get("startTime"):
        going = sum(1 for p in made.delete if p not in tally.terminating and _goes_slowly(p))
        status["terminating"] = len(tally.terminating) + going
        status["ready"] = sum(pod.ready for pod in staying)
    counts = {
        "active": len(staying) + len(made.create),
        "succeeded": tally.succeeded,
        "failed": tally.failed,
    }
    for key, count in counts.items():
        status.pop(key, None)
        if count:
            status[key] = count
    if job["spec"].get("completionMode") == "Indexed" and tally.completed:
        status["completedIndexes"] = indexes.write(tally.completed)
    if "backoffLimitPerIndex" in job["spec"]:
        status["failedIndexes"] = indexes.write(tally.failed_indexes)
