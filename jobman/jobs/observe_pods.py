"""Some pods that no Job owns, as they change until they are over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from jobman.jobs import pods as pod_views
from jobman.jobs.inbox import Act, Inbox
from jobman.jobs.pods import PodView
from jobman.kube.client import Client
from jobman.kube.objects import Pod
from jobman.kube.resources import PODS


class PodsObservation:
    """Those of the selected pods whose uid is among `indexes`, with the index that it has there."""

    def __init__(
        self, client: Client, namespace: str, selector: str, indexes: Mapping[str, int | None]
    ):
        self._scope: dict[str, Any] = {"namespace": namespace, "labels": selector}
        self._indexes = indexes
        self._client = client
        self._inbox = Inbox()
        self._first = client.list(PODS, **self._scope)
        self.pods: dict[str, Pod] = {}
        for pod in self._first.items:
            self._take("ADDED", pod)

    def views(self) -> list[PodView]:
        """What the pods that are there do at this moment, in the order of their indexes."""
        found = [view for name in self.pods if (view := self.pod(name))]
        return sorted(found, key=lambda view: (view.index or 0, view.name))

    def pod(self, name: str) -> PodView | None:
        """The pod's state at this moment; None once it is gone."""
        found = self.pods.get(name)
        if found is None:
            return None
        view = pod_views.view(found, now=datetime.now(UTC))
        return replace(view, index=self._indexes[found.metadata.uid])

    def post(self, act: Act) -> None:
        """Have `act` run in the thread that receives."""
        self._inbox.post(act)

    def receive(self, patience_s: float) -> None:
        """Wait for a change, `patience_s` at most, and take in all that have come."""
        self._inbox.receive(patience_s)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the pods while inside."""
        version, known = self._first.resource_version, self._first.items
        watch = self._client.watch(PODS, **self._scope, resource_version=version, known=known)
        try:
            self._inbox.read(watch, self._take)
            yield
        finally:
            self._inbox.close()

    def _take(self, change: str, pod: Pod) -> None:
        if pod.metadata.uid not in self._indexes:
            return
        if change == "DELETED":
            self.pods.pop(pod.metadata.name, None)
        else:
            self.pods[pod.metadata.name] = pod
