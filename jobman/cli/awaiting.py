"""Waiting for submitted jobs, and leaving them to themselves."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import typer

from jobman.cli.boundary import INTERRUPTED
from jobman.errors import JobmanError, NotFoundError, WaitTimeoutError
from jobman.values.enums import State

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.state import JobView

WAYS_SHOWN = 3


class Submitted(NamedTuple):
    """A job on the cluster."""

    name: str
    namespace: str


def wait(app: AppContext, jobs: Sequence[Submitted], timeout_s: float | None) -> int:
    """Wait for the end of all; the exit code: of one job its own, of several 0 or 1."""
    from jobman.cli.waiting_line import WaitingLine
    from jobman.jobs.wait import until

    began = time.monotonic()
    codes: list[int] = []
    for job in jobs:
        with _going_on(app, job), WaitingLine(app, job.name, job.namespace) as line:
            view = until(
                app.client,
                job.name,
                job.namespace,
                goal="finished",
                timeout_s=timeout_s,
                since=began,
                on_state=line.show,
            )
        codes.append(outcome(app, job, view))
    return codes[0] if len(codes) == 1 else int(any(codes))


def follow(app: AppContext, job: Submitted, timeout_s: float | None) -> int:
    """Print the job's log as it comes; the job's exit code."""
    from jobman.cli.render.forms import binary
    from jobman.cli.waiting_line import WaitingLine
    from jobman.jobs.wait import follow as follow_log

    lacks: list[str] = []
    with _going_on(app, job), WaitingLine(app, job.name, job.namespace) as line:
        view = follow_log(
            app.client,
            job.name,
            job.namespace,
            out=binary(app),
            on_state=line.show,
            on_incomplete=lambda _, why: lacks.append(why),
            timeout_s=timeout_s,
        )
    for why in lacks:
        app.warn(why)
    return outcome(app, job, view) or int(bool(lacks))


def outcome(app: AppContext, job: Submitted, view: JobView) -> int:
    """The exit code of a job that is over or stuck; what went wrong is said."""
    from jobman.cli.render.status_line import describe

    if view.state is State.SUCCEEDED:
        return 0
    app.say(f"job {job.name}: {describe(view)}")
    if view.state is State.STUCK:
        app.say(f"hint: it cannot start by itself; {again(app, 'details', job)} tells more")
        return 1
    # how its process ended tells nothing of a job that was stopped on purpose
    return 1 if view.state is State.CANCELLED else view.exit_code or 1


def again(app: AppContext, command: str, job: Submitted) -> str:
    """The command line that finds the job again."""
    options = app.options
    words = ["jobman", *command.split(), job.name]
    if options.settings is not None:
        words += ["-s", str(options.settings)]
    if options.context is not None:
        words += ["--context", options.context]
    if options.local:
        words.append("--local")
    if options.namespace is not None or job.namespace != app.client.namespace:
        words += ["-n", job.namespace]
    return shlex.join(words)


@contextmanager
def interruptible(app: AppContext, jobs: Sequence[Submitted]) -> Iterator[None]:
    """Ctrl-C ends what is inside, not the jobs that `jobs` holds by then; the way back is told.

    A second Ctrl-C ends jobman at once.
    """
    try:
        yield
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if not jobs:
            raise
        goes = "the job goes on" if len(jobs) == 1 else "the jobs go on"
        app.say(f"interrupted; {goes}. Come back with: {_ways_back(app, jobs)}")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _going_on(app: AppContext, job: Submitted) -> Iterator[None]:
    """Whatever else ends the waiting early, the error tells where the job is found."""
    try:
        yield
    except NotFoundError:
        raise
    except WaitTimeoutError as error:
        error.hint = error.hint or f"come back with: {again(app, 'logs -f', job)}"
        raise
    except JobmanError as error:
        error.hint = error.hint or f"look with: {again(app, 'details', job)}"
        raise


def _ways_back(app: AppContext, jobs: Sequence[Submitted]) -> str:
    ways = [again(app, "logs -f", job) for job in jobs[:WAYS_SHOWN]]
    return "; ".join([*ways, "…"] if len(jobs) > WAYS_SHOWN else ways)
