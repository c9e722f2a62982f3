"""Reading a snapshot: each fact from the best source that I may read.

Cluster-wide; else the published ConfigMap; else my namespace alone. Pods are read page by page
and counted at once: of a hundred thousand none is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import TypeVar

import msgspec

from jobman.errors import ApiNotFoundError, ForbiddenError, JobmanError
from jobman.jobs import mounts
from jobman.kube.client import Client
from jobman.kube.lists import Listing
from jobman.kube.objects import Node
from jobman.kube.resources import CONFIGMAPS, EVENTS
from jobman.queue import asking, assemble, gpus, published, quotas, snapshot
from jobman.queue import group as groups
from jobman.queue.active import ActivePod, QueuedJob
from jobman.queue.asking import Asking
from jobman.queue.claims import Claim, Claims, IsGpu, Refusals, Shapes, refused_by, told
from jobman.queue.group import Group
from jobman.queue.published import Published
from jobman.queue.quotas import Quota
from jobman.queue.snapshot import Origin, Snapshot, Source
from jobman.values.enums import QueueBy as By
from jobman.values.enums import State

T = TypeVar("T")

REFUSALS = "reason=FailedCreate,involvedObject.kind=Job"
"""The field selector of events that say why a Job has no pods."""

OTHERS = "what others hold and want"
OTHERS_JOBS = "suspended jobs of other namespaces"
FREE = "what is free and what would fit"


class TooManyPodsError(JobmanError):
    """More pods than the query would read."""


class Query(msgspec.Struct, frozen=True):
    """What is asked for, by whom.

    `namespace` is mine, `label` the annotation that names the flavor, `configmap` namespace and
    name of the published queue. `nodes_alone`: Jobs and quotas are not asked for. `holders`: the
    pods that hold GPUs are kept. `publishing`: quotas are not asked for, and a published queue is
    no source. `on_claim` gets each claim of the whole cluster. `most_pages`: TooManyPodsError where
    the pods are more pages than that. `tolerations_final`: the cluster adds no toleration to pods.
    """

    user: str
    namespace: str
    is_gpu: IsGpu
    by: By = By.FLAVOR
    label: str | None = None
    configmap: tuple[str, str] | None = None
    nodes_alone: bool = False
    holders: bool = False
    publishing: bool = False
    on_claim: Callable[[Claim], None] | None = None
    most_pages: int | None = None
    tolerations_final: bool = False

    def shapes(self) -> Shapes:
        """None known yet, of the pods of this cluster."""
        return Shapes(self.is_gpu, tolerations_final=self.tolerations_final)


@dataclass
class _Told:
    """Where the facts come from, and what is to be said of them."""

    at: datetime
    sources: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def from_cluster(self, fact: str) -> None:
        self.sources.append(Source(fact=fact, origin=Origin.CLUSTER, at=self.at))

    def from_namespace(self, fact: str, namespace: str, missing: str = "") -> None:
        self.sources.append(
            Source(fact=fact, origin=Origin.NAMESPACE, at=self.at, where=namespace, missing=missing)
        )

    def from_configmap(self, fact: str, found: _Located) -> None:
        self.sources.append(
            Source(fact=fact, origin=Origin.CONFIGMAP, at=found.queue.at, where=found.where)
        )

    def from_nowhere(self, fact: str, missing: str) -> None:
        self.sources.append(Source(fact=fact, origin=Origin.NOWHERE, at=None, missing=missing))


class _Located(msgspec.Struct, frozen=True):
    """A published queue, and the ConfigMap it is in."""

    queue: Published
    where: str


def begin(client: Client, query: Query) -> Asking:
    """Ask for what `read` will need of the whole cluster."""
    jobs = not query.nodes_alone
    return asking.begin(client, jobs=jobs, quotas=jobs and not query.publishing)


def read(client: Client, query: Query, begun: Asking | None = None, *, now: datetime) -> Snapshot:
    """The queue as of now; `begun`: of the lists that were asked for already.

    Raises ForbiddenError where not even the pods of my namespace may be read.
    """
    return _Reader(client, query, begun or begin(client, query), now).read()


class _Reader:
    """One reading."""

    def __init__(self, client: Client, query: Query, begun: Asking, now: datetime) -> None:
        self._client = client
        self._query = query
        self._begun = begun
        self._now = now
        shapes = query.shapes()
        self._claims = Claims(shapes, user=query.user, now=now, label=query.label)
        self._told = _Told(now)

    def read(self) -> Snapshot:
        jobs = _allowed(lambda: self._claims_of(self._begun.jobs(), None))
        pages = self._all_pod_pages()
        found = self._part(self._nodes()) if pages is None else self._everything(pages, jobs)
        limits = self._quotas()
        if limits is not None:
            self._told.from_namespace("quotas", self._query.namespace)
        told = self._told
        return replace(
            found,
            quotas=limits or (),
            sources=told.sources,
            notes=[*found.notes, *told.notes],
            tolerations_final=self._query.tolerations_final,
        )

    def _everything(
        self,
        pages: Iterable[Listing[ActivePod]],
        jobs: Sequence[Claim] | None,
    ) -> Snapshot:
        """All pods may be read."""
        told, query = self._told, self._query
        told.from_cluster("pods")
        if jobs is None:
            told.from_namespace("jobs", query.namespace, OTHERS_JOBS)
            jobs = _allowed(lambda: self._jobs(query.namespace)) or []
        else:
            told.from_cluster("jobs")
        claims = self._watched(chain(jobs, self._counted(pages)))
        facts = assemble.facts(
            claims,
            self._nodes,
            by=query.by,
            is_gpu=query.is_gpu,
            holders=query.holders,
            tolerations_final=query.tolerations_final,
        )
        found = Snapshot(
            at=self._now,
            groups=facts.groups,
            nodes=facts.nodes,
            gpus=facts.gpus,
            holders=facts.holders,
            notes=facts.notes,
        )
        if facts.nodes is not None:
            told.from_cluster("nodes")
            return found
        return self._with_published_nodes(found, self._published())

    def _nodes(self) -> Sequence[Node] | None:
        return _allowed(self._begun.nodes)

    def _part(self, nodes: Sequence[Node] | None) -> Snapshot:
        """Only my namespace's pods may be read; a published queue may tell of the others."""
        query = self._query
        located = self._published()
        rows = located.queue.grouped(query.by) if located else None
        if located is None or rows is None:
            return self._my_part(self._own(), nodes, located)
        own = _allowed(self._own)
        self._told.from_configmap("pods", located)
        self._told.notes += located.queue.notes
        if own is None:
            self._told.notes.append(f"pods of namespace {query.namespace} may not be read")
        mine = [claim for claim in own or () if claim.mine and not located.queue.earlier]
        found = Snapshot(at=self._now, groups=with_mine(rows, mine))
        return self._with_published_nodes(found, located, nodes)

    def _own(self) -> list[Claim]:
        """The claims of my namespace."""
        namespace = self._query.namespace
        jobs = _allowed(lambda: self._jobs(namespace))
        if jobs is None:
            self._told.notes.append(f"Jobs of namespace {namespace} may not be read")
        return [*(jobs or ()), *self._counted(asking.pod_pages(self._client, namespace), namespace)]

    def _my_part(
        self, own: Sequence[Claim], nodes: Sequence[Node] | None, located: _Located | None
    ) -> Snapshot:
        self._told.from_namespace("pods", self._query.namespace, OTHERS)
        if located is not None:
            self._told.notes.append(
                f"ConfigMap {located.where} does not tell pods by {self._query.by}"
            )
        facts = assemble.facts(own, lambda: None, by=self._query.by, is_gpu=self._query.is_gpu)
        found = Snapshot(at=self._now, groups=facts.groups, notes=facts.notes)
        return self._with_published_nodes(found, located, nodes)

    def _with_published_nodes(
        self, found: Snapshot, located: _Located | None, nodes: Sequence[Node] | None = None
    ) -> Snapshot:
        """Capacity from the published queue, else as much of it as the nodes alone tell."""
        told, is_gpu, final = self._told, self._query.is_gpu, self._query.tolerations_final
        if located is not None and located.queue.nodes is not None:
            told.from_configmap("nodes", located)
            there = located.queue.nodes
            lines = gpus.lines(there, is_gpu, tolerations_final=final)
            return replace(found, nodes=there, gpus=lines)
        if nodes is None:
            told.from_nowhere("nodes", FREE)
            return found
        told.sources.append(Source(fact="nodes", origin=Origin.CLUSTER, at=self._now, missing=FREE))
        empty = snapshot.node_views(nodes, snapshot.Usage())
        return replace(
            found,
            nodes=empty,
            usage_known=False,
            gpus=gpus.lines(empty, is_gpu, usage_known=False),
        )

    def _all_pod_pages(self) -> Iterable[Listing[ActivePod]] | None:
        """Those of the whole cluster; None where I may not read them and a part is of use."""
        return self._begun.pods() if self._query.publishing else _allowed(self._begun.pods)

    def _counted(
        self, pages: Iterable[Listing[ActivePod]], namespace: str | None = None
    ) -> Iterator[Claim]:
        """The claims of pods; Jobs must have been read before, they tell flavors.

        Those that have been starting for long come last: of these only events say whether they
        are stuck.
        """
        slow: list[ActivePod] = []
        most = self._query.most_pages
        for number, page in enumerate(pages, 1):
            if most is not None and number > most:
                raise TooManyPodsError("the cluster has too many pods to look at all of them here")
            for pod in page.items:
                claim = self._claims.of_pod(pod)
                if claim is None:
                    continue
                if self._claims.may_be_stuck(claim):
                    slow.append(pod)
                else:
                    yield claim
        if slow and not self._query.nodes_alone:
            self._claims.failures = mounts.failures(self._client, namespace)
        yield from filter(None, map(self._claims.of_pod, slow))

    def _watched(self, claims: Iterable[Claim]) -> Iterable[Claim]:
        told = self._query.on_claim
        if told is None:
            return claims
        return (claim for claim in claims if told(claim) is None)

    def _jobs(self, namespace: str) -> list[Claim]:
        if self._query.nodes_alone:
            return []
        return self._claims_of(asking.job_pages(self._client, namespace), namespace)

    def _claims_of(self, pages: Iterable[Listing[QueuedJob]], namespace: str | None) -> list[Claim]:
        """What Jobs lack."""
        found = [
            claim
            for page in pages
            for claim in map(self._claims.of_job, page.items)
            if claim is not None
        ]
        if all(claim.state is not State.PENDING for claim in found):
            return found
        refused = self._refused(namespace)
        return [*filter(None, (told(claim, refused) for claim in found))]

    def _refused(self, namespace: str | None) -> Refusals:
        """The Jobs whose pods are refused; asked for only when a Job lacks pods."""
        events = _allowed(
            lambda: (
                self._client.list(
                    EVENTS,
                    namespace=namespace,
                    all_namespaces=namespace is None,
                    fields=REFUSALS,
                ).items
            )
        )
        return refused_by(events or ())

    def _quotas(self) -> list[Quota] | None:
        if self._query.nodes_alone or self._query.publishing:
            return None
        found = _allowed(self._begun.quotas)
        return None if found is None else quotas.of(found)

    def _published(self) -> _Located | None:
        """The published queue, where the settings name one that is there and may be read."""
        if self._query.configmap is None:
            return None
        namespace, name = self._query.configmap
        where = f"{namespace}/{name}"
        try:
            configmap = self._client.get(CONFIGMAPS, name, namespace=namespace)
        except ApiNotFoundError:
            self._told.notes.append(f"there is no ConfigMap {where}: nobody publishes the queue")
            return None
        except ForbiddenError:
            self._told.notes.append(f"ConfigMap {where} may not be read")
            return None
        mine = self._query.namespace
        return _Located(published.read(configmap, namespace=mine, is_gpu=self._query.is_gpu), where)


def with_mine(rows: Sequence[Group], mine: Iterable[Claim]) -> list[Group]:
    """Published groups with mine counted as such; what was not published yet comes on top."""
    by_key = {group.key: group for group in rows}
    for own in groups.grouped(mine):
        known = by_key.setdefault(own.key, own)
        if known is not own:
            known.yours.include(own.yours)
    return sorted(by_key.values(), key=groups.rank)


def _allowed(ask: Callable[[], T]) -> T | None:
    """What `ask` returns; None where I may not know it."""
    try:
        return ask()
    except ForbiddenError:
        return None
