"""A run as one thing: what its pods and its lease on the cluster say of it.

Pure. A detached run is not meant: its runner is a Job, which stands for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobman.jobs import listing
from jobman.jobs import pods as pod_views
from jobman.jobs.listing import JobRow
from jobman.jobs.pods import PodView
from jobman.jobs.tasks import TaskRow, of_pod
from jobman.kube import labels
from jobman.kube.objects import Lease, ObjectMeta, Pod
from jobman.map import record
from jobman.map.pods import ITEM, Stage, attempt_of, stage
from jobman.map.record import Record
from jobman.map.run_names import job_name
from jobman.values.duration import parse_rfc3339
from jobman.values.enums import State

NO_RUNNER = "NoRunner"
"""The reason of a run that nobody carries out, with items that have come to no end."""

Leases = Mapping[tuple[str, str], tuple[Lease, bool]]
"""By namespace and run, each with whether its holder lives."""

_STATES = (State.RUNNING, State.STARTING, State.STUCK, State.PENDING)


@dataclass(frozen=True)
class Presence:
    """What there is of a run: its bare pods with their views, and its lease; `living`: a runner."""

    run: str
    namespace: str
    pods: Sequence[tuple[Pod, PodView]]
    lease: Lease | None
    living: bool

    @property
    def name(self) -> str:
        """What it is called wherever a job is named."""
        return job_name(self.run)

    @property
    def user(self) -> str | None:
        """Whose it is; None where nothing says so."""
        marked = [pod.metadata for pod, _ in self.pods]
        marked += [self.lease.metadata] if self.lease else []
        return next((user for user in map(owner, marked) if user), None)

    @property
    def active(self) -> list[Pod]:
        """The pods that have not ended."""
        return [pod for pod, view in self.pods if not stage(view).over]

    @property
    def state(self) -> State:
        """One word for it: that of what has come furthest, while anything goes on."""
        views = [view for _, view in self.pods]
        going = {view.state for view in views if not view.finished}
        if going:
            return next(state for state in (*_STATES, State.PENDING) if state in going)
        if self.living:
            return State.RUNNING
        if self.was_cancelled:
            return State.CANCELLED
        if self.record is not None and self.record.left:
            return State.SUSPENDED
        failed = any(view.state is State.FAILED for view in views)
        failed = failed or (self.record is not None and self.record.failed > 0)
        return State.FAILED if failed else State.SUCCEEDED

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end, so that there is nothing to cancel."""
        return self.state.finished and not (self.living or self.active)

    @property
    def was_cancelled(self) -> bool:
        """Whether somebody cancelled it; pods of it may still be on their way out."""
        return bool(self.cancelled_by)

    @property
    def cancelled_by(self) -> str:
        """Who cancelled it; empty where nobody did."""
        return self.lease.metadata.annotations.get(labels.CANCELLED_BY, "") if self.lease else ""

    @property
    def record(self) -> Record | None:
        """How far it has come, by its lease."""
        return record.of_lease(self.lease)

    @property
    def waits_for_a_runner(self) -> bool:
        """Whether something is left to do that nobody does, and nobody gave up."""
        if self.state is State.CANCELLED:
            return False
        done = self.record is not None and not self.record.left
        return not self.living and (bool(self.active) or not done)

    @property
    def by_state(self) -> Counter[State]:
        """How many pods are in which state."""
        return Counter(view.state for _, view in self.pods)


def owner(meta: ObjectMeta) -> str | None:
    """Whose a pod or a lease is; None where nothing says so."""
    return labels.user(meta.annotations, meta.labels)


def is_bare(pod: Pod) -> bool:
    """Whether nothing owns the pod."""
    return not pod.metadata.owner_references


