"""Why a job failed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from jobman.config.flavors import Flavor
from jobman.jobs.state import JobView
from jobman.kube.objects import Event, Job, Pod
from jobman.why.diagnosis import Diagnosis


def diagnose(
    view: JobView,
    job: Job,
    pods: Sequence[Pod],  # noqa: ARG001
    events: Sequence[Event],  # noqa: ARG001
    *,
    flavors: Sequence[Flavor],  # noqa: ARG001
    log_tail: Sequence[str],
) -> Diagnosis:
    """The cause in a sentence, with the last lines of the log."""
    sentence = f"{view.reason}: {view.message}".strip(": ") or "it failed"
    return Diagnosis("failed", sentence, tuple(log_tail), (f"jobman logs {job.metadata.name}",))
