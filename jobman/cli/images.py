"""`jobman images`: what is on the configured Harbor projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli.command import app_context, command
from jobman.cli.list import most_rows
from jobman.values.enums import Output
from jobman.values.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobman.cli.context import AppContext
    from jobman.cli.render.images import Sheet
    from jobman.config.settings import HarborProject
    from jobman.errors import JobmanError
    from jobman.images.browse import Found

FORMS = (Output.TABLE, Output.WIDE, Output.JSON, Output.YAML, Output.NAME, Output.CSV)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "images", forms=FORMS)(images)


def images(
    ctx: typer.Context,
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", help="A part of the name, or a glob ('ml/*')."),
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this project of harborProjects.")
    ] = None,
    tags: Annotated[
        bool, typer.Option("--tags", help="A row for each tag, with its scan summary.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="At most N rows, 0 for all; on a terminal 50."),
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask Harbor, whatever was kept in the last minutes.")
    ] = False,
) -> None:
    """List the images of the configured Harbor projects, with their newest tags.

    What was asked within the last five minutes is not asked again, unless with --refresh or --tags.
    """
    from jobman.cli.render import images as render
    from jobman.images.browse import matching
    from jobman.images.projects import chosen, configured

    app = app_context(ctx)
    everything = configured(app.settings.values)
    projects = chosen(everything, project)
    found = _found(app, projects, refresh=refresh, scans=tags)
    look = render.Look(
        now=app.now(),
        wide=app.output() is Output.WIDE,
        projects=len(projects) > 1,
        short=_are_short(app, everything),
    )
    shown, most = matching(found.images, pattern), most_rows(app, limit)
    sheet = render.of_tags(shown, look, most) if tags else render.of_images(shown, look, most)
    _write(app, sheet)
    if not shown and app.output() in (Output.TABLE, Output.WIDE):
        app.say(f"no image fits '{visible(pattern)}'" if pattern else "no images")
    if sheet.left_out:
        app.say(f"and {sheet.left_out} more (--limit 0 shows all)")
    _report(app, [*found.failed, *found.incomplete])


def _are_short(app: AppContext, everything: Sequence[HarborProject]) -> bool:
    """Whether a name alone means the image: of several projects the first one would win."""
    return len(everything) == 1 and not app.settings.values.job.image_prefix


def _found(
    app: AppContext, projects: Sequence[HarborProject], *, refresh: bool, scans: bool
) -> Found:
    """What the projects have. Raises where none answers."""
    from jobman.cli.image_choice import cache_directory
    from jobman.cli.render.status_line import StatusLine
    from jobman.images.browse import browse

    say_security_warnings(app, projects)
    line = StatusLine(app)
    if app.err_is_terminal:
        line.show(f"asking Harbor: {', '.join(project.name for project in projects)} …")
    try:
        found = browse(projects, app.environ, cache_directory(), refresh=refresh, scans=scans)
    finally:
        line.clear()
    found.raise_if_silent()
    return found


def say_security_warnings(app: AppContext, projects: Sequence[HarborProject]) -> None:
    """Say which connections are open to others. A baseUrl that is none is told of later."""
    from jobman.errors import ConfigError
    from jobman.images.address import security_warnings

    for project in projects:
        try:
            warnings = security_warnings(project)
        except ConfigError:
            continue
        for warning in warnings:
            app.warn(warning)


def _report(app: AppContext, errors: Sequence[JobmanError]) -> None:
    """Say what is missing and why, and end with 1 if anything is."""
    for error in errors:
        app.say(f"error: {error.message}")
    for hint in dict.fromkeys(error.hint for error in errors if error.hint):
        app.say(f"hint: {hint}")
    if errors:
        raise typer.Exit(1)


def _write(app: AppContext, sheet: Sheet) -> None:
    """The rows in the form asked for."""
    from jobman.cli.render import forms
    from jobman.cli.render.table import write_table

    match app.output():
        case Output.JSON:
            forms.write_json_rows(app, sheet.rows)
        case Output.YAML:
            forms.write_yaml(app, sheet.rows)
        case Output.CSV:
            forms.write_csv(app, sheet.titles, sheet.csv)
        case Output.NAME:
            forms.write_lines(app, sheet.names)
        case _ if sheet.rows:
            write_table(app, sheet.columns, list(sheet.cells))
