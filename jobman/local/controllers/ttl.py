"""Finished Jobs go after their ttlSecondsAfterFinished."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from jobman.local.api.registry import DeleteOptions
from jobman.local.api.status import ApiError
from jobman.local.controllers.workqueue import Controller
from jobman.local.store import Change
from jobman.values.duration import parse_rfc3339

Object = dict[str, Any]
JOBS = "jobs.batch"


class TtlController(Controller[tuple[str, str]]):
    """Sleeps until a finished Job's time is over."""

    resources = (JOBS,)

    def keys_of(self, change: Change) -> list[tuple[str, str]]:
        """Jobs that have such a time."""
        key = change.record.key
        return [(key.namespace, key.name)] if change.type != "DELETED" else []

    def sync(self, key: tuple[str, str]) -> float | None:
        """Delete the Job, or tell when to."""
        job = self.registry.find(JOBS, *key)
        ttl = (job or {}).get("spec", {}).get("ttlSecondsAfterFinished")
        if job is None or ttl is None or "deletionTimestamp" in job["metadata"]:
            return None
        end = _finished_at(job)
        if end is None:
            return None
        left_s = (end + timedelta(seconds=ttl) - datetime.now(UTC)).total_seconds()
        if left_s > 0:
            return left_s
        options = DeleteOptions(propagation="Foreground", uid=job["metadata"]["uid"])
        with contextlib.suppress(ApiError):
            self.registry.delete(JOBS, *key, options)
        return None


def _finished_at(job: Object) -> datetime | None:
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return parse_rfc3339(condition["lastTransitionTime"])
    return None
