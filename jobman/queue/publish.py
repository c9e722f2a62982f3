"""Publishing the queue into ConfigMaps, for users who may not read the whole cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from msgspec import structs

from jobman.errors import (
    ApiNotFoundError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    JobmanError,
    UnavailableError,
    UnreachableError,
)
from jobman.kube.client import Client
from jobman.kube.labels import MANAGED_BY, MANAGED_BY_JOBMAN
from jobman.kube.resources import CONFIGMAPS
from jobman.queue import compact, published, sources
from jobman.queue.claims import Claim, IsGpu
from jobman.queue.group import counts_here
from jobman.queue.lease import WriterLease
from jobman.queue.snapshot import Snapshot
from jobman.queue.sources import Query

DEFAULT_CONFIGMAP = "jobman-queue"
MOST_BYTES = 1_000_000
"""Of jobman's own document: a ConfigMap may have 1 MiB in all."""
MOST_NAMES_BYTES = 900 * 1024

_PASSING = (UnreachableError, UnavailableError, ConflictError, ExpiredError)


class HeldError(JobmanError):
    """Another publisher is at work."""


@dataclass(frozen=True)
class Place:
    """Where to publish; `names_configmap` None: not in the earlier tool's form."""

    namespace: str
    configmap: str
    names_configmap: str | None = None

    @property
    def lease(self) -> str:
        """The name of the lease of its writer."""
        return f"{self.configmap}-writer"


@dataclass(frozen=True)
class Done:
    """What was written: bytes of each document, pods told of, jobs cut off the list of names."""

    size: int
    groups: int
    pods: int
    names_size: int = 0
    names_cut: int = 0


class Publisher:
    """Reads the queue and writes it to `place`."""

    def __init__(
        self,
        client: Client,
        place: Place,
        *,
        is_gpu: IsGpu,
        label: str | None,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._place = place
        self._now = now
        self._query = Query(
            user="",
            namespace=place.namespace,
            is_gpu=is_gpu,
            label=label,
            tolerations_final=client.connection.embedded,
        )

    def once(self, lease: WriterLease) -> Done:
        """Publish one time. Raises HeldError while another publisher lives."""
        self._take(lease)
        try:
            return self._publish(lease)
        finally:
            lease.release()

    def _take(self, lease: WriterLease) -> None:
        """Hold the lease, after waiting whether its holder still renews it."""
        if lease.hold():
            return
        other = lease.holder
        threading.Event().wait(lease.runs_out_in_s)
        if not lease.hold():
            raise HeldError(
                f"another publisher is at work: {lease.holder or other}",
                hint=f"it holds the Lease {self._place.namespace}/{lease.name}",
            )

    def forever(
        self,
        lease: WriterLease,
        *,
        every_s: float,
        stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        """Publish every `every_s` seconds until `stop`; what passes by itself is said and outlived.

        While another publisher holds the lease, this one stands by.
        """
        standing_by = False
        try:
            while not stop.is_set():
                try:
                    if lease.hold():
                        standing_by = False
                        say(told(self._publish(lease)))
                    elif not standing_by:
                        standing_by = True
                        say(f"standing by: {lease.holder} publishes")
                except _PASSING as error:
                    say(f"not published, trying again in {every_s:g}s: {error.message}")
                stop.wait(every_s)
        finally:
            lease.release()

    def _publish(self, lease: WriterLease) -> Done:
        claims: list[Claim] = []
        keep = claims.append if self._place.names_configmap else None
        now = self._now()
        snapshot = sources.read(
            self._client,
            structs.replace(self._query, publishing=True, on_claim=keep),
            now=now,
        )
        _check(snapshot)
        text = compact.document(
            snapshot.groups, snapshot.nodes, snapshot.notes, now=now, most_bytes=MOST_BYTES
        )
        done = Done(
            size=len(text.encode()),
            groups=len(snapshot.groups),
            pods=sum(group.counts.total for group in snapshot.groups),
        )
        if not lease.hold():
            raise ConflictError("another publisher took over while the queue was read", code=409)
        self._write(self._place.configmap, text)
        return self._with_names(done, claims, now)

    def _with_names(self, done: Done, claims: list[Claim], now: datetime) -> Done:
        name = self._place.names_configmap
        if name is None:
            return done
        active = filter(counts_here, claims)
        text, cut = published.names_document(active, now=now, most_bytes=MOST_NAMES_BYTES)
        self._write(name, text)
        return replace(done, names_size=len(text.encode()), names_cut=cut)

    def _write(self, name: str, text: str) -> None:
        """The ConfigMap with the document under its own name; other keys are left alone."""
        labels = {MANAGED_BY: MANAGED_BY_JOBMAN}
        change: dict[str, Any] = {"metadata": {"labels": labels}, "data": {name: text}}
        namespace = self._place.namespace
        try:
            self._client.patch(CONFIGMAPS, name, change, namespace=namespace)
        except ApiNotFoundError:
            manifest = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "labels": labels},
                "data": {name: text},
            }
            self._client.create(CONFIGMAPS, manifest, namespace=namespace)


def told(done: Done) -> str:
    """What was done, in one line."""
    line = f"published {done.pods} pods in {done.groups} groups, {done.size} bytes"
    if done.names_size:
        line += f"; names: {done.names_size} bytes"
    if done.names_cut:
        line += f", warning: the {done.names_cut} oldest jobs were cut off"
    return line


def _check(snapshot: Snapshot) -> None:
    """A publisher that sees a part would publish it as the whole."""
    if snapshot.of_whole_cluster:
        return
    lacking = [s.fact for s in snapshot.sources if s.origin != "cluster" and s.fact != "quotas"]
    raise ForbiddenError(
        f"publishing needs to list {', '.join(lacking)} of the whole cluster",
        code=403,
        hint="the rights for it: jobman admin manifests | kubectl apply -f -",
    )
