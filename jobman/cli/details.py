"""`jobman details`: all there is to know of jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from jobman.cli import looking, map_one, why
from jobman.cli.command import app_context, command
from jobman.cli.looking import Block
from jobman.cli.named import Named
from jobman.cli.options import takes
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.whole import WholeJob
    from jobman.kube.objects import Job

FORMS = (Output.TABLE, Output.JSON, Output.YAML)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "details", forms=FORMS)(takes(Named)(details))


def details(ctx: typer.Context, options: Named) -> None:
    """Show jobs: what each runs, where, its state and why, its pods and what happened.

    -o json and -o yaml give the Job, its pods and the events about them whole: of one name an
    object of job, pods and events; of several, a glob or --all a list of these.
    """
    app = app_context(ctx)
    from jobman.jobs import whole

    def look(job: Job) -> Block:
        meta = job.metadata
        found = whole.read(app.client, meta.name, namespace=meta.namespace)
        document = {"job": found.job, "pods": found.pods, "events": found.events}
        return Block(lambda: document, lambda: _lines(app, found))

    looking.show(app, options.asked(), "details", look, lambda run: map_one.details(app, run))


def _lines(app: AppContext, found: WholeJob) -> Iterable[str]:
    from jobman.cli.render import details as render

    sentence = why.of_whole(app, found)
    return render.lines(found, app.now(), embedded=app.client.connection.embedded, why=sentence)
