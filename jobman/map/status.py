"""How a run stands, by its log directory, or by what the cluster has of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from jobman.jobs import state
from jobman.kube.client import Client
from jobman.kube.labels import JOB_NAME
from jobman.kube.objects import Job, Pod
from jobman.kube.resources import PODS
from jobman.map import ledger, reach, record
from jobman.map.lease import Holder
from jobman.map.pods import selector
from jobman.map.presence import Presence
from jobman.map.record import Record
from jobman.map.run_names import job_name
from jobman.values.enums import State


class RunStatus(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A run, as `jobman map status -o json` prints it; the order of the fields is kept.

    `runner` is who carries it out: a process with its host, or a Job with its state; empty where
    nobody does. `items` is null where nothing tells, `left` have come to no end. `pods` counts
    those on the cluster by phase. `logs` is HOST:DIRECTORY. `command` began it, and is known by
    its log directory alone.
    """

    run: str
    name: str
    namespace: str
    state: State
    runner: str = ""
    items: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    left: int | None = None
    pods: dict[str, int] = {}
    logs: str = ""
    began_at: str = ""
    command: list[str] = []


def of_presence(found: Presence) -> RunStatus:
    """Of a run that a process somewhere carries out."""
    holder = Holder.of_text(found.lease.spec.holder_identity or "") if found.lease else None
    status = RunStatus(
        run=found.run,
        name=found.name,
        namespace=found.namespace,
        state=found.state,
        runner=holder.place if holder and found.living else "",
        pods=_by_phase(pod for pod, _ in found.pods),
    )
    return _told(status, found.record)


def of_job(client: Client, job: Job, *, now: datetime) -> RunStatus:
    """Of a run that a Job in the cluster carries out."""
    name = job.metadata.name
    run = name.removeprefix("map-")
    view = state.of(job, runners(client, job), now=now)
    reason = f" ({view.reason})" if view.reason else ""
    pods = (pod for page in client.pages(PODS, labels=selector(run)) for pod in page.items)
    status = RunStatus(
        run=run,
        name=name,
        namespace=job.metadata.namespace,
        state=view.state,
        runner=f"{name} {view.state}{reason}",
        pods=_by_phase(pods),
    )
    return _told(status, record.of_lease(reach.lease_of(client, run)))


def of_directory(directory: Path) -> RunStatus:
    """By what is on disk alone; ConfigError where run.json cannot be read."""
    file = ledger.read(directory)
    succeeded, failed = ledger.outcomes(directory)
    known = Record(
        file.source.count,
        min(succeeded, file.source.count),
        min(failed, max(file.source.count - succeeded, 0)),
        record.place(directory),
        file.started_at,
    )
    over = State.FAILED if known.failed else State.SUCCEEDED
    status = RunStatus(
        run=file.run,
        name=job_name(file.run),
        namespace=file.source.namespace,
        state=State.SUSPENDED if known.left else over,
        command=file.command,
    )
    return _told(status, known)


def with_cluster(disk: RunStatus, cluster: RunStatus) -> RunStatus:
    """The disk knows what has come home, the cluster who works on the rest.

    The logs of a run that was handed to the cluster may come home elsewhere.
    """
    if cluster.logs and cluster.logs != disk.logs:
        return msgspec.structs.replace(cluster, command=disk.command)
    going = {"state": cluster.state, "runner": cluster.runner, "pods": cluster.pods}
    return msgspec.structs.replace(disk, **going)


def runners(client: Client, job: Job) -> list[Pod]:
    """The pods of a Job that carries a run out, the oldest first."""
    found = client.list(PODS, labels=f"{JOB_NAME}={job.metadata.name}").items
    return sorted(found, key=lambda pod: str(pod.metadata.creation_timestamp))


def _told(status: RunStatus, known: Record | None) -> RunStatus:
    if known is None:
        return status
    return msgspec.structs.replace(
        status,
        items=known.items,
        succeeded=known.succeeded,
        failed=known.failed,
        left=known.left,
        logs=known.logs,
        began_at=known.began_at,
    )


def _by_phase(pods: Iterable[Pod]) -> dict[str, int]:
    phases = Counter(pod.status.phase or "Pending" for pod in pods)
    return dict(sorted(phases.items()))


def is_directory(text: str) -> bool:
    """Whether it names a log directory, and no run."""
    return os.sep in text or (Path(text) / "run.json").exists()
