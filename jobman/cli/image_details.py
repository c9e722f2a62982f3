"""`jobman image-details`: what an image is, and how to use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import completion
from jobman.cli.command import app_context, command
from jobman.errors import UsageError
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.images.models import Image

FORMS = (Output.TABLE, Output.JSON, Output.YAML)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "image-details", forms=FORMS)(image_details)


def image_details(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME[:TAG][@DIGEST]", help="The image.", autocompletion=completion.images
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            "-i",
            "--image",
            metavar="NAME[:TAG][@DIGEST]",
            help="The image, as an option.",
            autocompletion=completion.images,
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this project of harborProjects.")
    ] = None,
) -> None:
    """Show an image on Harbor: its description, tags, sizes, platforms, scans, how to submit it."""
    app = app_context(ctx)
    if (name is None) == (image is None):
        raise UsageError("give one image: jobman image-details NAME[:TAG]")
    found = _found(app, name or image or "", project)
    match app.output():
        case Output.JSON | Output.YAML as form:
            from jobman.cli.render import forms

            (forms.write_json if form is Output.JSON else forms.write_yaml)(app, found)
        case _:
            _show(app, found)


def _found(app: AppContext, text: str, project: str | None) -> Image:
    """The image with the tags asked for. What could not be asked is said."""
    from jobman.cli.image_choice import cache_directory
    from jobman.cli.images import say_security_warnings
    from jobman.images.find import find, narrowed
    from jobman.images.projects import chosen, configured
    from jobman.images.reference import Reference

    reference = Reference.parse(text)
    projects = chosen(configured(app.settings.values), project)
    say_security_warnings(app, projects)
    image, failed = find(reference, projects, app.environ, cache_directory())
    for error in failed:
        app.warn(error.message)
    return narrowed(image, reference)


def _show(app: AppContext, image: Image) -> None:
    """The description, then what Harbor knows."""
    from jobman.cli.render import image_details as render
    from jobman.cli.render.table import write_table

    if image.description.strip():
        render.write_description(app, image.description)
        app.write("")
    for line in render.facts(image, app.now()):
        app.write(line)
    if image.tags:
        app.write("")
        wide = not app.out_is_terminal
        rows = [render.cells(tag, app.now(), wide=wide) for tag in image.tags]
        write_table(app, render.COLUMNS, rows)
        app.write("")
        app.write(f"Submit it: jobman submit -i {render.newest(image)} -- COMMAND")
