"""`jobman submit`: a command, or the Jobs of a manifest, to the cluster."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman import __version__
from jobman.cli import submission
from jobman.cli.command import app_context, command
from jobman.cli.options import takes
from jobman.cli.submit_options import SubmitOptions
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.request import SubmitRequest
    from jobman.jobs.stamp import Stamp


FORMS = (Output.NAME, Output.JSON, Output.YAML)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "submit", forms=FORMS, words=True)(takes(SubmitOptions)(submit))


def submit(
    ctx: typer.Context,
    *,
    options: SubmitOptions,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[--] [WORD]...", help="The command, passed on word by word."),
    ] = None,
) -> None:
    """Submit a job and print its name."""
    app = app_context(ctx)
    made = submission.request(app, options, words or ())
    if options.dry_run:
        write(app, [_manifest(made, _stamp(app, "somebody"))], Output.YAML)
        return
    from jobman.jobs import service

    embedded = app.client.connection.embedded
    if embedded:
        made = submission.beside_the_caller(made, app.environ, Path.cwd())
    manifest = _manifest(made, _stamp(app, app.user))
    another = None if made.name else service.default_name
    created = service.submit(
        app.client, manifest, another_name=another, dry_run=options.server_dry_run
    )
    write(app, [created], Output.YAML if options.server_dry_run else Output.NAME)


def _manifest(made: SubmitRequest, stamp: Stamp) -> dict[str, Any]:
    from jobman.jobs import manifest, service

    return manifest.job(made, made.name or service.default_name(), stamp)


def _stamp(app: AppContext, user: str) -> Stamp:
    from jobman.jobs.stamp import Stamp

    return Stamp(user, app.now(), secrets.token_hex(8), __version__)


def write(app: AppContext, objects: list[dict[str, Any]], default: Output) -> None:
    """The objects in the form asked for; as JSON, several are one List."""
    from jobman.cli.render import forms

    match app.output(default):
        case Output.JSON:
            whole = {"apiVersion": "v1", "kind": "List", "items": objects}
            forms.write_json(app, objects[0] if len(objects) == 1 else whole)
        case Output.YAML:
            forms.write_documents(app, objects)
        case _:
            forms.write_lines(app, (found["metadata"]["name"] for found in objects))
