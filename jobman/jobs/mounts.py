"""Pods that stay in ContainerCreating: only events say that a volume or a sandbox fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from jobman.errors import ForbiddenError
from jobman.jobs.pods import MOUNT_REASONS, PATIENCE_S, PROGRESS_REASONS
from jobman.kube.beside import beside
from jobman.kube.client import Client
from jobman.kube.objects import Event
from jobman.kube.resources import EVENTS
from jobman.values.enums import State

_COMMON = (
    *("Scheduled", "Pulled", "Created", "Started", "Killing"),
    *("SuccessfulCreate", "SuccessfulDelete", "Completed"),
    *("FailedScheduling", "BackOff", "Unhealthy"),
)
TELLING = ",".join(f"reason!={reason}" for reason in _COMMON)
"""The field selector, which knows no "or", of events that may say how pods come along."""

_PATIENCE = timedelta(seconds=PATIENCE_S)

Failures = Mapping[tuple[str, str], Sequence[Event]]
"""Events about pods by namespace and name."""


def may_hide_trouble(state: State, since: datetime | None, now: datetime) -> bool:
    """Whether events are to be asked for: the pod has been starting for long."""
    return state is State.STARTING and since is not None and now - since >= _PATIENCE


def by_pod(events: Iterable[Event]) -> Failures:
    """Those of the events that say whether a pod is made ready."""
    found: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        about = event.involved_object
        if about.kind == "Pod" and event.reason in MOUNT_REASONS | PROGRESS_REASONS:
            found[about.namespace, about.name].append(event)
    return found


def failures(client: Client, namespace: str | None) -> Failures:
    """What the kubelets say of pods, `namespace` None: of all; nothing where I may not know it.

    Only where something failed is it asked which pods got further since.
    """
    with suppress(ForbiddenError):
        failed = _events(client, namespace, MOUNT_REASONS)
        troubled = by_pod(failed).keys()
        if troubled:
            since = by_pod([*failed, *_events(client, namespace, PROGRESS_REASONS)])
            return {pod: since[pod] for pod in troubled}
    return {}


def _events(client: Client, namespace: str | None, reasons: Iterable[str]) -> list[Event]:
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
        for reason in sorted(reasons)
    ]
    return [event for answer in asked for event in answer().items]
