"""`jobman hold` and `jobman release`: jobs that do not begin yet, or go on later."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import each
from jobman.cli.command import app_context, command
from jobman.cli.named import Changed
from jobman.cli.options import takes
from jobman.errors import JobmanError, UnfitError, UnreachableError
from jobman.values.enums import State

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.standing import Standing
    from jobman.kube.objects import Job


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "hold")(takes(Changed)(hold))
    command(app, "release")(takes(Changed)(release))


def hold(
    ctx: typer.Context,
    options: Changed,
    stop: Annotated[
        bool,
        typer.Option(
            "--stop", help="Also jobs that run: their logs are saved, then their pods are deleted."
        ),
    ] = False,
    save: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where --stop saves the logs, as POD.log; default: here."),
    ] = Path(),
) -> None:
    """Keep jobs from starting until they are released.

    Kubernetes deletes the pods of a job that is held, and their logs with them: a job that runs
    is refused unless --stop says so. When it is released it begins anew.
    """
    from jobman.jobs import standing

    app = app_context(ctx)
    asked = options.asked()
    found = each.chosen(app, asked, "hold")
    each.confirm(app, asked, found.jobs, "hold")
    client = app.client

    def act(job: Job) -> str:
        now = standing.read(client, job)
        name, state = job.metadata.name, now.view.state
        if state.finished or state is State.DELETING:
            raise UnfitError(f"job {name} is {state}: there is nothing to hold")
        if now.job.spec.suspend:
            return f"{name} is held already"
        return _held(app, now, save if stop else None)

    each.side_by_side(app, found, act, failed="held with all logs" if stop else "held")


def _held(app: AppContext, now: Standing, save: Path | None) -> str:
    from jobman.jobs import hold as holding

    name, running = now.job.metadata.name, now.started()
    if not running:
        holding.suspend(app.client, now.job)
        return f"{name} held"
    if save is None:
        pods = "its pod runs" if len(running) == 1 else f"{len(running)} of its pods run"
        raise JobmanError(
            f"job {name}: {pods}; holding it would delete them with their logs",
            hint="--stop saves the logs first; jobman cancel keeps pods and logs",
        )
    return _stopped(app, now, save)


def _stopped(app: AppContext, now: Standing, save: Path) -> str:
    """Stop it. Of its logs nothing is taken away once its pods may be gone."""
    from jobman.cli.render.log_sinks import Directory
    from jobman.jobs import hold as holding

    name = now.job.metadata.name
    target = Directory(save)
    with contextlib.ExitStack() as undo:
        undo.callback(target.discard)
        stopped = holding.stop(app.client, now, target.sink)
        undo.pop_all()
    saved = target.finish(stopped.lacking, not stopped.lacking)
    for file in saved.files:
        app.say(f"{name}: log saved as {file}")
    for file, why in saved.failed.items():
        app.say(f"{name}: {why}; what was read of it is in {file}")
    if stopped.doubt:
        raise UnreachableError(f"nobody knows whether job {name} is held: {stopped.doubt.message}")
    if stopped.lacking or saved.failed:
        raise JobmanError(f"job {name} is stopped and held, but its logs are incomplete")
    return f"{name} stopped and held"


def release(ctx: typer.Context, options: Changed) -> None:
    """Let held jobs start."""
    from jobman.jobs import hold as holding
    from jobman.jobs import standing
    from jobman.jobs.manifest import QUEUE_LABEL

    app = app_context(ctx)
    asked = options.asked()
    found = each.chosen(app, asked, "release")
    each.confirm(app, asked, found.jobs, "release")
    client = app.client

    def act(job: Job) -> str:
        now = standing.read(client, job)
        name, state = job.metadata.name, now.view.state
        if state.finished or state is State.DELETING:
            hint = f"jobman retry {name} submits it anew" if state.finished else None
            raise UnfitError(f"job {name} is {state}: it cannot go on", hint=hint)
        if not now.job.spec.suspend:
            return f"{name} is not held"
        if queue := now.job.metadata.labels.get(QUEUE_LABEL):
            raise JobmanError(f"job {name} waits in Kueue's queue {queue}, which releases it")
        holding.release(client, now.job)
        return f"{name} released"

    each.side_by_side(app, found, act, failed="released")
