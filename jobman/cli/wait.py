"""`jobman wait`: until jobs have started, finished or succeeded."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import each, map_one
from jobman.cli.command import app_context, command
from jobman.cli.named import Named
from jobman.cli.options import seconds_of, takes
from jobman.errors import JobmanError
from jobman.values.enums import Goal, State
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.each import Chosen
    from jobman.jobs.state import JobView
    from jobman.jobs.wait_many import Waiting
    from jobman.kube.objects import Job


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "wait")(takes(Named)(wait))


def wait(
    ctx: typer.Context,
    options: Named,
    goal: Annotated[
        Goal, typer.Option("--for", help="Until it runs, is over, or is over and well.")
    ] = Goal.FINISHED,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Give up after this (90s, 2h30m); the jobs go on."),
    ] = None,
    any_one: Annotated[
        bool, typer.Option("--any", help="Until one of them is there, not all.")
    ] = False,
) -> None:
    """Wait for jobs; of one job, end with its exit code, of several with 0 if all succeeded.

    The name of each that got there goes to stdout.
    """
    app = app_context(ctx)
    timeout_s = None if timeout is None else seconds_of("--timeout", timeout)
    found = each.chosen(app, options.asked(), "wait", runs=True)
    for problem in found.missing:
        app.say(f"error: {problem.message}")
    code = _any(app, found, goal, timeout_s) if any_one else _all(app, found, goal, timeout_s)
    if found.missing and not (any_one and code == 0):
        raise JobmanError(f"{len(found.missing)} of the words named no job")
    raise typer.Exit(code)


def _all(app: AppContext, found: Chosen, goal: Goal, timeout_s: float | None) -> int:
    """Wait for the jobs, then for one run after the other; the exit code."""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    codes = []
    if found.jobs:
        waiting = _waited(app, found.jobs, goal, False, timeout_s)
        codes.append(_code(waiting, found.jobs, goal, False))
    for run in found.runs:
        left_s = None if end is None else max(end - time.monotonic(), 0)
        codes.append(map_one.wait(app, run, goal, left_s)[1])
    return codes[0] if len(codes) == 1 else int(any(codes))


def _any(app: AppContext, found: Chosen, goal: Goal, timeout_s: float | None) -> int:
    """Wait for all at the same time; the exit code of the first that gets there, else 1."""
    from jobman.jobs.wait_many import reached
    from jobman.kube.beside import as_they_come

    def jobs() -> tuple[bool, int]:
        waiting = _waited(app, found.jobs, goal, True, timeout_s)
        there = any(reached(view, goal) for view in waiting.views.values())
        return there, _code(waiting, found.jobs, goal, True)

    waits: list[Callable[[], tuple[bool, int]]] = [jobs] if found.jobs else []
    waits += [partial(map_one.wait, app, run, goal, timeout_s) for run in found.runs]
    codes = []
    for there, code in as_they_come(waits):
        if there:
            return code
        codes.append(code)
    return codes[0] if len(codes) == 1 else 1


def _waited(
    app: AppContext, jobs: list[Job], goal: Goal, any_one: bool, timeout_s: float | None
) -> Waiting:
    from jobman.jobs.find import owner, selector_of
    from jobman.jobs.live import LiveJobs
    from jobman.jobs.wait_many import Waiting, reached

    def tell(job: Job, view: JobView | None) -> None:
        name = visible(job.metadata.name)
        if reached(view, goal):
            app.write(name)
            app.out.flush()
        if view is None:
            app.say(f"job {name}: it was deleted before it had {goal}")
        elif view.state is not State.SUCCEEDED and not (
            goal is Goal.STARTED and reached(view, goal)
        ):
            from jobman.cli.render.status_line import describe

            app.say(f"job {name}: {describe(view)}")

    mine = all(owner(job) == app.user for job in jobs)
    live = LiveJobs(app.client, selector=selector_of(app.user) if mine else None)
    with live:
        waiting = Waiting(live, jobs, goal, now=app.now)
        waiting.until(any_one=any_one, timeout_s=timeout_s, on_through=tell)
    return waiting


def _code(waiting: Waiting, jobs: list[Job], goal: Goal, any_one: bool) -> int:
    """Of one job, or of the first of any, its own exit code; of several 0 or 1."""
    from jobman.jobs.wait_many import reached

    views = [waiting.views.get(job.metadata.uid) for job in jobs]
    if any_one:
        there = [view for view in views if reached(view, goal)]
        views = there[:1] or views
    codes = [_own_code(view, goal) for view in views]
    return codes[0] if len(codes) == 1 else int(any(codes))


def _own_code(view: JobView | None, goal: Goal) -> int:
    from jobman.jobs.wait_many import reached

    if view is None:
        return 1
    if view.state is State.SUCCEEDED or (goal is Goal.STARTED and reached(view, goal)):
        return 0
    # how its process ended tells nothing of a job that was stopped on purpose
    return 1 if view.state is State.CANCELLED else view.exit_code or 1
