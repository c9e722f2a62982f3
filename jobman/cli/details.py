"""`jobman details`: all there is to know of one job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import completion, each, map_one, why
from jobman.cli.command import app_context, command
from jobman.cli.logs import one_name
from jobman.errors import NotFoundError
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.whole import WholeJob

FORMS = (Output.TABLE, Output.JSON, Output.YAML)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "details", forms=FORMS)(details)


def details(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="The job: its name, or LAST.", autocompletion=completion.jobs
        ),
    ] = None,
    job_name: Annotated[
        str | None,
        typer.Option(
            "-j",
            "--job-name",
            metavar="NAME",
            help="The job, as an option.",
            autocompletion=completion.jobs,
        ),
    ] = None,
) -> None:
    """Show a job: what it runs, where, its state and why, its pods and what happened.

    -o json and -o yaml give the Job, its pods and the events about them whole.
    """
    app = app_context(ctx)
    word = one_name(name, job_name)
    from jobman.jobs import whole
    from jobman.jobs.find import find_one

    try:
        meta = find_one(app.client, word, app.user).metadata
    except NotFoundError:
        if run := each.map_run(app, word):
            map_one.details(app, run)
            return
        raise
    found = whole.read(app.client, meta.name, namespace=meta.namespace)
    _write(app, found)


def _write(app: AppContext, found: WholeJob) -> None:
    from jobman.cli.render import details as render
    from jobman.cli.render import forms

    document = {"job": found.job, "pods": found.pods, "events": found.events}
    match app.output():
        case Output.JSON:
            forms.write_json(app, document)
        case Output.YAML:
            forms.write_yaml(app, document)
        case _:
            embedded = app.client.connection.embedded
            sentence = why.of_whole(app, found)
            for line in render.lines(found, app.now(), embedded=embedded, why=sentence):
                app.write(line)
