"""`jobman map status`, `map logs`, `map cancel`: a run, whoever carries it out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import each
from jobman.cli.command import app_context, command
from jobman.cli.map_one import carries_run, counted
from jobman.errors import (
    ApiNotFoundError,
    JobmanError,
    NotFoundError,
    OwnershipError,
    UsageError,
)
from jobman.values.enums import Output
from jobman.values.names import LAST
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.kube.objects import Job
    from jobman.map.presence import Presence
    from jobman.map.status import RunStatus

_HOW_IT_ENDED = "its log directory tells how it ended: jobman map status DIR"
FORMS = (Output.TABLE, Output.JSON, Output.YAML)
_Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN|DIR", help="The run's id, its log directory, or LAST: mine begun last."
    ),
]


def register(family: typer.Typer) -> None:
    """Add the commands beneath `jobman map`."""
    command(family, "status", forms=FORMS)(status)
    command(family, "logs")(logs)
    command(family, "cancel")(cancel)


def status(ctx: typer.Context, run: _Run) -> None:
    """Show how a run stands: who carries it out, how far it is, and its pods.

    Of a log directory also where no cluster can be asked.
    """
    from jobman.cli.render import forms
    from jobman.map import status as standing

    app = app_context(ctx)
    if standing.is_directory(run):
        found, said = _of_directory(app, Path(run)), ""
    else:
        thing = _found(app, _id(app, run))
        found, said = _status(app, thing), _last_words(app, thing)
    match app.output():
        case Output.JSON:
            forms.write_json(app, found)
        case Output.YAML:
            forms.write_yaml(app, found)
        case _:
            for label, value in _facts(found, said):
                app.write(f"{label}: {visible(value)}")


def _of_directory(app: AppContext, directory: Path) -> RunStatus:
    from jobman.map import status as standing

    if not (directory / "run.json").exists():
        raise NotFoundError(f"{directory} holds no run: there is no run.json")
    disk = standing.of_directory(directory)
    app.options = app.options.overlaid({"namespace": disk.namespace})
    try:
        return standing.with_cluster(disk, _status(app, _found(app, disk.run)))
    except NotFoundError:
        return disk
    except JobmanError as error:
        app.warn(f"only the log directory is known: {visible(error.message)}")
        return disk


def _status(app: AppContext, thing: Job | Presence) -> RunStatus:
    from jobman.map import status as standing
    from jobman.map.presence import Presence

    if isinstance(thing, Presence):
        return standing.of_presence(thing)
    return standing.of_job(app.client, thing, now=app.now())


def _facts(found: RunStatus, said: str) -> Iterator[tuple[str, str]]:
    from jobman.map.record import Record

    yield "run", f"{found.run} in namespace {found.namespace}"
    yield "state", found.state
    yield "runner", found.runner or "none"
    if found.items is not None:
        known = Record(found.items, found.succeeded or 0, found.failed or 0)
        yield "items", f"{known.items}: {counted(known)}"
    yield "pods", ", ".join(f"{count} {phase}" for phase, count in found.pods.items()) or "none"
    if found.logs:
        yield "logs", found.logs
    if said:
        yield "said", said


def _last_words(app: AppContext, thing: Job | Presence) -> str:
    """The last line of the newest runner's log."""
    from jobman.map.presence import Presence
    from jobman.map.status import runners

    if isinstance(thing, Presence) or not (pods := runners(app.client, thing)):
        return ""
    try:
        with app.client.log(pods[-1].metadata.name, tail=1) as stream:
            line = b"".join(stream).decode("utf-8", "replace").strip()
    except JobmanError:
        return ""
    return visible(line, limit=300)


def logs(
    ctx: typer.Context,
    run: _Run,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until it ends.")] = False,
) -> None:
    """Print what a detached run's runner says; the items' logs are in the log directory."""
    from jobman.cli.log_options import Excerpt
    from jobman.cli.log_reading import Reading
    from jobman.cli.render import log_sinks
    from jobman.map.presence import Presence

    app = app_context(ctx)
    job = _found(app, _id(app, run))
    if isinstance(job, Presence):
        where = f": {job.record.logs}" if job.record else ""
        raise UsageError(
            f"the runner of {job.name} is no job of the cluster: it speaks to its own terminal",
            hint=f"the logs of its items are in its log directory{where}",
        )
    for problem in Reading(app, Excerpt(follow=follow), log_sinks.Stdout(app)).read([job]):
        raise problem


def cancel(ctx: typer.Context, run: _Run) -> None:
    """Stop a run: its runner, then the pods of its items; logs that are home stay."""
    from jobman.map import reach
    from jobman.map.presence import Presence

    app = app_context(ctx)
    meant = _id(app, run)
    thing = _found(app, meant)
    _refuse_other(app, thing)
    if isinstance(thing, Presence) and thing.is_over:
        done, gone = "over already", 0
    elif isinstance(thing, Presence):
        done = "cancelled"
        gone = reach.cancel(app.client, thing, user=app.user, now=app.now())
    else:
        done, gone = reach.cancel_carried(app.client, thing, user=app.user, now=app.now())
    app.write(meant if run == LAST else run)
    app.say(f"{done}; {gone} pods deleted")


def _refuse_other(app: AppContext, thing: Job | Presence) -> None:
    from jobman.jobs.find import owner
    from jobman.map.presence import Presence

    name = thing.name if isinstance(thing, Presence) else thing.metadata.name
    user = thing.user if isinstance(thing, Presence) else owner(thing)
    if user != app.user:
        whose = f"of {visible(user, limit=80)}" if user else "of nobody known"
        raise OwnershipError(
            f"{name} is {whose}, not yours",
            hint=f"where you may all the same: jobman cancel --force {name}",
        )


def _id(app: AppContext, text: str) -> str:
    """The id of the run that is named, or that the directory holds."""
    from jobman.map import ledger, status

    if not status.is_directory(text):
        return _last(app) if text == LAST else text
    if found := ledger.known_run(Path(text)):
        return found
    raise NotFoundError(f"{text} holds no run: there is no run.json")


def _last(app: AppContext) -> str:
    """The id of my run that was begun last, whoever carries it out."""
    from jobman.jobs.find import jobs_of, last_of
    from jobman.map.run_names import run_of

    job = last_of(job for job in jobs_of(app.client, app.user) if carries_run(job))
    if run := each.last_run(app, job):
        return run.run
    if job and (carried := run_of(job.metadata.name)):
        return carried
    raise NotFoundError(
        f"there is nothing of a run of yours in namespace {app.client.namespace}",
        hint=_HOW_IT_ENDED,
    )


def _found(app: AppContext, run: str) -> Job | Presence:
    """The Job that carries the run out, or what else the cluster has of it; NotFoundError."""
    from jobman.kube.resources import JOBS
    from jobman.map import reach
    from jobman.map.run_names import run_of

    name = f"map-{run.removeprefix('map-')}"
    if run_of(name):
        try:
            return app.client.get(JOBS, name)
        except ApiNotFoundError:
            if found := reach.find(app.client, name, now=app.now()):
                return found
    raise NotFoundError(
        f"there is nothing of a run '{visible(run)}' in namespace {app.client.namespace}",
        hint=_HOW_IT_ENDED,
    )
