"""One job as text to read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from jobman.cli.render.jobs import age
from jobman.cli.render.table import Column, plain_lines
from jobman.values.duration import format_age, format_rfc3339
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.jobs.pods import PodView
    from jobman.jobs.state import JobView
    from jobman.jobs.whole import WholeJob
    from jobman.kube.objects import Container, Event, Job

LAST_EVENTS = 10
FIRST_PODS = 50
TEXT_LIMIT = 4000
MESSAGE_LIMIT = 400
LABEL_WIDTH = 12


def lines(
    found: WholeJob, now: datetime, *, embedded: bool = False, why: str | None = None
) -> Iterator[str]:
    """The lines of `jobman details`; foreign text has its control characters made visible.

    `why` is one sentence on why the job waits or failed.
    """
    from jobman.jobs import state

    job, events = found.typed_job, found.typed_events
    view = state.of(job, found.typed_pods, events, now=now)
    for label, value in _facts(job, view, now, embedded, why):
        if value:
            yield f"{label + ':':<{LABEL_WIDTH}} {_indented(value)}"
    yield from _pods(view, now)
    yield from _conditions(job, now)
    yield from _events(events, now)


def _indented(value: str) -> str:
    shown = visible(value, newlines=True, limit=TEXT_LIMIT)
    return shown.replace("\n", "\n" + " " * (LABEL_WIDTH + 1))


def _facts(
    job: Job, view: JobView, now: datetime, embedded: bool, why: str | None
) -> Iterator[tuple[str, str | None]]:
    from jobman.jobs import find
    from jobman.kube import labels

    meta, spec = job.metadata, job.spec.template.spec
    yield "Name", meta.name
    yield "Namespace", meta.namespace
    yield "User", find.owner(job) or "- (not made by jobman)"
    yield "State", f"{view.state}: {view.reason}" if view.reason else view.state.value
    yield "Message", view.message
    yield "Why", why
    yield "Exit code", None if view.exit_code is None else str(view.exit_code)
    yield "Flavor", meta.labels.get(labels.FLAVOR)
    for container in spec.containers:
        mark = f" ({container.name})" if len(spec.containers) > 1 else ""
        yield "Image" + mark, container.image + (NOT_PULLED if embedded else "")
        yield "Command" + mark, command_line(container)
        yield "Workdir" + mark, container.working_dir
        yield "Resources" + mark, _resources(container)
    yield "Retry of", meta.annotations.get(labels.RETRY_OF)
    yield "Completions", _completions(job, view)
    yield "Node", view.node
    yield "Submitted", _moment(find.submitted_at(job), now)
    yield "Started", _moment(view.started_at, now)
    yield "Finished", _moment(view.finished_at, now)
    yield "Duration", _duration(view, now)


NOT_PULLED = " (not pulled: the embedded cluster runs the words on this machine)"


def command_line(container: Container) -> str:
    """The words as a shell would take them, with Kubernetes' `$$` as the `$` it stands for."""
    words = [*container.command, *container.args]
    return shlex.join(word.replace("$$", "$") for word in words)


def _resources(container: Container) -> str:
    requests, limits = container.resources.requests, container.resources.limits
    if not limits or limits == requests:
        return _quantities(requests)
    return "; limits ".join(filter(None, (_quantities(requests), _quantities(limits))))


def _quantities(quantities: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {amount}" for name, amount in quantities.items())


def _completions(job: Job, view: JobView) -> str | None:
    if not view.many:
        return None
    at_once = job.spec.parallelism or 1
    counts = f"{view.succeeded} of {view.completions} done, {view.failed} failed"
    return f"{counts}, {view.active} active, {at_once} at once"


def _moment(moment: datetime | None, now: datetime) -> str | None:
    return None if moment is None else f"{format_rfc3339(moment)} ({age(moment, now)} ago)"


def _duration(view: JobView, now: datetime) -> str | None:
    from jobman.jobs.listing import duration_s

    span_s = duration_s(view, now)
    return None if span_s is None else format_age(span_s)


def _section(title: str, columns: list[Column], rows: list[list[str]]) -> Iterator[str]:
    if rows:
        yield ""
        yield f"{title}:"
        shown = [[visible(cell, limit=MESSAGE_LIMIT) for cell in row] for row in rows]
        yield from (f"  {line}" for line in plain_lines(columns, shown))


def _pods(view: JobView, now: datetime) -> Iterator[str]:
    titles = ("NAME", "STATE", "REASON", "EXIT", "RESTARTS", "NODE", "AGE")
    rows = [_pod(pod, now) for pod in view.pods[:FIRST_PODS]]
    left_out = len(view.pods) - len(rows)
    title = f"Pods (the first {FIRST_PODS} of {len(view.pods)})" if left_out else "Pods"
    yield from _section(title, [Column(title) for title in titles], rows)


def _pod(pod: PodView, now: datetime) -> list[str]:
    return [
        pod.name,
        f"{pod.state} (leaving)" if pod.leaving else pod.state.value,
        pod.reason or "-",
        "-" if pod.exit_code is None else str(pod.exit_code),
        str(pod.restarts),
        pod.node or "-",
        age(pod.created_at, now),
    ]


def _conditions(job: Job, now: datetime) -> Iterator[str]:
    titles = ("TYPE", "STATUS", "REASON", "AGE", "MESSAGE")
    rows = [
        [c.type, c.status, c.reason or "-", age(c.last_transition_time, now), c.message]
        for c in job.status.conditions
    ]
    yield from _section("Conditions", [Column(title) for title in titles], rows)


def _events(events: list[Event], now: datetime) -> Iterator[str]:
    titles = ("AGE", "TYPE", "REASON", "FROM", "MESSAGE")
    rows = [_event(event, now) for event in events[-LAST_EVENTS:]]
    left_out = len(events) - len(rows)
    title = f"Events (the last {len(rows)} of {len(events)})" if left_out else "Events"
    yield from _section(title, [Column(title) for title in titles], rows)


def _event(event: Event, now: datetime) -> list[str]:
    times = f" (x{event.times})" if event.times > 1 else ""
    return [
        age(event.last_seen, now) + times,
        event.type,
        event.reason,
        event.reporter or "-",
        " ".join(event.message[: 2 * MESSAGE_LIMIT].split()),
    ]
