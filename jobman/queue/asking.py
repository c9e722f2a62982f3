"""The lists that a snapshot is made of, asked for before what reads the answers is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

import msgspec

from jobman.kube.beside import beside
from jobman.kube.bounds import ResourceQuota
from jobman.kube.client import Client
from jobman.kube.lists import Listing
from jobman.kube.objects import Node
from jobman.kube.resources import NODES, RESOURCEQUOTAS
from jobman.queue.active import ACTIVE_PODS, QUEUED_JOBS, STILL_ACTIVE, ActivePod, QueuedJob

T = TypeVar("T")


class Asking(msgspec.Struct, frozen=True):
    """Lists on their way: pods, Jobs and nodes of the whole cluster, quotas of my namespace.

    Each waits for its answer, or for its first page, and raises what came of it.
    """

    pods: Callable[[], Iterable[Listing[ActivePod]]]
    jobs: Callable[[], Iterable[Listing[QueuedJob]]]
    nodes: Callable[[], list[Node]]
    quotas: Callable[[], list[ResourceQuota]]


def begin(client: Client, *, jobs: bool = True, quotas: bool = True) -> Asking:
    """Ask for all of them; without `jobs` or `quotas` there are none of these."""
    return Asking(
        pods=beside(lambda: _begun(pod_pages(client, None))),
        jobs=beside(lambda: _begun(job_pages(client, None))) if jobs else list,
        nodes=beside(lambda: client.list(NODES).items),
        quotas=beside(lambda: client.list(RESOURCEQUOTAS).items) if quotas else list,
    )


def pod_pages(client: Client, namespace: str | None) -> Iterator[Listing[ActivePod]]:
    """The pods that have not ended; `namespace` None: of all."""
    return client.pages(
        ACTIVE_PODS,
        namespace=namespace,
        all_namespaces=namespace is None,
        fields=STILL_ACTIVE,
    )


def job_pages(client: Client, namespace: str | None) -> Iterator[Listing[QueuedJob]]:
    """The Jobs; `namespace` None: of all."""
    return client.pages(QUEUED_JOBS, namespace=namespace, all_namespaces=namespace is None)


def _begun(items: Iterator[T]) -> Iterator[T]:
    """The iterator with its first item fetched, so that a refusal is raised here."""
    for first in items:
        return chain([first], items)
    return iter(())
