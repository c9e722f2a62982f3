"""The runs among the jobs that are listed: one row each, whoever carries them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from jobman.errors import ForbiddenError
from jobman.jobs.listing import JobRow, ListQuery, is_wanted
from jobman.jobs.order import ordered
from jobman.jobs.tasks import TaskRow
from jobman.kube import labels
from jobman.kube.beside import beside
from jobman.kube.client import Client
from jobman.kube.objects import Lease, Pod
from jobman.kube.resources import LEASES, PODS
from jobman.map import presence
from jobman.map.presence import Presence
from jobman.map.reach import lives
from jobman.map.run_names import job_name, run_of
from jobman.values import names

Tasks = dict[JobRow, list[TaskRow]]


@dataclass(frozen=True)
class Runs:
    """Those that a process carries out, or nobody, and those that a Job carries out."""

    free: Sequence[Presence]
    carried: Sequence[Presence]

    def rows(self, jobs: Iterable[JobRow], query: ListQuery, *, now: datetime) -> list[JobRow]:
        """Their rows among those of the jobs; a Job that carries a run out counts its items."""
        runs = _rows(self.free, query, now)
        items = self._by_job(query, now)
        if not (runs or items):
            return [*jobs]
        counted = (_counting(job, items.get((job.namespace, job.name))) for job in jobs)
        return ordered([*counted, *runs], query.sort)

    def tasks(self, jobs: Tasks, query: ListQuery, *, now: datetime) -> Tasks:
        """Their pods that are on the cluster among the tasks of the jobs."""
        found = dict(jobs)
        items = {(run.namespace, run.name): presence.tasks(run, now=now) for run in self.carried}
        for job, tasks in jobs.items():
            found[job] = tasks + items.get((job.namespace, job.name), [])
        for run in self.free:
            found |= {row: presence.tasks(run, now=now) for row in _rows([run], query, now)}
        return found

    def _by_job(self, query: ListQuery, now: datetime) -> dict[tuple[str, str], JobRow]:
        known = (run for run in self.carried if run.record is not None)
        found = (presence.row(run, query.gpu_resources, now=now) for run in known)
        return {(row.namespace, row.name): row for row in found}


def of(pods: Sequence[Pod], leases: Iterable[Lease], *, now: datetime) -> Runs:
    """The runs that have these pods and leases."""
    found = {
        (lease.metadata.namespace, lease.metadata.labels[labels.RUN]): (
            lease,
            lives(lease, now=now),
        )
        for lease in leases
    }
    return Runs(
        presence.grouped(pods, found, now=now),
        presence.grouped(pods, found, now=now, carried=True),
    )


def begin(client: Client, query: ListQuery, *, now: datetime) -> Callable[[], Runs]:
    """Begin to look for runs; what is returned waits for them."""
    if not may_be_meant(query):
        return lambda: Runs((), ())
    return beside(lambda: _found(client, query, now))


def may_be_meant(query: ListQuery) -> bool:
    """Whether a run may be among what is asked for."""
    words = query.words
    return not words or any(_may_mean(word) for word in words)


def _may_mean(word: str) -> bool:
    return word == names.LAST or names.is_glob(word) or run_of(word) is not None


def of_user(client: Client, user: str, *, now: datetime) -> list[Presence]:
    """This user's runs in the namespace that no Job carries out."""
    query = ListQuery(user=user, namespace=client.namespace)
    return [run for run in _found(client, query, now).free if run.user == user]


def last_begun(client: Client, user: str) -> tuple[datetime, str] | None:
    """When the user's last run was begun, or taken up again, and its name; by the leases."""
    found = [
        (begun, job_name(lease.metadata.labels[labels.RUN]))
        for lease in _leases(client, ListQuery(user=user, namespace=client.namespace))
        if presence.owner(lease.metadata) == user and not lease.metadata.owner_references
        if (begun := presence.moment(lease.spec.acquire_time))
    ]
    return max(found, default=None)


def _found(client: Client, query: ListQuery, now: datetime) -> Runs:
    leases = beside(lambda: _leases(client, query))
    pods = [pod for page in client.pages(PODS, **pods_of(query)) for pod in page.items]
    return of(pods, leases(), now=now)


def pods_of(query: ListQuery) -> dict[str, Any]:
    """Where and by which labels the pods of the runs are found."""
    parts = (query.selector, labels.RUN, query.labels)
    return _within(query) | {"labels": ",".join(part for part in parts if part)}


def leases_of(query: ListQuery) -> dict[str, Any]:
    """Where and by which labels their leases are found."""
    wanted = f"{query.selector},{labels.RUN}" if query.selector else labels.RUN
    return _within(query) | {"labels": wanted}


def _within(query: ListQuery) -> dict[str, Any]:
    return {"namespace": query.namespace, "all_namespaces": query.namespace is None}


def _rows(runs: Iterable[Presence], query: ListQuery, now: datetime) -> list[JobRow]:
    # labels that are asked for are the pods'; a lease does not have them
    meant = (run for run in runs if run.pods or not query.labels)
    found = (presence.row(run, query.gpu_resources, now=now) for run in meant)
    return [row for row in found if _is_wanted(row, query)]


def _counting(job: JobRow, items: JobRow | None) -> JobRow:
    if items is None:
        return job
    return replace(
        job,
        gpus=job.gpus + items.gpus,
        completions=items.completions,
        succeeded=items.succeeded,
        failed=items.failed,
        active=items.active,
        running=items.running,
    )


def _is_wanted(row: JobRow, query: ListQuery) -> bool:
    if not query.everybody and row.user != query.user:
        return False
    meant = not query.words or any(names.means(word, row.name) for word in query.words)
    return meant and is_wanted(row, query)


def _leases(client: Client, query: ListQuery) -> Sequence[Lease]:
    """Those of all runs there; none where they may not be read."""
    with suppress(ForbiddenError):
        return client.list(LEASES, **leases_of(query)).items
    return ()
