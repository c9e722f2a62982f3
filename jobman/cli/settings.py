"""`jobman settings`: what is set, where it comes from, and whether it is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman.cli.command import Group, app_context, command
from jobman.errors import ConfigError, UsageError
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.config.layers import LoadedSettings, Source

_HELP = "The settings: what is in force, where it comes from, whether it is right."
SHOW_FORMS = (Output.TABLE, Output.JSON, Output.YAML)
PATH_FORMS = (Output.TABLE, Output.JSON, Output.YAML, Output.NAME)
START = "examples/home.json"


def register(app: typer.Typer) -> None:
    """Add the commands `jobman settings …`."""
    family = typer.Typer(cls=Group, no_args_is_help=True, help=_HELP)
    command(family, "show", forms=SHOW_FORMS)(show)
    command(family, "path", forms=PATH_FORMS)(path)
    for name, function in (("validate", validate), ("schema", schema), ("init", init)):
        command(family, name)(function)
    app.add_typer(family, name="settings", help=_HELP)


def show(ctx: typer.Context) -> None:
    """Show the settings in force and where each comes from.

    Credentials are masked. The layers are those of `jobman settings path`.
    """
    from jobman.cli.render import forms
    from jobman.cli.render import settings as render
    from jobman.cli.render.table import write_table

    app = app_context(ctx)
    loaded = app.settings
    if app.output() is Output.TABLE:
        write_table(app, render.COLUMNS, list(render.rows(loaded)))
        return
    origin = dict(loaded.provenance)
    _write_plain(app, forms, {"settings": render.shown(loaded), "origin": origin})


def path(ctx: typer.Context) -> None:
    """List the files that settings come from; later ones win.

    Variables of the environment that set something follow. With -o name: the files there are.
    """
    from jobman.cli.render import forms
    from jobman.cli.render import settings as render
    from jobman.cli.render.table import write_table

    app = app_context(ctx)
    sources = _sources(app)
    if app.output() is Output.NAME:
        forms.write_lines(app, (str(source.path) for source in sources if source.exists))
        return
    found = [*((s.name, str(s.path), render.state(s)) for s in sources), *_variables(app)]
    if app.output() is Output.TABLE:
        write_table(app, render.PATH_COLUMNS, [[a, b or "-", c] for a, b, c in found])
        return
    _write_plain(app, forms, [{"layer": a, "file": b, "state": c} for a, b, c in found])


def validate(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A settings file, checked on top of the other layers."),
    ] = None,
) -> None:
    """Check the settings, and say all that is wrong at once.

    Exit code 2 when something is wrong. Warnings alone leave it at 0.
    """
    from jobman.config.layers import load, refused

    app = app_context(ctx)
    loaded = load(file or app.options.settings, environ=app.environ)
    for warning in loaded.warnings:
        app.warn(warning)
    if problems := [*_doubtful(loaded)]:
        raise refused(problems)
    for source in loaded.layers:
        if source.exists:
            app.write(f"{source.path}: ok")


def _doubtful(loaded: LoadedSettings) -> Iterator[str]:
    """What does not keep jobman from working until it is needed."""
    from jobman.config.layers import default_problem
    from jobman.config.merge import entry_path
    from jobman.images import address, projects

    if problem := default_problem(loaded.values):
        yield f"{loaded.place(problem.path)}{problem}"
    for project in projects.configured(loaded.values):
        own = loaded.place(entry_path("harborProjects", project.name))
        try:
            address.base_url(project)
        except ConfigError as error:
            yield f"{own or loaded.place('harbor.url')}{error.message}"


def schema(ctx: typer.Context) -> None:
    """Print the JSON Schema of a settings file, for editors."""
    from jobman.config.schema import text

    app_context(ctx).out.write(text())


def init(ctx: typer.Context) -> None:
    """Write a small ~/.jobman/settings.json to start from.

    A file that is there already is left as it is, with exit code 2.
    """
    from jobman.config.layers import home_file, shipped
    from jobman.values.files import create_file

    app = app_context(ctx)
    target = home_file(app.environ)
    start = json.loads(shipped(START).read_text(encoding="utf-8"))
    start["$schema"] = shipped("settings.schema.json").absolute().as_uri()
    text = json.dumps(start, indent=2, ensure_ascii=False) + "\n"
    try:
        create_file(target, text.encode())
    except FileExistsError:
        hint = "jobman settings validate checks it, jobman settings show tells what is in force"
        raise UsageError(f"{target} is there already", hint=hint) from None
    app.write(str(target))


def _sources(app: AppContext) -> list[Source]:
    from jobman.config.layers import sources, working_directory

    return sources(app.options.settings, environ=app.environ, cwd=working_directory())


def _variables(app: AppContext) -> list[tuple[str, str | None, str]]:
    """The variables of the environment that set something."""
    from jobman.config.layers import VARIABLES
    from jobman.config.problems import json_path

    return [
        (variable, None, f"sets {json_path(at)}")
        for variable, at in VARIABLES.items()
        if app.environ.get(variable)
    ]


def _write_plain(app: AppContext, forms: Any, value: Any) -> None:
    if app.output() is Output.JSON:
        forms.write_json(app, value)
    else:
        forms.write_yaml(app, value)
