"""Whose a pod is: what a Job writes on its pods, and takes off. Pure."""

from __future__ import annotations

from typing import Any

from jobman.local.api.metadata import drop_finalizer, drop_owners
from jobman.local.controllers.job_pods import TRACKING
from jobman.local.controllers.job_template import owner_reference

Object = dict[str, Any]


def without_tracking(pod: Object) -> None:
    """Its Job has counted the pod, or does not count it: it may go."""
    drop_finalizer(pod, TRACKING)


def take_in(pod: Object, job: Object) -> None:
    """The pod is the Job's from now on."""
    about = pod["metadata"]
    about.setdefault("ownerReferences", []).append(owner_reference(job))
    if TRACKING not in about.get("finalizers", []):
        about.setdefault("finalizers", []).append(TRACKING)


def set_free(pod: Object, uid: str) -> None:
    """The pod is not that Job's any more."""
    drop_owners(pod, {uid})
    without_tracking(pod)
