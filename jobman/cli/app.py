"""The root of the command line."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Annotated

import typer

from jobman import __version__
from jobman.cli import streams
from jobman.cli.boundary import tell_os_error
from jobman.cli.command import Group
from jobman.cli.context import AppContext
from jobman.cli.termination import terminable

COLLECT_AFTER = 400_000
"""Objects between two looks for cycles: a queue of 10,000 pods makes many, and none in a cycle."""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "submit": ("submit",),
    "list": ("list",),
    "details": ("details",),
    "why": ("why",),
    "logs": ("logs", "log"),
    "wait": ("wait",),
    "exec": ("exec",),
    "cancel": ("cancel",),
    "retry": ("retry",),
    "hold": ("hold", "release"),
    "scale": ("scale",),
    "delete": ("delete",),
    "clean": ("clean",),
    "flavors": ("flavors", "resources-flavors"),
    "images": ("images",),
    "image_details": ("image-details",),
    "settings": ("settings",),
    "queue": ("queue",),
    "nodes": ("nodes",),
    "map": ("map",),
    "admin": ("admin",),
    "local": ("local",),
    "doctor": ("doctor",),
}
"""The modules of this package that have commands, and these, in the order of the help."""


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"jobman {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(
            "-v", "--version", help="Show the version.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Run jobs on a shared Kubernetes cluster, or on this machine, without writing YAML."""


def application(words: Collection[str] = ()) -> typer.Typer:
    """The command line: with the commands that are among `words`, or with all.

    Each command costs its imports and its options: who asks for one does not wait for the others.
    """
    app = typer.Typer(
        name="jobman",
        cls=Group,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Run jobs on a shared Kubernetes cluster, or on this machine, without writing YAML.",
    )
    app.callback()(root)
    named = [module for module, names in COMMANDS.items() if not set(names).isdisjoint(words)]
    for module in named or COMMANDS:
        import_module(f"jobman.cli.{module}").register(app)
    return app


def main() -> None:
    """The console script."""
    gc.set_threshold(COLLECT_AFTER)
    streams.prepare()
    atexit.register(gc.freeze)  # what is left at the end goes with the process, unexamined
    try:
        with terminable():
            application(sys.argv[1:])(prog_name="jobman")
    except OSError as error:  # of a help text: commands have their own boundary
        sys.exit(tell_os_error(AppContext.of_process(), error))
