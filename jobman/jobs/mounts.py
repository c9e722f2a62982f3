"""Pods that stay in ContainerCreating: only events say that a volume or a sandbox fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from jobman.errors import ForbiddenError
from jobman.jobs.pods import MOUNT_REASONS, PATIENCE_S
from jobman.kube.beside import beside
from jobman.kube.client import Client
from jobman.kube.objects import Event
from jobman.kube.resources import EVENTS
from jobman.values.enums import State

Failures = Mapping[tuple[str, str], Sequence[Event]]
"""Events about pods by namespace and name."""


def may_hide_trouble(state: State, since: datetime | None, now: datetime) -> bool:
    """Whether events are to be asked for: the pod has been starting for long."""
    patience = timedelta(seconds=PATIENCE_S)
    return state is State.STARTING and since is not None and now - since >= patience


def by_pod(events: Iterable[Event]) -> Failures:
    """Those of the events that say why a pod is not made ready."""
    found: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        about = event.involved_object
        if about.kind == "Pod" and event.reason in MOUNT_REASONS:
            found[about.namespace, about.name].append(event)
    return found


def failures(client: Client, namespace: str | None) -> Failures:
    """What the kubelets say of pods, `namespace` None: of all; nothing where I may not know it."""
    asked = [
        beside(
            partial(
                client.list,
                EVENTS,
                namespace=namespace,
                all_namespaces=namespace is None,
                fields=f"reason={reason},involvedObject.kind=Pod",
            )
        )
        for reason in sorted(MOUNT_REASONS)
    ]
    with suppress(ForbiddenError):
        return by_pod(event for answer in asked for event in answer().items)
    return {}
