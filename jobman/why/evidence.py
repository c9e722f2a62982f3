"""What can be known of one job's waiting or failing, asked of the cluster.

What may not be read is left out and named; namespace rights alone are enough for a diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import structs

from jobman.config.flavors import Flavor
from jobman.errors import ForbiddenError
from jobman.jobs import state
from jobman.jobs.state import JobView
from jobman.jobs.whole import WholeJob
from jobman.kube.client import Client
from jobman.kube.objects import Event, Job, Pod
from jobman.queue import sources
from jobman.queue.claims import Claim, moment
from jobman.queue.group import Group
from jobman.queue.nodes import NodeView
from jobman.queue.snapshot import Origin
from jobman.queue.sources import Query, TooManyPodsError
from jobman.values.enums import State
from jobman.why import kueue, log_tail
from jobman.why.kueue import Queued
from jobman.why.scheduling import Waiting

_WAITS = (State.PENDING, State.STUCK, State.SUSPENDED)


@dataclass(frozen=True)
class Evidence:
    """The job with its pods and events, oldest first, and what is around it.

    `nodes` None: not known, or not asked for; `others` are pods that wait, `log` the last lines of
    a failed pod's; `unseen` names what could not be read. `tolerations_final`: the cluster adds
    no toleration to pods.
    """

    job: Job
    pods: Sequence[Pod]
    events: Sequence[Event]
    view: JobView
    nodes: Sequence[NodeView] | None = None
    others: Sequence[Waiting] = ()
    queued: Queued | None = None
    flavors: Sequence[Flavor] = ()
    log: Sequence[str] = ()
    unseen: tuple[str, ...] = ()
    tolerations_final: bool = False


@dataclass
class Surroundings:
    """The nodes, None: not known; the pods that wait; and what could not be read."""

    nodes: Sequence[NodeView] | None = None
    others: list[Waiting] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def gather(
    client: Client,
    found: WholeJob,
    *,
    query: Query,
    flavors: Sequence[Flavor],
    now: datetime,
) -> Evidence:
    """Everything about one job that was read whole."""
    job, pods, events = found.typed_job, found.typed_pods, found.typed_events
    view = state.of(job, pods, events, now=now)
    queued = kueue.read(client, job) if view.state is State.SUSPENDED else None
    looks = _has_pods_that_wait(view) and (queued is None or not queued.waits)
    own = {(pod.metadata.namespace, pod.metadata.name) for pod in pods}
    around = look_around(client, query, now, own) if looks else Surroundings()
    log = _log(client, pods, view) if view.state in (State.FAILED, State.STUCK) else ()
    return Evidence(
        job=job,
        pods=pods,
        events=events,
        view=view,
        nodes=around.nodes,
        others=around.others,
        queued=queued,
        flavors=[flavor for flavor in flavors if flavor.resources],
        log=log,
        unseen=tuple(around.unseen),
        tolerations_final=query.tolerations_final,
    )


def _has_pods_that_wait(view: JobView) -> bool:
    """Whether pods of it are without a node, or would be if it were released."""
    return view.state in _WAITS or any(pod.state is State.PENDING for pod in view.pods)


def look_around(
    client: Client, query: Query, now: datetime, own: Set[tuple[str, str]]
) -> Surroundings:
    """The nodes with what is free on them for the `own` pods, and who else waits."""
    around = Surroundings()

    def take(claim: Claim) -> None:
        if claim.state is State.PENDING:
            waiting = Waiting(claim.shape.wanted, moment(claim.since))
            around.others.extend([waiting] * claim.count)

    try:
        asked = structs.replace(query, nodes_alone=True, on_claim=take)
        snapshot = sources.read(client, asked, now=now)
    except ForbiddenError:
        around.unseen.append("the cluster's pods and nodes may not be read")
        return around
    except TooManyPodsError as error:
        around.unseen.append(error.message)
        return Surroundings(unseen=around.unseen)
    if snapshot.nodes is not None and snapshot.usage_known:
        around.nodes = [node.not_kept_for(own) for node in snapshot.nodes]
    for source in snapshot.sources:
        if source.origin is Origin.CONFIGMAP:
            if source.fact == "pods":
                around.others = _published(snapshot.groups)
            around.unseen.append(f"{source.fact}: as published in {source.where}")
        elif source.origin in (Origin.NAMESPACE, Origin.NOWHERE):
            around.unseen.append(f"{source.fact} of the whole cluster may not be read")
    return around


def _published(groups: Iterable[Group]) -> list[Waiting]:
    """The pods that wait as it was published: when each came is not known."""
    return [
        waiting
        for group in groups
        if (shape := group.usual_shape) is not None
        for waiting in [Waiting(shape.wanted, None)] * group.counts.waiting
    ]


def _log(client: Client, pods: Sequence[Pod], view: JobView) -> Sequence[str]:
    """The last lines of the pod that failed last."""
    failed = {pod.name for pod in view.pods if pod.state is State.FAILED}
    ended = [pod for pod in pods if pod.metadata.name in failed]
    return log_tail.read(client, ended[-1]) if ended else ()
