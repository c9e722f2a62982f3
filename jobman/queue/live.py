"""The queue as it changes: lists once, then follows watches; nothing is asked again and again.

Where the cluster may not be read as a whole, the watch is on my namespace, and each change, or
`REREAD_S` without one, makes the other sources be read again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from jobman.errors import ForbiddenError, JobmanError
from jobman.kube.client import Client
from jobman.kube.objects import Node, ResourceQuota
from jobman.kube.resources import NODES, RESOURCEQUOTAS, Resource
from jobman.kube.watch import Watch
from jobman.queue import assemble, sources
from jobman.queue.active import ACTIVE_PODS, QUEUED_JOBS, STILL_ACTIVE, ActivePod, QueuedJob
from jobman.queue.claims import Claim, Claims, Shapes
from jobman.queue.snapshot import Snapshot, quotas
from jobman.queue.sources import Query

REREAD_S = 30.0
"""Seconds after which what is not watched is read again."""

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
        self._settling: dict[str, QueuedJob] = {}
        self._changes = 0
        self._seen = -1
        self._latest = sources.read(client, query, now=now())
        self._whole = self._latest.of_whole_cluster
        shapes = Shapes(query.is_gpu)
        self._claims = Claims(shapes, user=query.user, now=now(), label=query.label)

    def __enter__(self) -> Live:
        scope: dict[str, Any] = (
            {"all_namespaces": True} if self._whole else {"namespace": self._query.namespace}
        )
        with nullcontext() if self._whole else suppress(ForbiddenError):
            self._follow(QUEUED_JOBS, self._jobs, self._of_job, **scope)
            self._follow(ACTIVE_PODS, self._pods, self._of_pod, fields=STILL_ACTIVE, **scope)
        if self._whole:
            self._follow(NODES, self._nodes, lambda node: node)
            with suppress(ForbiddenError):
                mine = self._query.namespace
                self._follow(RESOURCEQUOTAS, self._quotas, lambda quota: quota, namespace=mine)
        return self

    def __exit__(self, *ended: object) -> None:
        for watch in self._watches:
            watch.close()

    def _of_pod(self, pod: ActivePod) -> Claim | None:
        self._claims.now = self._now()
        return self._claims.of_pod(pod)

    def _of_job(self, job: QueuedJob) -> Claim | None:
        """The Job's claim; a new one is looked at again when its pods should have come."""
        self._claims.now = self._now()
        if self._claims.is_settling(job):
            self._settling[job.metadata.uid] = job
        return self._claims.of_job(job)

    def _look_again(self) -> None:
        """At Jobs that were new when they were last seen."""
        with self._lock:
            waiting, self._settling = self._settling, {}
        for uid, job in waiting.items():
            found = self._of_job(job)
            with self._lock:
                if found is not None and uid not in self._jobs:
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
            self._latest = sources.read(self._client, self._query, now=now)
        return self._latest

    def _counted(self) -> Snapshot:
        with self._lock:
            claims = [*chain(self._jobs.values(), self._pods.values())]
            nodes = [*self._nodes.values()]
            limits = [*self._quotas.values()]
        facts = assemble.facts(claims, nodes, by=self._query.by, is_gpu=self._query.is_gpu)
        return replace(
            self._latest,
            groups=facts.groups,
            nodes=facts.nodes,
            gpus=facts.gpus,
            quotas=quotas(limits),
            notes=facts.notes,
        )

    def _follow(
        self,
        resource: Resource[Any],
        into: dict[str, Any],
        made: Callable[[Any], Any],
        **scope: Any,
    ) -> None:
        listing = self._client.list(resource, **scope)
        self._keep(into, made, listing.items)
        watch = self._client.watch(
            resource, resource_version=listing.resource_version, known=listing.items, **scope
        )
        self._watches.append(watch)
        thread = threading.Thread(
            target=self._run, args=(watch, into, made), daemon=True, name=resource.plural
        )
        thread.start()

    def _keep(self, into: dict[str, Any], made: Callable[[Any], Any], items: Iterable[Any]) -> None:
        for item in items:
            found = made(item)
            with self._lock:
                self._put(into, item.metadata.uid, found)

    def _put(self, into: dict[str, Any], uid: str, found: Any) -> None:
        if found is None:
            into.pop(uid, None)
        else:
            into[uid] = found
        self._changes += 1

    def _run(self, watch: Watch[Any], into: dict[str, Any], made: Callable[[Any], Any]) -> None:
        try:
            for change in watch:
                found = None if change.type == "DELETED" else made(change.object)
                with self._lock:
                    if found is None and change.type == "DELETED":
                        self._settling.pop(change.object.metadata.uid, None)
                    self._put(into, change.object.metadata.uid, found)
        except ForbiddenError as error:
            if into is not self._quotas:
                self._error = error
        except JobmanError as error:
            self._error = error
