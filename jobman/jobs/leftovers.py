"""What a user's jobs and maps left behind in a namespace when they went.

Kubernetes deletes what a Job owns together with it. What may be left are pods whose Job was
deleted without them, and ConfigMaps and Secrets that name a job or a run that is no more, and
the leases of runs that nobody carries out and that have no pod. Only what says where it belongs
is taken, and no pod of a map: its log may not have come home yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jobman.errors import ForbiddenError
from jobman.jobs import pods as pod_views
from jobman.jobs.find import selector_of
from jobman.kube import labels
from jobman.kube.client import Client
from jobman.kube.objects import Job, KubeObject, Lease, ObjectMeta, Pod
from jobman.kube.resources import CONFIGMAPS, JOBS, LEASES, PODS, SECRETS, Resource
from jobman.values.duration import parse_rfc3339

YOUNG_S = 600
"""What is younger may belong to a job that is just being made."""
QUIET_S = 86_400
"""A run whose lease was not renewed for so long goes on no more; clocks may differ."""


class Leftover(NamedTuple):
    """An object that nothing needs any more."""

    resource: Resource[Any]
    metadata: ObjectMeta


@dataclass(frozen=True)
class Living:
    """The jobs by name, and the runs, that something in the namespace belongs to."""

    jobs: frozenset[str]
    runs: frozenset[str]

    def needs(self, meta: ObjectMeta) -> bool:
        """Whether the object belongs to one of them, or does not say to what it belongs."""
        if meta.owner_references or meta.deletion_timestamp is not None:
            return True
        run, job = meta.labels.get(labels.RUN), meta.labels.get(labels.JOB_NAME)
        if run is not None:
            return run in self.runs
        return job is None or job in self.jobs


def find(
    client: Client,
    user: str,
    *,
    going: Sequence[Job],
    now: datetime,
    age_s: float,
    unseen: Callable[[str], None],
) -> list[Leftover]:
    """What of the user's is left over and at least `age_s` old, once the jobs `going` are gone.

    `unseen` is told of each kind that the user may not list.
    """
    try:
        living = _living(client, {job.metadata.uid for job in going}, now)
    except ForbiddenError:
        unseen("jobs, pods or leases of everybody")
        return []
    return [
        Leftover(resource, thing.metadata)
        for resource in (PODS, CONFIGMAPS, SECRETS, LEASES)
        for thing in _of_user(client, resource, user, unseen)
        if not living.needs(thing.metadata)
        and _is_older(thing.metadata, now, age_s)
        and (not isinstance(thing, Pod) or _is_orphan(thing, now))
    ]


def _of_user(
    client: Client, resource: Resource[Any], user: str, unseen: Callable[[str], None]
) -> Iterator[KubeObject]:
    try:
        found = client.list(resource, labels=selector_of(user)).items
    except ForbiddenError:
        unseen(resource.plural)
        return
    for thing in found:
        # a label may stand for several users; where the name is there, it decides
        if labels.user(thing.metadata.annotations, thing.metadata.labels) in (user, None):
            yield thing


def _living(client: Client, going: set[str], now: datetime) -> Living:
    """Everybody's count: a run may go on under another account."""
    jobs = [job.metadata for job in client.list(JOBS).items if job.metadata.uid not in going]
    pods = [pod.metadata for pod in client.list(PODS, labels=labels.RUN).items]
    staying = [pod for pod in pods if not any(o.uid in going for o in pod.owner_references)]
    leases = client.list(LEASES, labels=labels.RUN).items
    held = [lease.metadata for lease in leases if _is_held(lease, now)]
    runs = {meta.labels.get(labels.RUN) for meta in (*jobs, *staying, *held)}
    return Living(frozenset(meta.name for meta in jobs), frozenset(run for run in runs if run))


def _is_held(lease: Lease, now: datetime) -> bool:
    if not lease.spec.holder_identity:
        return False
    try:
        renewed = parse_rfc3339(lease.spec.renew_time or "")
    except ValueError:
        return True
    return now - renewed < timedelta(seconds=QUIET_S)


def _is_orphan(pod: Pod, now: datetime) -> bool:
    return labels.RUN not in pod.metadata.labels and pod_views.view(pod, now=now).finished


def _is_older(metadata: ObjectMeta, now: datetime, age_s: float) -> bool:
    made = metadata.creation_timestamp
    return made is not None and now - made >= timedelta(seconds=age_s)