def grouped(
    pods: Iterable[Pod], leases: Leases, *, now: datetime, carried: bool = False
) -> list[Presence]:
    """The runs that have these pods, or but a lease; `carried`: those that a Job carries out."""
    found: defaultdict[tuple[str, str], list[tuple[Pod, PodView]]] = defaultdict(list)
    for pod in pods:
        if is_bare(pod) is not carried:
            key = (pod.metadata.namespace, pod.metadata.labels.get(labels.RUN, ""))
            found[key].append((pod, pod_views.view(pod, now=now)))
    for key, (lease, _) in leases.items():
        if bool(lease.metadata.owner_references) is carried:
            found[key] += []
    runs = []
    for (namespace, run), members in found.items():
        lease_, living = leases.get((namespace, run), (None, False))
        runs.append(Presence(run, namespace, members, lease_, living))
    return runs


def with_index(run: Presence, indexes: frozenset[int] | None) -> list[tuple[int, Pod]]:
    """The pods of these items, of all for None, by the items' indexes."""
    by_index = ((_index(pod), pod) for pod, _ in run.pods)
    wanted = ((i, pod) for i, pod in by_index if indexes is None or i in indexes)
    return sorted(wanted, key=lambda both: (both[0], both[1].metadata.name))


def _index(pod: Pod) -> int:
    text = pod.metadata.annotations.get(ITEM, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else -1


def row(run: Presence, gpu_resources: frozenset[str] | None, *, now: datetime) -> JobRow:
    """The run among the jobs of `jobman list`.

    Its counts are those of its lease or of the pods that are there, whichever is further.
    """
    views = [view for _, view in run.pods]
    known = run.record or Record(len(views))
    spec = run.pods[0][0].spec if run.pods else None
    started, finished = _times(run)
    stages = Counter(stage(view) for view in views)
    active = len(run.active)
    return JobRow(
        name=run.name,
        namespace=run.namespace,
        user=run.user,
        state=run.state,
        reason=NO_RUNNER if run.waits_for_a_runner else "",
        message="",
        exit_code=None,
        flavor=run.pods[0][0].metadata.labels.get(labels.FLAVOR) if run.pods else None,
        gpus=sum(listing.pod_gpus(pod.spec, gpu_resources) for pod in run.active),
        image=spec.containers[0].image if spec and spec.containers else "",
        node=views[0].node if len(views) == 1 else "",
        submitted_at=min(_made(run), default=None),
        started_at=started,
        finished_at=finished,
        duration_seconds=max(int(((finished or now) - started).total_seconds()), 0)
        if started
        else None,
        completions=max(known.items, len(views)),
        succeeded=max(known.succeeded, stages[Stage.SUCCEEDED]),
        failed=max(known.failed, len(views) - active - stages[Stage.SUCCEEDED]),
        active=active,
        running=stages[Stage.RUNNING],
    )


def tasks(run: Presence, *, now: datetime) -> list[TaskRow]:
    """The pods that the run has on the cluster, by the items' indexes."""
    views = {pod.metadata.uid: view for pod, view in run.pods}
    return [
        of_pod(
            views[pod.metadata.uid],
            run.name,
            run.namespace,
            index=None if index < 0 else index,
            attempts=attempt_of(pod),
            now=now,
        )
        for index, pod in with_index(run, None)
    ]


def _made(run: Presence) -> list[datetime]:
    """When its lease and its pods were made."""
    made = [view.created_at for _, view in run.pods]
    made += [run.lease.metadata.creation_timestamp] if run.lease else []
    return [at for at in made if at]


def _times(run: Presence) -> tuple[datetime | None, datetime | None]:
    """When it began to run, and when it ended."""
    begun = [view.started_at for _, view in run.pods if view.started_at]
    begun += _made(run) if run.record else []
    ends = [view.finished_at for _, view in run.pods if view.finished_at]
    if run.record and run.lease and (renewed := moment(run.lease.spec.renew_time)):
        ends.append(renewed)
    finished = run.state.finished or run.state is State.SUSPENDED
    return min(begun, default=None), max(ends, default=None) if finished else None


def moment(text: str | None) -> datetime | None:
    """A time of a lease; None where there is none, or none that makes sense."""
    try:
        return parse_rfc3339(text or "")
    except ValueError:
        return None
