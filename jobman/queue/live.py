"""The queue as it changes: lists once, then follows watches; nothing is asked again and again.

Where the cluster may not be read as a whole, the watch is on my namespace, and each change, or
`REREAD_S` without one, makes the other sources be read again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from jobman.errors import ForbiddenError, JobmanError
from jobman.jobs import mounts
from jobman.jobs.pods import MOUNT_REASONS, PROGRESS_REASONS
from jobman.kube.bounds import ResourceQuota
from jobman.kube.client import Client
from jobman.kube.lists import Listing
from jobman.kube.objects import Event, Node
from jobman.kube.resources import EVENTS, NODES, RESOURCEQUOTAS, Resource
from jobman.kube.watch import Watch
from jobman.queue import assemble, quotas
from jobman.queue.active import ACTIVE_PODS, QUEUED_JOBS, STILL_ACTIVE, ActivePod, QueuedJob
from jobman.queue.claims import Claim, Claims, refused_by, told
from jobman.queue.snapshot import Origin, Snapshot, Source
from jobman.queue.sources import Query, read
from jobman.values.enums import State

REREAD_S = 30.0
"""Seconds after which what is not watched is read again."""

TROUBLE = f"{mounts.TELLING},reason!=Failed"
"""The field selector of events that may say why something is stuck; the commonest are no use."""

Clock = Callable[[], datetime]


class Live:
    """A snapshot that keeps up; used in a `with`, closed at its end.

    `snapshot` is the latest; it raises what ended a watch.
    """

    def __init__(self, client: Client, query: Query, *, now: Clock) -> None:
        self._client = client
        self._query = query
        self._now = now
        self._lock = threading.Lock()
        self._watches: list[Watch[Any]] = []
        self._error: JobmanError | None = None
        self._pods: dict[str, Claim] = {}
        self._jobs: dict[str, Claim] = {}
        self._nodes: dict[str, Node] = {}
        self._quotas: dict[str, ResourceQuota] = {}
        self._events: dict[str, Event] = {}
        self._troubled: set[tuple[str, str]] = set()
        self._settling: dict[str, QueuedJob] = {}
        self._starting: dict[str, ActivePod] = {}
        self._changes = 0
        self._seen = -1
        self._whole = True
        self._latest = Snapshot(at=now())
        self._claims = Claims(query.shapes(), user=query.user, now=now(), label=query.label)

    def __enter__(self) -> Live:
        try:
            self._follow_all()
        except ForbiddenError:
            self.__exit__()
            self._whole = False
            self._follow_mine()
        return self

    def _follow_all(self) -> None:
        """The whole cluster, and the quotas of my namespace where I may."""
        self._follow(QUEUED_JOBS, self._jobs, self._of_job, all_namespaces=True)
        self._follow(
            ACTIVE_PODS, self._pods, self._of_pod, all_namespaces=True, fields=STILL_ACTIVE
        )
        self._follow(NODES, self._nodes, lambda node: node)
        facts = [("pods", ""), ("jobs", ""), ("nodes", "")]
        with suppress(ForbiddenError):
            mine = self._query.namespace
            self._follow(RESOURCEQUOTAS, self._quotas, lambda quota: quota, namespace=mine)
            facts.append(("quotas", mine))
        with suppress(ForbiddenError):
            self._follow(EVENTS, self._events, self._of_event, all_namespaces=True, fields=TROUBLE)
        now = self._now()
        sources = [
            Source(
                fact=fact,
                origin=Origin.NAMESPACE if where else Origin.CLUSTER,
                at=now,
                where=where,
            )
            for fact, where in facts
        ]
        self._latest = Snapshot(at=now, sources=sources)

    def _follow_mine(self) -> None:
        """My namespace: its changes tell when to read again."""
        self._latest = read(self._client, self._query, now=self._now())
        mine = self._query.namespace
        with suppress(ForbiddenError):
            self._follow(QUEUED_JOBS, {}, self._of_job, namespace=mine)
            self._follow(ACTIVE_PODS, {}, self._of_pod, namespace=mine, fields=STILL_ACTIVE)
        self._seen = self._changes

    def __exit__(self, *ended: object) -> None:
        while self._watches:
            self._watches.pop().close()

    def _of_pod(self, pod: ActivePod) -> Claim | None:
        self._claims.now = self._now()
        found = self._claims.of_pod(pod)
        with self._lock:
            if found is not None and found.state in (State.STARTING, State.STUCK):
                self._starting[pod.metadata.uid] = pod
            else:
                self._starting.pop(pod.metadata.uid, None)
        return found

    def _of_job(self, job: QueuedJob) -> Claim | None:
        """The Job's claim; a new one is looked at again when its pods should have come."""
        self._claims.now = self._now()
        if self._claims.is_settling(job):
            with self._lock:
                self._settling[job.metadata.uid] = job
        return self._claims.of_job(job)

    def _of_event(self, event: Event) -> Event | None:
        """Of use are those that tell of trouble, and of the same pods that they got further."""
        about = event.involved_object
        if event.reason in MOUNT_REASONS:
            self._troubled.add((about.namespace, about.name))
            return event
        further = event.reason in PROGRESS_REASONS
        of_use = further and (about.namespace, about.name) in self._troubled
        return event if of_use or event.reason == "FailedCreate" else None

    def _look_again(self) -> None:
        """At Jobs that were new when they were last seen."""
        with self._lock:
            waiting, self._settling = self._settling, {}
            before = {uid: self._jobs.get(uid) for uid in waiting}
        for uid, job in waiting.items():
            found = self._of_job(job)
            with self._lock:
                if found != before[uid] and self._jobs.get(uid) is before[uid]:
                    self._put(self._jobs, uid, found)

    @property
    def version(self) -> int:
        """Changes with what the snapshot holds."""
        return self._seen

    def snapshot(self) -> Snapshot:
        """The latest, made anew only when something has changed."""
        if self._error is not None:
            raise self._error
        now = self._now()
        if self._settling:
            self._look_again()
        if self._whole:
            if self._seen != self._changes:
                self._seen = self._changes
                self._latest = self._counted()
            if all(watch.connected for watch in self._watches):
                self._latest = self._latest.as_of(now)
            return self._latest
        old = (now - self._latest.at).total_seconds() >= REREAD_S
        if self._seen != self._changes or old:
            self._seen = self._changes
            self._latest = read(self._client, self._query, now=now)
        return self._latest

    def _counted(self) -> Snapshot:
        with self._lock:
            claims = self._with_trouble()
            nodes = [*self._nodes.values()]
            limits = [*self._quotas.values()]
        query = self._query
        facts = assemble.facts(
            claims,
            lambda: nodes,
            by=query.by,
            is_gpu=query.is_gpu,
            tolerations_final=query.tolerations_final,
        )
        return replace(
            self._latest,
            groups=facts.groups,
            nodes=facts.nodes,
            gpus=facts.gpus,
            quotas=quotas.of(limits),
            notes=facts.notes,
        )

    def _with_trouble(self) -> list[Claim]:
        """All claims, those that events concern as these have it by now."""
        events = self._events.values()
        refused = refused_by(events)
        self._claims.failures = mounts.by_pod(events)
        self._claims.now = self._now()
        starting = {uid: self._claims.of_pod(pod) for uid, pod in self._starting.items()}
        pods = {**self._pods, **starting}
        jobs = (told(claim, refused) for claim in self._jobs.values())
        return [*filter(None, jobs), *filter(None, pods.values())]

    def _follow(
        self,
        resource: Resource[Any],
        into: dict[str, Any],
        made: Callable[[Any], Any],
        **scope: Any,
    ) -> None:
        listing = self._listed(resource, into, made, **scope)
        watch = self._client.watch(
            resource, resource_version=listing.resource_version, known=listing.items, **scope
        )
        self._watches.append(watch)
        thread = threading.Thread(
            target=self._run, args=(watch, into, made), daemon=True, name=resource.plural
        )
        thread.start()

    def _listed(
        self,
        resource: Resource[Any],
        into: dict[str, Any],
        made: Callable[[Any], Any],
        **scope: Any,
    ) -> Listing[Any]:
        """All objects, page by page: of each only its metadata is kept beside what was made of it.

        A list that was begun anew may have passed over a deletion: it is read in one piece.
        """
        kept: list[Any] = []
        versions: set[str] = set()
        for page in self._client.pages(resource, **scope):
            versions.add(page.resource_version)
            kept += self._keep(into, made, page.items)
        if len(versions) == 1:
            return Listing(kept, versions.pop())
        into.clear()
        whole = self._client.list(resource, **scope)
        return Listing(self._keep(into, made, whole.items), whole.resource_version)

    def _keep(
        self, into: dict[str, Any], made: Callable[[Any], Any], items: Iterable[Any]
    ) -> list[Any]:
        lean = []
        for item in items:
            found = made(item)
            with self._lock:
                self._put(into, item.metadata.uid, found)
            lean.append(type(item)(metadata=item.metadata))
        return lean

    def _put(self, into: dict[str, Any], uid: str, found: Any) -> None:
        before = into.pop(uid, None)
        if found is not None:
            into[uid] = found
        if found is not before:
            self._changes += 1

    def _run(self, watch: Watch[Any], into: dict[str, Any], made: Callable[[Any], Any]) -> None:
        try:
            for change in watch:
                found = None if change.type == "DELETED" else made(change.object)
                with self._lock:
                    if change.type == "DELETED":
                        self._settling.pop(change.object.metadata.uid, None)
                        self._starting.pop(change.object.metadata.uid, None)
                    self._put(into, change.object.metadata.uid, found)
        except ForbiddenError as error:
            if into is not self._quotas and into is not self._events:
                self._error = error
        except JobmanError as error:
            self._error = error
