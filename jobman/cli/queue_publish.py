"""`jobman queue publish`: the queue, for users who may not read the whole cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli.command import app_context
from jobman.errors import UsageError
from jobman.values.duration import parse_duration

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.queue.publish import Place

SHORTEST_S = 1.0
LEASE_S = 30
"""Seconds that a lease lasts beyond three rounds: for the reading."""


def publish(
    ctx: typer.Context,
    every: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Again and again, like 30s; once unless given."),
    ] = None,
    configmap: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The ConfigMap; else jobsQueue.configmap, else jobman-queue."
        ),
    ] = None,
    names: Annotated[
        bool,
        typer.Option("--names", help="Also who runs what, in the earlier tool's form."),
    ] = False,
    names_configmap: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The ConfigMap of --names; else NAME-names."),
    ] = None,
) -> None:
    """Publish the queue in a ConfigMap, for users who may not read the whole cluster.

    It needs to list pods, nodes and Jobs of the cluster: see `jobman admin manifests`. The
    namespace is that of -n, else jobsQueue.namespace, else the current one.
    """
    app = app_context(ctx)
    every_s = every_seconds(every)
    place = _place(app, configmap, names_configmap, names=names)
    from jobman.cli.queue import gpu_rule
    from jobman.queue.lease import WriterLease
    from jobman.queue.publish import Publisher, told

    label = app.settings.values.job.resources.label
    publisher = Publisher(app.client, place, is_gpu=gpu_rule(app), label=label, now=app.now)
    duration_s = int(3 * (every_s or 0)) + LEASE_S
    lease = WriterLease(app.client, place.lease, place.namespace, duration_s=duration_s)
    if every_s is None:
        app.say(told(publisher.once(lease)))
        return
    with _until_told() as stop:
        publisher.forever(lease, every_s=every_s, stop=stop, say=app.say)


def every_seconds(text: str | None) -> float | None:
    """How often; None: once. Raises UsageError."""
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--every: {error}") from None
    if seconds < SHORTEST_S:
        raise UsageError(f"--every: {text} is too often; at least 1s")
    return seconds


def _place(
    app: AppContext, configmap: str | None, names_configmap: str | None, *, names: bool
) -> Place:
    from jobman.queue.publish import DEFAULT_CONFIGMAP, Place

    settings = app.settings.values.jobs_queue
    if names_configmap and not names:
        raise UsageError("--names-configmap goes with --names")
    name = configmap or settings.configmap or DEFAULT_CONFIGMAP
    with_names = names_configmap or f"{name}-names"
    if names and with_names == name:
        raise UsageError(f"--names-configmap: {name} is taken by jobman's own form")
    return Place(
        namespace=app.options.namespace or settings.namespace or app.client.namespace,
        configmap=name,
        names_configmap=with_names if names else None,
    )


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that the lease is given back."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
