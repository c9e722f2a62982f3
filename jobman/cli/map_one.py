"""A run of `jobman map` in `details`, `logs` and `wait`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobman.cli.each import listed
from jobman.cli.looking import Block
from jobman.errors import JobmanError, NotFoundError
from jobman.values.enums import Goal, State
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.log_options import Excerpt
    from jobman.kube.objects import Job
    from jobman.map.presence import Presence
    from jobman.map.record import Record


def carries_run(job: Job) -> bool:
    """Whether the Job carries out a run inside the cluster."""
    from jobman.map.detached import MAP

    return MAP in job.metadata.labels


def details(app: AppContext, run: Presence) -> Block:
    """What there is of the run; as a document its pods and its lease whole."""
    return Block(lambda: _document(app, run), lambda: _lines(run))


def _lines(run: Presence) -> Iterator[str]:
    facts = [(f"{label}:", value) for label, value in _facts(run)]
    width = max(len(label) for label, _ in facts)
    for label, value in facts:
        yield f"{label:<{width}} {visible(value)}"


def _document(app: AppContext, run: Presence) -> dict[str, object]:
    from jobman.kube.resources import LEASES, PODS
    from jobman.map.pods import selector

    lease = run.lease and app.client.get_raw(LEASES, run.lease.metadata.name)
    pods = app.client.list_raw(PODS, labels=selector(run.run))
    return {"run": run.run, "state": run.state, "lease": lease, "pods": pods}


def _facts(run: Presence) -> Iterator[tuple[str, str]]:
    yield "Name", run.name
    yield "Namespace", run.namespace
    yield "User", run.user or "-"
    yield "State", run.state
    yield "Runner", _runner(run)
    if known := run.record:
        yield "Items", f"{known.items}: {counted(known)}"
        yield "Logs", known.logs
    yield "Pods", str(len(run.pods))
    for state, count in sorted(run.by_state.items()):
        names = [view.name for _, view in run.pods if view.state is state]
        yield f"  {state}", f"{count}: {listed(names)}"


def counted(known: Record) -> str:
    """How many items have come to which end."""
    parts = [f"{known.succeeded} succeeded", f"{known.failed} failed", f"{known.left} not done"]
    return ", ".join(part for part in parts if not part.startswith("0 ")) or "none done"


def _runner(run: Presence) -> str:
    from jobman.map.lease import Holder

    if run.lease is None or not run.lease.spec.holder_identity:
        if not run.waits_for_a_runner:
            return "none"
        return "none; the same jobman map with its log directory takes the run up"
    place = Holder.of_text(run.lease.spec.holder_identity or "").place
    return place if run.living else f"none; the last one was {place}"


def logs(app: AppContext, run: Presence, excerpt: Excerpt) -> None:
    """Write the logs of the items' pods that are on the cluster, in the order of the items."""
    from jobman.map.presence import with_index

    found = with_index(run, excerpt.indexes)
    missing = sorted((excerpt.indexes or frozenset()) - {index for index, _ in found})
    problems: list[JobmanError] = []
    for _, pod in found:
        try:
            _copy(app, pod.metadata.name, excerpt)
        except JobmanError as error:
            problems.append(error)
    if missing or not found:
        which = f"item {listed([str(index) for index in missing])}" if missing else "no item"
        verb = "has no pod" if missing else "has a pod"
        where = run.record.logs if run.record else "--log-dir of jobman map, ./JOBMAN by default"
        problems.append(
            NotFoundError(
                f"{which} of {run.name} {verb} on the cluster",
                hint=f"what has ended has its log in the log directory of the run ({where})",
            )
        )
    for problem in problems[1:]:
        app.say(f"error: {visible(problem.message, newlines=True)}")
    if problems:
        raise problems[0]


def _copy(app: AppContext, pod: str, excerpt: Excerpt) -> None:
    with app.client.log(
        pod,
        container=excerpt.container,
        follow=excerpt.follow,
        tail=excerpt.tail,
        since_s=excerpt.since_s,
        timestamps=excerpt.timestamps,
        previous=excerpt.previous,
    ) as stream:
        for chunk in stream:
            app.out.buffer.write(chunk)
            app.out.flush()


def wait(app: AppContext, run: Presence, goal: Goal, timeout_s: float | None) -> tuple[bool, int]:
    """Wait until the run has started, or nobody carries it out any more.

    Whether it got where it was to get, and the exit code: 0 if it has started, or if all its
    items have succeeded.
    """
    if goal is Goal.STARTED:
        return _wait_for_start(app, run, timeout_s)
    from jobman.map.waiting import until_over

    over = until_over(app.client, run, now=app.now, timeout_s=timeout_s)
    succeeded = over.state is State.SUCCEEDED and not over.waits_for_a_runner
    reached = succeeded or (over.state.finished and goal is Goal.FINISHED)
    if reached:
        _tell(app, run.name)
    if not succeeded:
        _say(app, over)
    return reached, int(not succeeded)


def _wait_for_start(app: AppContext, run: Presence, timeout_s: float | None) -> tuple[bool, int]:
    from jobman.map.waiting import has_started, until_started

    found = until_started(app.client, run, now=app.now, timeout_s=timeout_s)
    started = has_started(found)
    if started:
        _tell(app, run.name)
    else:
        _say(app, found)
    return started, int(not started)


def _tell(app: AppContext, name: str) -> None:
    app.write(name)
    app.out.flush()


def _say(app: AppContext, run: Presence) -> None:
    known = f": {counted(run.record)}" if run.record else ""
    app.say(f"{run.name}: {run.state}{known}")
