"""The Job controller: makes pods, counts them, says how the Job stands."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.controllers import job_plan
from jobman.local.controllers.events import EventRecorder
from jobman.local.controllers.job_plan import NewPod, Plan
from jobman.local.controllers.job_pods import TRACKING, PodFacts, facts, new_pod
from jobman.local.controllers.workqueue import Controller
from jobman.local.store import Change, Record

Object = dict[str, Any]

JOBS = "jobs.batch"
_FORBIDDEN_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)


class JobKey(NamedTuple):
    """A Job by its place and, for the pods of one that is gone, its uid."""

    namespace: str
    name: str
    uid: str


class JobController(Controller[JobKey]):
    """Brings each Job in order whenever it or one of its pods changes."""

    resources = (JOBS, "pods")

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._recorder = EventRecorder(registry, "job-controller")
        self._pods: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self._refused: dict[str, int] = {}

    def keys_of(self, change: Change) -> list[JobKey]:
        """The Job itself, or the one that a pod belongs to."""
        record = change.record
        if record.key.resource == JOBS:
            return [JobKey(record.key.namespace, record.key.name, record.uid)]
        key = _job_of(record)
        if key is None:
            return []
        place = (record.key.namespace, record.key.name)
        if change.type == "DELETED":
            self._pods[key.uid].discard(place)
        else:
            self._pods[key.uid].add(place)
        return [key]

    def sync(self, key: JobKey) -> float | None:
        """Plan the Job's next steps and take them."""
        job = self.registry.find(JOBS, key.namespace, key.name)
        pods = self._facts_of(key.uid)
        if job is None or job["metadata"]["uid"] != key.uid:
            for pod in pods:
                self._untrack(pod)
            self._forget(key.uid)
            return None
        plan = job_plan.plan(job, pods, datetime.now(UTC))
        if plan.first_status is not None:
            self._write_status(key, plan.first_status)
        for pod in plan.untrack:
            self._untrack(pod)
        refused_s = self._create(job, plan)
        self._write_status(key, plan.status)
        for pod in plan.delete:
            self._delete(job, pod)
        for kind, reason, message in plan.events:
            self._recorder.event(job, kind, reason, message)
        waits = [wait for wait in (plan.again_s, refused_s) if wait is not None]
        return min(waits, default=None)

    def _facts_of(self, uid: str) -> list[PodFacts]:
        found = []
        for place in sorted(self._pods.get(uid, ())):
            pod = self.registry.find("pods", *place)
            if pod is not None:
                found.append(facts(pod))
        return found

    def _forget(self, uid: str) -> None:
        self._refused.pop(uid, None)
        if not self._pods.get(uid):
            self._pods.pop(uid, None)

    def _create(self, job: Object, plan: Plan) -> float | None:
        """Create the planned pods; where the cluster refuses one, say so and when to try again."""
        for number, new in enumerate(plan.create):
            refusal = self._refusal(job, new)
            if refusal is None:
                continue
            missing = len(plan.create) - number
            plan.status["active"] = plan.status.get("active", 0) - missing
            if not plan.status["active"]:
                del plan.status["active"]
            self._recorder.event(job, "Warning", "FailedCreate", f"Error creating: {refusal}")
            return self._pause_s(job["metadata"]["uid"])
        self._refused.pop(job["metadata"]["uid"], None)
        return None

    def _pause_s(self, uid: str) -> float:
        count = self._refused.get(uid, 0)
        self._refused[uid] = count + 1
        return _FORBIDDEN_PAUSES_S[min(count, len(_FORBIDDEN_PAUSES_S) - 1)]

    def _refusal(self, job: Object, new: NewPod) -> str | None:
        """Create a pod; None, or why the cluster would not have it."""
        namespace = job["metadata"]["namespace"]
        try:
            made = self.registry.create("pods", namespace, new_pod(job, new.index, new.failures))
        except ApiError as error:
            return error.message
        name = made["metadata"]["name"]
        self._recorder.event(job, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return None

    def _delete(self, job: Object, pod: PodFacts) -> None:
        """Stop a pod that the Job does not need: it is let go first, so that it does not count."""
        self._untrack(pod)
        namespace = job["metadata"]["namespace"]
        with contextlib.suppress(ApiError):
            self.registry.delete("pods", namespace, pod.name, DeleteOptions(uid=pod.uid))
            self._recorder.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")

    def _untrack(self, pod: PodFacts) -> None:
        """Take the finalizer off: the pod is counted, or does not count."""
        if not pod.tracked:
            return

        def change(obj: Object) -> None:
            left = [f for f in obj["metadata"].get("finalizers", []) if f != TRACKING]
            obj["metadata"]["finalizers"] = left
            if not left:
                del obj["metadata"]["finalizers"]

        about = pod.pod["metadata"]
        with contextlib.suppress(ApiError):
            self.registry.modify("pods", about["namespace"], about["name"], change)

    def _write_status(self, key: JobKey, status: Object) -> None:
        def change(obj: Object) -> None:
            obj["status"] = status

        with contextlib.suppress(ApiError):
            self.registry.modify(JOBS, key.namespace, key.name, change, subresource="status")


def _job_of(record: Record) -> JobKey | None:
    """The Job that controls a pod, by its owner reference."""
    for owner in record.object()["metadata"].get("ownerReferences", []):
        if owner.get("kind") == "Job" and owner.get("controller"):
            return JobKey(record.key.namespace, owner.get("name", ""), owner.get("uid", ""))
    return None
