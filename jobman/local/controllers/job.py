"""The Job controller: makes pods, counts them, says how the Job stands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from jobman.local.api import selectors
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.controllers import job_plan, job_status
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.events import EventRecorder
from jobman.local.controllers.job_index import JobPods
from jobman.local.controllers.job_memory import Memory, Orphans
from jobman.local.controllers.job_ownership import set_free, take_in, without_tracking
from jobman.local.controllers.job_plan import Plan
from jobman.local.controllers.job_pods import (
    CONTROLLER_UID,
    JobPod,
    has_controller,
    may_be_of_a_job,
    pod_of,
)
from jobman.local.controllers.job_template import new_pod
from jobman.local.controllers.workqueue import Controller
from jobman.local.pod_phase import has_ended
from jobman.local.stored import Change, Key, Record

Object = dict[str, Any]

JOBS = "jobs.batch"
COMPONENT = "job-controller"
_MANAGED_HERE = ("", "kubernetes.io/job-controller")
_STEPS_IN_A_ROW = 16
_MANY_WAIT = 10
# In a rush, that pods were made is told by then; most Jobs have more to tell before.
_TOLD_WITHIN = timedelta(seconds=5)
# A look at a Job costs a little for each of its pods: one with many is looked at less often.
_FEW_PODS = 100
_PAUSE_PER_POD_S, _LONGEST_PAUSE_S = 0.0001, 1.0
# As in Kubernetes, a deleted pod that succeeds within this time has not failed.
_LAST_WORDS_S = 1.0


class JobController(Controller[Key]):
    """Brings each Job in order whenever it or one of its pods changes.

    A key is a Job's, or that of a pod whose Job does not care for it any more.
    """

    resources = (JOBS, "pods")

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._recorder = EventRecorder(registry, COMPONENT, clock=self.clock)
        self._forget_all()

    def _forget_all(self) -> None:
        self._pods = JobPods()
        self._jobs: dict[str, Key] = {}
        self._by_hand: dict[str, Key] = {}
        self._memory: dict[str, Memory] = {}
        self._orphans = Orphans()
        self._unchecked: dict[str, set[str]] = {}
        self._at_work: Key | None = None

    def begin(self) -> None:
        """Jobs first, then their pods with those that were counted before."""
        self._forget_all()
        store = self.registry.store
        for record in store.list(JOBS):
            self._changed(Change("ADDED", record.rv, record, None))
        for record in store.list("pods"):
            pod = pod_of(record)
            if pod.owner in self._jobs:
                self._pods.remember(pod)
            self._changed(Change("ADDED", record.rv, record, None))

    # -- what happens ----------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        for key in self.keys_of(change):
            if key == self._at_work and change.type != "DELETED":
                continue  # its own doing: the plan knows of it, but not which pods are gone at once
            pause_s = 0.0 if change.record.key == key else self._pause_s(key, change)
            if pause_s > 0:
                self.queue.add_after(key, pause_s)
            else:
                self.queue.add(key)

    def _pause_s(self, key: Key, change: Change) -> float:
        """How long a Job may wait for a look at what became of its pod."""
        if _is_asked_to_end(change):
            return _LAST_WORDS_S
        pods = self._pods_of_key(key)
        return min(pods * _PAUSE_PER_POD_S, _LONGEST_PAUSE_S) if pods > _FEW_PODS else 0.0

    def _pods_of_key(self, key: Key) -> int:
        record = self.registry.store.get(key)
        return 0 if record is None else self._pods.count(record.uid)

    def keys_of(self, change: Change) -> list[Key]:
        """The Job itself, or the one that a pod belongs to."""
        if change.record.key.resource == JOBS:
            return self._job_changed(change)
        return self._pod_changed(change)

    def _job_changed(self, change: Change) -> list[Key]:
        record = change.record
        if change.type == "DELETED":
            self._jobs.pop(record.uid, None)
            self._by_hand.pop(record.uid, None)
            self._forget(record.uid)
            return [self._pod_key(pod) for pod in self._pods.of(record.uid) if pod.tracked]
        self._jobs[record.uid] = record.key
        if b'"manualSelector":true' in record.body and record.uid not in self._by_hand:
            self._by_hand[record.uid] = record.key
            for pod in self.registry.store.list("pods", record.key.namespace):
                if not has_controller(pod):
                    self._orphans.put(record.uid, pod.key)
        return [record.key]

    def _pod_changed(self, change: Change) -> list[Key]:
        if not self._by_hand and not _concerns_jobs(change):
            return []
        pod, key, goes_on = pod_of(change.record), change.record.key, False
        before: JobPod | None = None
        if change.previous is not None and change.type != "ADDED":
            before = self._pods.get(pod.owner, pod.uid) or pod_of(change.previous)
            if before == pod and change.type == "MODIFIED":
                return []
            goes_on = pod.goes_on(before) and change.type == "MODIFIED"
            if before.owner != pod.owner:
                self._pods.drop(before.owner, pod.uid)
        if change.type == "DELETED":
            self._pods.drop(pod.owner, pod.uid)
            return [self._jobs[pod.owner]] if pod.owner in self._jobs else []
        if not pod.owner:
            return self._nobodys(change.record, pod)
        self._pods.put(pod)
        if pod.owner in self._jobs:
            # One that was made here has the labels that the selector wants.
            is_strange = before is None and self._at_work is None
            if is_strange or (before is not None and before.labels != pod.labels):
                self._unchecked.setdefault(pod.owner, set()).add(pod.uid)
            return [] if goes_on else [self._jobs[pod.owner]]
        return [key] if pod.tracked else []

    def _nobodys(self, record: Record, pod: JobPod) -> list[Key]:
        """A pod without a Job: the one whose selector it meets adopts it."""
        if has_controller(record):
            return []
        uid = record.labels.get(CONTROLLER_UID, "")
        wanted = [uid] if uid in self._jobs else []
        for uid in (*wanted, *self._by_hand):
            self._orphans.put(uid, record.key)
        keys = [self._jobs[uid] for uid in (*wanted, *self._by_hand)]
        return keys or ([record.key] if pod.tracked else [])

    def _pod_key(self, pod: JobPod) -> Key:
        return Key("pods", pod.namespace, pod.name)

    # -- what is done ----------------------------------------------------------------------------

    async def sync(self, key: Key) -> float | None:
        """Plan the Job's next steps and take them."""
        record = self.registry.store.get(key)
        if record is None:
            return None
        if key.resource == "pods":
            self._let_go_of_stray(record)
            return None
        job = record.object()
        if job["spec"].get("managedBy", "") not in _MANAGED_HERE:
            return None
        uid = record.uid
        if job_status.has_finished(job.get("status", {})):
            self._finish(uid)
            return None
        self._adopt(job)
        self._release(job)
        memory = self._recall(job)
        now = self.clock.now()
        plan = job_plan.plan(
            {**job, "status": job.get("status") or memory.untold or {}},
            self._pods.of(uid),
            now,
            backoff=memory.backoff,
            may_create=memory.create_from is None or now >= memory.create_from,
        )
        await self._carry_out(key, job, plan, memory)
        if job_status.has_finished(plan.status):
            self._finish(uid)
            return None
        return self._next_look_s(plan, memory)

    def _recall(self, job: Object) -> Memory:
        about = job["metadata"]
        memory = self._memory.get(about["uid"])
        if memory is None:
            memory = Memory(self._pods.backoff_of(about["uid"]))
            self._memory[about["uid"]] = memory
        if memory.generation != about.get("generation", 0):
            # Somebody changed the Job: what was refused may be granted now.
            memory.generation, memory.create_from = about.get("generation", 0), None
        return memory

    def _next_look_s(self, plan: Plan, memory: Memory) -> float | None:
        waits = memory.waits_s(self.clock.now())
        if plan.again_s is not None:
            waits.append(plan.again_s)
        return min(waits, default=None)

    async def _carry_out(self, key: Key, job: Object, plan: Plan, memory: Memory) -> None:
        """The plan's steps, some at once; requests have their turn in between."""
        steps = self._steps(job, plan, memory)
        while self._take_some(key, steps):
            await self.registry.turns.next()

    def _take_some(self, key: Key, steps: Iterator[None]) -> bool:
        """Take steps that are kept all, or not at all; whether there may be more."""
        self._at_work = key
        try:
            with self.registry.store.together():
                taken = sum(1 for _ in islice(steps, _STEPS_IN_A_ROW))
        finally:
            self._at_work = None
        return taken == _STEPS_IN_A_ROW

    def _steps(self, job: Object, plan: Plan, memory: Memory) -> Iterator[None]:
        """In the plan's order; each `next` makes, stops or lets go of one pod."""
        for pod in plan.drop:
            self._untrack(pod)
            self._stop(job, pod)
            yield
        for pod in plan.stop:
            self._stop(job, pod)
            yield
        missing = yield from self._create(job, plan, memory)
        told, hurried = job.get("status"), self._hurried()
        noted = job_plan.with_active(plan.noted, missing)
        if noted != told and not (hurried and plan.steps < _STEPS_IN_A_ROW):
            told = noted
            self.registry.replace_status(JOBS, job, lambda _: noted)
        memory.backoff = plan.backoff
        for pod in plan.untrack:
            self._untrack(pod)
            yield
        final = job_plan.with_active(plan.status, missing)
        if hurried and not told and self._may_wait(final, memory):
            memory.keep(final, self.clock.now() + _TOLD_WITHIN)
        else:
            memory.told()
            if final != told:
                self.registry.replace_status(JOBS, job, lambda _: final)
        for kind, reason, message in plan.events:
            self._recorder.event(job, kind, reason, message)

    def _may_wait(self, status: Object, memory: Memory) -> bool:
        """Whether a Job's first status is not yet due; an early one tells no more of it."""
        overdue = memory.tell_at is not None and self.clock.now() >= memory.tell_at
        return not overdue and job_status.is_beginning(status)

    def _hurried(self) -> bool:
        """Whether there is so much to do that what stands for no time at all is not told.

        The first status is for a process that is killed between its steps: those that are kept
        all or not at all need none.
        """
        return len(self.queue) > _MANY_WAIT

    def _create(self, job: Object, plan: Plan, memory: Memory) -> Generator[None, None, int]:
        """Make the planned pods, and tell how many could not be made."""
        for count, new in enumerate(plan.create):
            try:
                home, pod = job["metadata"]["namespace"], new_pod(job, new)
                made = self.registry.create("pods", home, pod, shaped=True)
            except ApiError as error:
                self._refused(job, error, memory)
                return len(plan.create) - count
            text = f"Created pod: {made['metadata']['name']}"
            self._recorder.event(job, "Normal", "SuccessfulCreate", text)
            yield
        if plan.create:
            memory.refusals, memory.create_from = 0, None
        return 0

    def _refused(self, job: Object, error: ApiError, memory: Memory) -> None:
        """The cluster would not have a pod: say so, and try again after a growing pause."""
        memory.refused(self.clock.now())
        text = f"Error creating: {error.message}"
        self._recorder.event(job, "Warning", "FailedCreate", text)

    def _stop(self, job: Object, pod: JobPod) -> None:
        options = DeleteOptions(propagation=None, uid=pod.uid)
        try:
            self.registry.delete("pods", pod.namespace, pod.name, options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return
        self._recorder.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")

    # -- whose pods ------------------------------------------------------------------------------

    def _finish(self, uid: str) -> None:
        """A finished Job keeps its pods, but holds on to none."""
        self._forget(uid)
        for pod in self._pods.of(uid):
            if pod.tracked:
                self._untrack(pod)

    def _forget(self, uid: str) -> None:
        self._memory.pop(uid, None)
        self._unchecked.pop(uid, None)
        self._pods.forget(uid)

    def _adopt(self, job: Object) -> None:
        """Take in the pods that nobody controls and that the selector means."""
        about = job["metadata"]
        if "deletionTimestamp" in about:
            return
        orphans = self._orphans.take(about["uid"])
        if not orphans:
            return
        accepts = selectors.of_object(job["spec"].get("selector", {}))
        for key in sorted(orphans):
            record = self.registry.store.get(key)
            if record is None or key.namespace != about["namespace"] or has_controller(record):
                continue
            pod = pod_of(record)
            if not pod.deleting and accepts(record.labels):
                self._modify(pod, lambda found: take_in(found, job))

    def _release(self, job: Object) -> None:
        """Let go of pods whose labels were changed so that they are not the Job's any more."""
        uid = job["metadata"]["uid"]
        unchecked = self._unchecked.pop(uid, ())
        if not unchecked:
            return
        accepts = selectors.of_object(job["spec"].get("selector", {}))
        for pod_uid in unchecked:
            pod = self._pods.get(uid, pod_uid)
            if pod is not None and not accepts(pod.labels or {}):
                self._modify(pod, lambda found: set_free(found, uid))

    def _let_go_of_stray(self, record: Record) -> None:
        """A pod is tracked, and its Job is gone."""
        pod = pod_of(record)
        if pod.tracked and pod.owner not in self._jobs:
            self._untrack(pod)

    def _untrack(self, pod: JobPod) -> None:
        """Take the finalizer off: the pod is counted, or does not count."""
        if pod.tracked:
            self._modify(pod, without_tracking)

    def _modify(self, pod: JobPod, change: Callable[[Object], None]) -> None:
        record = self.registry.store.get(self._pod_key(pod))
        if record is not None and record.uid == pod.uid:
            with _absent_is_fine():
                self.registry.modify("pods", pod.namespace, pod.name, change)


def _is_asked_to_end(change: Change) -> bool:
    before = change.previous
    begins = change.record.deleting and before is not None and not before.deleting
    return begins and change.type == "MODIFIED" and not has_ended(change.record)


def _concerns_jobs(change: Change) -> bool:
    before = change.previous
    return may_be_of_a_job(change.record) or (before is not None and may_be_of_a_job(before))


@contextlib.contextmanager
def _absent_is_fine() -> Any:
    try:
        yield
    except ApiError as error:
        if error.code != 404:
            raise
