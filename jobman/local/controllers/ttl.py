"""Finished Jobs go after their ttlSecondsAfterFinished."""

from __future__ import annotations

from jobman.local.api.registry import DeleteOptions
from jobman.local.api.status import ApiError
from jobman.local.controllers import job_status
from jobman.local.controllers.workqueue import Controller
from jobman.local.stored import Change, Key

JOBS = "jobs.batch"
_MARK = b'"ttlSecondsAfterFinished":'


class TtlController(Controller[Key]):
    """Sleeps until a finished Job's time is over."""

    resources = (JOBS,)

    def keys_of(self, change: Change) -> list[Key]:
        """Jobs that have such a time."""
        record = change.record
        return [record.key] if change.type != "DELETED" and _MARK in record.body else []

    async def sync(self, key: Key) -> float | None:
        """Delete the Job, or tell when to."""
        record = self.registry.store.get(key)
        job = record.object() if record is not None else None
        if job is None or "deletionTimestamp" in job["metadata"]:
            return None
        ttl_s: int | None = job["spec"].get("ttlSecondsAfterFinished")
        finished = job_status.finished_at(job.get("status", {}))
        if ttl_s is None or finished is None:
            return None
        left_s = ttl_s - (self.clock.now() - finished).total_seconds()
        if left_s > 0:
            return left_s
        options = DeleteOptions(propagation="Foreground", uid=job["metadata"]["uid"])
        try:
            self.registry.delete(*key, options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        return None
