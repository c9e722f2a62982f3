"""What a Job needs next, from the Job, its pods and the time. Pure.

A Plan is carried out in its order: pods are stopped and made; the first status notes by uid the
pods that ended; they are let go of (their finalizers); the second status counts them. Killed at
any step and planned anew, no pod is counted twice or not at all. A verdict is told twice too:
what the Job will be (SuccessCriteriaMet, FailureTarget), and, when nothing of it runs any more,
what it is (Complete, Failed).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobman.local.controllers import job_policies, job_replicas, job_status
from jobman.local.controllers.indexes import IndexSet
from jobman.local.controllers.job_backoff import Backoff
from jobman.local.controllers.job_pods import JobPod
from jobman.local.controllers.job_status import Verdict
from jobman.local.controllers.job_template import NewPod
from jobman.local.moments import stamp

Object = dict[str, Any]

# The uids that a status holds at once: it stays small, and a big Job does not starve others.
UNCOUNTED_MOST = 500


@dataclass
class Plan:
    """What to do.

    `drop`: delete these pods and count them not; `stop`: delete these, which count as the verdict
    says. `noted` is the first status, `status` the second; both are for the case that every pod
    of `create` can be made (see `with_active`). `again_s`: look again then at the latest.
    """

    drop: list[JobPod] = field(default_factory=list)
    stop: list[JobPod] = field(default_factory=list)
    create: list[NewPod] = field(default_factory=list)
    noted: Object = field(default_factory=dict)
    untrack: list[JobPod] = field(default_factory=list)
    status: Object = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again_s: float | None = None
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def steps(self) -> int:
        """How many pods it is about."""
        return len(self.drop) + len(self.stop) + len(self.create) + len(self.untrack)


def plan(
    job: Object,
    pods: Iterable[JobPod],
    now: datetime,
    *,
    backoff: Backoff | None = None,
    may_create: bool = True,
) -> Plan:
    """The next steps of a Job that is not finished.

    `pods` are those that are tracked or not finished; `backoff` is of those seen before.
    """
    return _Planning(job, list(pods), now, backoff or Backoff(), may_create).result()


class _Planning:
    """One look at a Job."""

    def __init__(
        self, job: Object, pods: list[JobPod], now: datetime, backoff: Backoff, may_create: bool
    ) -> None:
        self.job, self.spec, self.now = job, job["spec"], now
        self.may_create = may_create
        # Its lists are replaced, never changed: a copy of the top is enough.
        self.status = dict(job.get("status", {}))
        self.indexed = self.spec.get("completionMode") == "Indexed"
        self.completions: int | None = self.spec.get("completions")
        self.pods = sorted(pods, key=_by_index) if self.indexed else pods
        self.active = [pod for pod in self.pods if pod.active]
        self.terminating = sum(pod.deleting and not pod.finished for pod in self.pods)
        self.ready = sum(pod.ready for pod in self.active)
        self.plan = Plan(backoff=backoff)
        uncounted = self.status.get("uncountedTerminatedPods", {})
        tracked = {pod.uid for pod in self.pods if pod.tracked}
        self.good: list[str] = list(uncounted.get("succeeded", []))
        self.bad: list[str] = list(uncounted.get("failed", []))
        self._count_released(tracked)

    def result(self) -> Plan:
        """All steps."""
        if "startTime" not in self.status and not self.suspended:
            self.status["startTime"] = stamp(self.now)
        self._count_ended()
        verdict = self._verdict()
        if verdict is not None:
            self._stop_all()
        else:
            verdict = self._go_on()
        self._track(verdict)
        return self.plan

    @property
    def suspended(self) -> bool:
        """Whether the Job is to have no pods."""
        return bool(self.spec.get("suspend"))

    @property
    def deleted(self) -> bool:
        """Whether the Job is going."""
        return "deletionTimestamp" in self.job["metadata"]

    # -- counting ------------------------------------------------------------------------------

    def _count_released(self, tracked: set[str]) -> None:
        """The noted pods that were let go of, before this process may have been killed."""
        for kind, uids in (("succeeded", self.good), ("failed", self.bad)):
            released = [uid for uid in uids if uid not in tracked]
            if released:
                uids[:] = [uid for uid in uids if uid in tracked]
                if kind == "failed" or not self.indexed:
                    self.status[kind] = self.status.get(kind, 0) + len(released)

    def _count_ended(self) -> None:
        """How many have succeeded and failed, with those that ended since the last look."""
        noted = {*self.good, *self.bad}
        fresh = [p for p in self.pods if p.tracked and p.uid not in noted and self._is_valid(p)]
        succeeded = [pod for pod in fresh if pod.phase == "Succeeded"]
        failed = [pod for pod in fresh if job_policies.is_failed(pod, self.spec)]
        counted = sum(job_policies.ruling(pod, self.spec).counts for pod in failed)
        self.succeeded = self.status.get("succeeded", 0) + len(self.good) + len(succeeded)
        self.failed = self.status.get("failed", 0) + len(self.bad) + counted
        self.plan.backoff = self.plan.backoff.after(
            (pod.finished_at for pod in succeeded), (pod.finished_at for pod in failed)
        )
        if self.indexed:
            self._count_indexes(succeeded)

    def _is_valid(self, pod: JobPod) -> bool:
        """Whether it has its place in the Job: an index below completions."""
        if not self.indexed:
            return True
        return pod.index is not None and pod.index < (self.completions or 0)

    def _count_indexes(self, succeeded: list[JobPod]) -> None:
        below = self.completions or 0
        self.completed_before = IndexSet.parse(self.status.get("completedIndexes", ""), below)
        new = IndexSet.of(pod.index for pod in succeeded if pod.index is not None)
        self.completed = self.completed_before | new
        self.succeeded = len(self.completed)
        if self.per_index:
            before = IndexSet.parse(self.status.get("failedIndexes", ""), below)
            given_up = IndexSet.of(
                pod.index
                for pod in self.pods
                if pod.index is not None
                and pod.tracked
                and self._is_valid(pod)
                and job_policies.fails_index(pod, self.spec)
            )
            self.failed_indexes = before | given_up

    @property
    def per_index(self) -> bool:
        """Whether each index has its own limit."""
        return self.indexed and "backoffLimitPerIndex" in self.spec

    # -- the verdict ---------------------------------------------------------------------------

    def _verdict(self) -> Verdict | None:
        """Whether the Job is to end, for what was said before or for what there is to see now."""
        standing = job_status.standing_verdict(self.status)
        if standing is not None:
            return standing
        message = job_policies.fails_job(self.pods, self.spec)
        if message is not None:
            return Verdict(False, "PodFailurePolicy", message)
        too_often = self.failed > self.spec.get("backoffLimit", 6)
        if too_often or job_policies.past_restarts(self.pods, self.spec):
            return job_status.BACKOFF_LIMIT
        if self._is_late():
            return job_status.DEADLINE
        return self._verdict_on_indexes()

    def _is_late(self) -> bool:
        """Whether the deadline is over; if not yet, look again when it is."""
        deadline_s, start = self.spec.get("activeDeadlineSeconds"), self.status.get("startTime")
        if deadline_s is None or start is None or self.suspended:
            return False
        left_s = deadline_s - (self.now - datetime.fromisoformat(start)).total_seconds()
        if left_s > 0:
            self._look_again(left_s)
        return bool(left_s <= 0)

    def _verdict_on_indexes(self) -> Verdict | None:
        if not self.indexed:
            return None
        if self.per_index and len(self.failed_indexes):
            most = self.spec.get("maxFailedIndexes")
            if most is not None and len(self.failed_indexes) > most:
                return job_status.MAX_FAILED_INDEXES
            if len(self.failed_indexes) + self.succeeded >= (self.completions or 0):
                return job_status.FAILED_INDEXES
        message = job_policies.success(self.spec, self.completed)
        return None if message is None else Verdict(True, "SuccessPolicy", message)

    # -- pods ----------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        """The Job ends: nothing of it may run on."""
        self.plan.stop = self.active
        self.terminating += len(self.active)
        self.active, self.ready = [], 0

    def _go_on(self) -> Verdict | None:
        """As many pods as are wanted; the verdict if none is any more."""
        if not self.deleted:
            self._replicas()
        left = len(self.active) + len(self.plan.create)
        if self.completions is None:
            done = self.succeeded > 0 and left == 0
        else:
            done = self.succeeded >= self.completions and left == 0
        if done:
            return job_status.COMPLETIONS
        if not self.deleted:
            self.plan.events += job_status.follow_suspension(self.status, self.suspended, self.now)
        return None

    def _replicas(self) -> None:
        if self.suspended:
            self._drop(self.active)
            return
        wanted = job_replicas.wanted(self.spec, self.succeeded, len(self.active))
        excess = len(self.active) - wanted
        removed = job_replicas.to_remove(self.active, excess, self.completions, self.indexed)
        if removed:
            self._drop(removed)
            return
        missing = wanted - len(self.active)
        if job_policies.replaces_only_failed(self.spec):
            missing -= self.terminating
        if missing > 0:
            self._create(min(missing, job_replicas.CREATED_AT_ONCE))
        if missing > job_replicas.CREATED_AT_ONCE and self.plan.create:
            self._look_again(0)

    def _drop(self, pods: list[JobPod]) -> None:
        """Too many: these go, and are no failures."""
        gone = {pod.uid for pod in pods}
        self.plan.drop = list(pods)
        self.terminating += len(pods)
        self.active = [pod for pod in self.active if pod.uid not in gone]
        self.ready = sum(pod.ready for pod in self.active)

    def _create(self, missing: int) -> None:
        pause_s = 0.0 if self.per_index else self.plan.backoff.left_s(self.now)
        if pause_s > 0:
            self._look_again(pause_s)
        elif not self.may_create:
            return
        elif not self.indexed:
            self.plan.create = [NewPod()] * missing
        else:
            taken = job_replicas.taken(
                self.pods,
                self.completed | (self.failed_indexes if self.per_index else IndexSet()),
                only_failed=job_policies.replaces_only_failed(self.spec),
            )
            delayed = self._delayed() if self.per_index else {}
            self.plan.create, wait_s = job_replicas.next_indexes(
                taken, missing, self.completions or 0, delayed, self.spec, self.now
            )
            if wait_s is not None:
                self._look_again(wait_s)

    def _look_again(self, wait_s: float) -> None:
        known = self.plan.again_s
        self.plan.again_s = wait_s if known is None else min(known, wait_s)

    def _delayed(self) -> dict[int, JobPod]:
        """The last failed pod of each index that has no successor yet: it bears the counts."""
        done = job_replicas.held(self.active, self.completed | self.failed_indexes)
        found: dict[int, JobPod] = {}
        for pod in self.pods:
            if pod.index is None or not pod.tracked or not self._is_valid(pod):
                continue
            if pod.index in done or not job_policies.is_failed(pod, self.spec):
                continue
            last = found.get(pod.index)
            if last is None or _is_later(pod, last):
                found[pod.index] = pod
        return found

    # -- the status ----------------------------------------------------------------------------

    def _track(self, verdict: Verdict | None) -> None:
        """Note the pods that ended, let go of them, count them; then say the verdict."""
        delayed = {pod.uid for pod in self._delayed().values()} if self.per_index else set()
        full = False
        completed: list[int] = []
        for pod in self.pods:
            if not pod.tracked or not self._may_let_go(pod, verdict, delayed):
                continue
            if len(self.plan.untrack) >= UNCOUNTED_MOST:
                full = True
                self._look_again(0)
                break
            self.plan.untrack.append(pod)
            if pod.phase == "Succeeded" and pod.uid not in self.bad:
                self._note_success(pod, completed)
            elif self._is_failure(pod, verdict):
                self.bad.append(pod.uid)
        if self.indexed:
            self._write_indexes(completed)
        self._write_counts(verdict, full=full)

    def _may_let_go(self, pod: JobPod, verdict: Verdict | None, delayed: set[str]) -> bool:
        if self.deleted or verdict is not None or pod.phase == "Succeeded":
            return True
        return job_policies.is_failed(pod, self.spec) and pod.uid not in delayed

    def _note_success(self, pod: JobPod, completed: list[int]) -> None:
        if not self.indexed:
            if pod.uid not in self.good:
                self.good.append(pod.uid)
        elif pod.index is not None and self._is_valid(pod):
            completed.append(pod.index)

    def _is_failure(self, pod: JobPod, verdict: Verdict | None) -> bool:
        """Whether to count it: it failed, or the Job did while it ran."""
        stopped = verdict is not None and not verdict.good
        if not (job_policies.is_failed(pod, self.spec) or stopped):
            return False
        fresh = pod.uid not in self.bad and self._is_valid(pod)
        return fresh and job_policies.ruling(pod, self.spec).counts

    def _write_indexes(self, completed: list[int]) -> None:
        done = self.completed_before | IndexSet.of(completed)
        self.status["succeeded"] = len(done)
        self.status["completedIndexes"] = str(done)
        if self.per_index:
            self.status["failedIndexes"] = str(self.failed_indexes)

    def _write_counts(self, verdict: Verdict | None, *, full: bool) -> None:
        status, plan = self.status, self.plan
        status["active"] = len(self.active) + len(plan.create)
        status["terminating"], status["ready"] = self.terminating, self.ready
        status["uncountedTerminatedPods"] = self._uncounted()
        if verdict is not None:
            job_status.announce(status, verdict, self.now)
        plan.noted = job_status.in_order(status)
        untracked = {pod.uid for pod in plan.untrack}
        self._count_released({p.uid for p in self.pods if p.tracked} - untracked)
        status["uncountedTerminatedPods"] = self._uncounted()
        if verdict is not None and not full and not self.terminating and not self.good + self.bad:
            plan.events.append(job_status.conclude(status, verdict, self.now))
        plan.status = job_status.in_order(status)

    def _uncounted(self) -> dict[str, list[str]]:
        noted = {"succeeded": self.good, "failed": self.bad}
        return {kind: list(uids) for kind, uids in noted.items() if uids}


def with_active(status: Object, missing: int) -> Object:
    """A status where so many pods fewer could be made than planned."""
    if not missing:
        return status
    return job_status.in_order({**status, "active": status.get("active", 0) - missing})


def _by_index(pod: JobPod) -> int:
    return -1 if pod.index is None else pod.index


def _is_later(pod: JobPod, last: JobPod) -> bool:
    return last.all_failures <= pod.all_failures and pod.finished_at >= last.finished_at
