"""`jobman flavors`: what `submit -r` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from jobman.cli.command import app_context, command
from jobman.errors import JobmanError
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.render.flavors import FlavorRow
    from jobman.config.flavors import Flavor

FORMS = (Output.TABLE, Output.WIDE, Output.JSON, Output.YAML, Output.NAME, Output.CSV)


def register(app: typer.Typer) -> None:
    """Add the command, and the name it had in the earlier tool."""
    command(app, "flavors", forms=FORMS)(flavors)
    command(app, "resources-flavors", forms=FORMS, hidden=True)(flavors)


def flavors(ctx: typer.Context) -> None:
    """List the flavors: the named sets of resources that `submit -r` takes.

    Where request and limit differ, both are shown, as 2/4.
    """
    app = app_context(ctx)
    rows = _rows(app)
    _write(app, rows)
    if not rows and app.output() in (Output.TABLE, Output.WIDE):
        app.say("no flavors; see: jobman settings init")


def _rows(app: AppContext) -> list[FlavorRow]:
    from jobman.cli.render.flavors import row
    from jobman.config.merge import entry_path

    loaded = app.settings
    known = loaded.values.job.resources.predefined
    default = _default(app)
    elsewhere = [default] if default and default not in known else []
    return [
        row(
            flavor,
            default=flavor is default,
            layer=loaded.provenance.get(entry_path("job.resources.predefined", flavor.name)),
            gpu_resources=loaded.values.jobs_queue.gpu_resources,
        )
        for flavor in [*elsewhere, *known]
    ]


def _default(app: AppContext) -> Flavor | None:
    """The flavor of jobs that name none; a default that is wrong is said and is none."""
    from jobman.config.flavors import resolve
    from jobman.config.layers import working_directory

    settings = app.settings.values
    if not settings.job.resources.default:
        return None
    try:
        return resolve(None, settings, working_directory())
    except JobmanError as error:
        app.warn(f"job.resources.default: {error.message}")
        return None


def _write(app: AppContext, rows: list[FlavorRow]) -> None:
    from jobman.cli.render import flavors as render
    from jobman.cli.render import forms
    from jobman.cli.render.table import write_table

    match app.output():
        case Output.JSON:
            forms.write_json_rows(app, rows)
        case Output.YAML:
            forms.write_yaml(app, rows)
        case Output.CSV:
            forms.write_csv(app, render.CSV_TITLES, map(render.csv_cells, rows))
        case Output.NAME:
            forms.write_lines(app, (row.name for row in rows))
        case form:
            wide = form is Output.WIDE
            gpus = app.settings.values.jobs_queue.gpu_resources
            extra = render.WIDE_COLUMNS if wide else ()
            columns = (*render.COLUMNS, render.DESCRIPTION, *extra)
            if rows:
                table = [render.cells(row, gpu_resources=gpus, wide=wide) for row in rows]
                write_table(app, columns, table)
