"""The runs of a namespace, or of all, kept up to date by two watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from types import TracebackType
from typing import Any

from jobman.errors import ForbiddenError, JobmanError
from jobman.jobs.listing import ListQuery
from jobman.kube.client import Client
from jobman.kube.objects import Lease, Pod
from jobman.kube.resources import LEASES, PODS
from jobman.kube.watch import Watch
from jobman.map import among
from jobman.map.among import Runs

Key = tuple[str, str]


class LiveRuns:
    """Used in a `with`; `changed` is called, from another thread, after each change.

    Where leases may not be read, the pods alone tell of the runs.
    """

    def __init__(self, client: Client, query: ListQuery, changed: Callable[[], None]) -> None:
        self._client = client
        self._query = query
        self._changed = changed
        self._pods: dict[Key, Pod] = {}
        self._leases: dict[Key, Lease] = {}
        self._error: JobmanError | None = None
        self._turn = threading.Lock()
        self._watches = ExitStack()

    def __enter__(self) -> LiveRuns:
        with suppress(ForbiddenError):
            self._begin(LEASES, among.leases_of(self._query), self._leases)
        self._begin(PODS, among.pods_of(self._query), self._pods)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watches.close()

    def at(self, now: datetime) -> Runs:
        """The runs at this moment; raises what ended a watch."""
        with self._turn:
            error = self._error
            pods, leases = list(self._pods.values()), list(self._leases.values())
        if error is not None:
            raise error
        return among.of(pods, leases, now=now)

    def _begin(self, resource: Any, where: dict[str, Any], known: dict[Key, Any]) -> None:
        found = self._client.list(resource, **where)
        known.update({_key(thing): thing for thing in found.items})
        watch = self._client.watch(
            resource, resource_version=found.resource_version, known=found.items, **where
        )
        self._watches.enter_context(watch)
        read = threading.Thread(target=self._read, args=(watch, known), daemon=True, name="watch")
        read.start()

    def _read(self, watch: Watch[Any], known: dict[Key, Any]) -> None:
        try:
            for change in watch:
                with self._turn:
                    if change.type == "DELETED":
                        known.pop(_key(change.object), None)
                    else:
                        known[_key(change.object)] = change.object
                self._changed()
        except JobmanError as error:
            with self._turn:
                self._error = error
            self._changed()


def _key(thing: Pod | Lease) -> Key:
    return thing.metadata.namespace, thing.metadata.name
