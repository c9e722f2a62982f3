"""Reaching a run from outside its runner: finding, stopping and deleting it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from jobman.errors import ApiNotFoundError, ConflictError, ForbiddenError
from jobman.jobs import cancel as cancelling
from jobman.jobs import pods as pod_views
from jobman.kube import labels
from jobman.kube.beside import beside
from jobman.kube.client import Client
from jobman.kube.objects import Job, Lease, Pod
from jobman.kube.resources import LEASES, PODS
from jobman.map import presence
from jobman.map.lease import DURATION_S, Holder, is_alive, lease_name, myself
from jobman.map.pods import selector
from jobman.map.presence import Presence
from jobman.map.run_names import job_name, run_of

AT_ONCE = 8
SEEN_ALIVE_S = 4 * DURATION_S
"""A holder elsewhere that renewed within this lives, as far as a list tells: clocks differ."""


def find(client: Client, name: str, *, now: datetime) -> Presence | None:
    """The run that is called so; None where there is nothing of it, or a Job stands for it."""
    run = run_of(name)
    if run is None:
        return None
    lease_later = beside(lambda: lease_of(client, run))
    pods = client.list(PODS, labels=selector(run)).items
    lease = lease_later()
    known = {}
    if lease is not None:
        known = {(client.namespace, run): (lease, lives(lease, now=now))}
    found = presence.grouped(pods, known, now=now)
    return found[0] if found else None


def carried_by(client: Client, job: Job, *, now: datetime) -> Presence:
    """The run that a Job carries out inside the cluster: the pods of its items, and its lease."""
    run = job.metadata.name.removeprefix(job_name(""))
    pods = client.list(PODS, labels=selector(run)).items
    lease = lease_of(client, run)
    return Presence(
        run,
        job.metadata.namespace,
        [(pod, pod_views.view(pod, now=now)) for pod in pods],
        lease,
        lease is not None and lives(lease, now=now),
    )


def lease_of(client: Client, run: str) -> Lease | None:
    """The run's lease; None where there is none, or it may not be read."""
    with suppress(ApiNotFoundError, ForbiddenError):
        return client.get(LEASES, lease_name(run))
    return None


def lives(lease: Lease, *, now: datetime) -> bool:
    """Whether the lease's holder lives, as far as can be seen from here."""
    holder = Holder.of_text(lease.spec.holder_identity or "")
    if not holder.process:
        return False
    with suppress(OSError):
        alive = is_alive(holder, myself())
        if alive is not None:
            return alive
    try:
        renewed = datetime.fromisoformat(lease.spec.renew_time or "")
        return now - renewed < timedelta(seconds=SEEN_ALIVE_S)
    except (ValueError, TypeError):
        return False


def cancel(client: Client, run: Presence, *, user: str, now: datetime) -> int:
    """Stop the run: its runner first, then its pods that have not ended; how many those were.

    One that has no runner any more is marked all the same: it shows as cancelled.
    """
    if run.living:
        stop_runner(client, run, user=user, now=now)
    elif run.lease is not None:
        with suppress(ApiNotFoundError, ForbiddenError):
            _mark(client, run.lease, user, now)
    found = find(client, run.name, now=now)
    return _remove_active(client, found) if found else 0


def cancel_carried(client: Client, job: Job, *, user: str, now: datetime) -> tuple[str, int]:
    """The same of a run that a Job carries out; also, in a few words, what came of the Job."""
    done = cancelling.cancel(client, job, user=user, now=now)
    stop_runner(client, carried_by(client, job, now=now), user=user, now=now)
    return done, _remove_active(client, carried_by(client, job, now=now))


def _remove_active(client: Client, run: Presence) -> int:
    _remove(client, run.active)
    return len(run.active)


def delete(
    client: Client, run: Presence, *, user: str, now: datetime, grace_s: int | None = None
) -> None:
    """Stop the run, and delete all its pods and its lease."""
    stop_runner(client, run, user=user, now=now)
    pods = client.list(PODS, labels=selector(run.run)).items
    _remove(client, [pod for pod in pods if presence.is_bare(pod)], grace_s)
    lease = lease_of(client, run.run)
    if lease is not None:
        with suppress(ApiNotFoundError, ConflictError):
            client.delete(LEASES, lease.metadata.name, uid=lease.metadata.uid)


def stop_runner(client: Client, run: Presence, *, user: str, now: datetime) -> None:
    """Tell a living runner to end, and wait until it has: it makes no pod after this.

    Then its lease is gone, or nobody's. One that gives it neither back nor a sign of life in time
    is dead, or cut off, and finds the mark when it comes back.
    """
    if run.lease is None or not run.living:
        return
    try:
        marked = _mark(client, run.lease, user, now)
    except ApiNotFoundError:
        return
    with client.watch(
        LEASES,
        fields=f"metadata.name={run.lease.metadata.name}",
        resource_version=marked["metadata"]["resourceVersion"],
        known=[run.lease],
        deadline_s=2 * DURATION_S,
    ) as changes:
        any(c.type == "DELETED" or not c.object.spec.holder_identity for c in changes)


def _mark(client: Client, lease: Lease, user: str, now: datetime) -> dict[str, Any]:
    """Write down in the lease who cancelled the run, and when."""
    stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    mark = {"annotations": {labels.CANCELLED_AT: stamp, labels.CANCELLED_BY: user}}
    return client.patch(LEASES, lease.metadata.name, {"metadata": mark})


def _remove(client: Client, pods: Iterable[Pod], grace_s: int | None = None) -> None:
    def remove(pod: Pod) -> None:
        meta = pod.metadata
        with suppress(ApiNotFoundError, ConflictError):
            client.delete(PODS, meta.name, uid=meta.uid, grace_s=grace_s)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(remove, pods):
            pass
