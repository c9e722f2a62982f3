"""A run of `jobman map` in `details`, `logs` and `wait`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobman.cli.each import listed
from jobman.cli.looking import Block
from jobman.errors import JobmanError, NotFoundError, UsageError
from jobman.values.enums import Goal, State
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.log_reading import Reading
    from jobman.kube.objects import Job, Pod
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


def logs(reading: Reading, run: Presence) -> list[str]:
    """Read the logs of the items' pods that are on the cluster, in the order of the items.

    What is not whole. Raises NotFoundError, when the others are read, for items without a pod.
    """
    from jobman.map.presence import with_index

    excerpt = reading.excerpt
    found = with_index(run, excerpt.indexes)
    _check_container(found, excerpt.container)
    problems = _followed(reading, run, found) if excerpt.follow else _copied(reading, run, found)
    missing = sorted((excerpt.indexes or frozenset()) - {index for index, _ in found})
    if not missing and found:
        return problems
    for problem in problems:
        reading.app.say(f"error: {problem}")
    which = f"item {listed([str(index) for index in missing])}" if missing else "no item"
    verb = "has no pod" if missing else "has a pod"
    where = run.record.logs if run.record else "--log-dir of jobman map, ./JOBMAN by default"
    raise NotFoundError(
        f"{which} of {run.name} {verb} on the cluster",
        hint=f"what has ended has its log in the log directory of the run ({where})",
    )


def _check_container(found: Sequence[tuple[int, Pod]], name: str | None) -> None:
    from jobman.jobs import containers

    for _, pod in found:
        if name is not None and name not in (names := containers.names(pod)):
            raise UsageError(
                f"pod {pod.metadata.name} has no container '{visible(name, limit=80)}'",
                hint=f"it has: {', '.join(names)}",
            )


def _known(index: int) -> int | None:
    """A pod that does not say which its item is has -1."""
    return None if index < 0 else index


def _copied(reading: Reading, run: Presence, found: Sequence[tuple[int, Pod]]) -> list[str]:
    from msgspec.structs import replace

    views = {pod.metadata.uid: view for pod, view in run.pods}
    pods = [(pod, replace(views[pod.metadata.uid], index=_known(index))) for index, pod in found]
    any_log, problems = reading.copied(pods)
    if found and not any_log and not problems:
        if reading.excerpt.previous:
            raise JobmanError(f"{run.name} has no log of an earlier run")
        states = listed([f"{pod.metadata.name} is {view.state}" for pod, view in pods])
        hint = f"jobman logs -f {run.name} waits for those that have not ended"
        raise JobmanError(f"{run.name} has no log yet: {states}", hint=hint)
    return problems


def _followed(reading: Reading, run: Presence, found: Sequence[tuple[int, Pod]]) -> list[str]:
    from jobman.jobs.observe_pods import PodsObservation
    from jobman.map.pods import selector

    indexes = {pod.metadata.uid: _known(index) for index, pod in found}
    now = PodsObservation(reading.app.client, run.namespace, selector(run.run), indexes)
    read, problems = reading.followed(now, run.name)
    left = [pod.metadata.name for _, pod in found if pod.metadata.name not in read]
    for name in left:
        view = now.pod(name)
        problems.append(f"pod {name} has no log: it {f'is {view.state}' if view else 'is gone'}")
    return problems


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
