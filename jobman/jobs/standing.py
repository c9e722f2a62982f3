"""How one job stands at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobman.jobs import state
from jobman.jobs.pods import PodView
from jobman.jobs.state import JobView
from jobman.kube import labels
from jobman.kube.client import Client
from jobman.kube.objects import Job, Pod
from jobman.kube.resources import JOBS, PODS


class Standing(NamedTuple):
    """A job with its pods, and what they make of it."""

    job: Job
    pods: Sequence[Pod]
    view: JobView

    def started(self) -> list[tuple[Pod, PodView]]:
        """The pods that have started and not ended: their logs grow."""
        views = {view.name: view for view in self.view.pods}
        paired = [(pod, views[pod.metadata.name]) for pod in self.pods]
        return [(pod, view) for pod, view in paired if view.is_going]


def read(client: Client, job: Job) -> Standing:
    """The job as it is now; NotFoundError's kin when it is gone or another took its name."""
    meta = job.metadata
    now = client.get(JOBS, meta.name, namespace=meta.namespace)
    return of(client, now)


def of(client: Client, job: Job) -> Standing:
    """The job as given, with its pods as they are."""
    pods = pods_of(client, job)
    return Standing(job, pods, state.of(job, pods))


def pods_of(client: Client, job: Job) -> list[Pod]:
    """The pods that the Job owns."""
    meta = job.metadata
    selector = f"{labels.JOB_NAME}={meta.name}"
    found = client.list(PODS, namespace=meta.namespace, labels=selector).items
    return [pod for pod in found if pod.metadata.is_owned_by(meta.uid)]
