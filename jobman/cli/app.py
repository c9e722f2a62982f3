"""The root of the command line."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from jobman import __version__
from jobman.cli import (
    admin,
    cancel,
    clean,
    delete,
    details,
    doctor,
    flavors,
    hold,
    image_details,
    images,
    local,
    logs,
    nodes,
    queue,
    retry,
    scale,
    settings,
    submit,
    wait,
    why,
)
from jobman.cli import exec as exec_command
from jobman.cli import list as list_command
from jobman.cli import map as map_command
from jobman.cli.command import Group

COLLECT_AFTER = 100_000
"""Objects between two looks for cycles: a list of 10,000 jobs makes many, and none in a cycle."""

app = typer.Typer(
    name="jobman",
    cls=Group,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Run jobs on a shared Kubernetes cluster, or on this machine, without writing YAML.",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"jobman {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "-v", "--version", help="Show the version.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Run jobs on a shared Kubernetes cluster, or on this machine, without writing YAML."""


for module in (
    submit,
    list_command,
    details,
    why,
    logs,
    wait,
    exec_command,
    cancel,
    retry,
    hold,
    scale,
    delete,
    clean,
    flavors,
    images,
    image_details,
    settings,
    queue,
    nodes,
    map_command,
    admin,
    local,
    doctor,
):
    module.register(app)


def main() -> None:
    """The console script."""
    gc.set_threshold(COLLECT_AFTER)
    app(prog_name="jobman")
