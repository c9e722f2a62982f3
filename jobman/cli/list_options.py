"""The options of `jobman list`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from jobman.cli import completion
from jobman.cli.screen import Interval
from jobman.values.enums import State

TERMINAL_LIMIT = 50
SORTS = (
    "age",
    "name",
    "user",
    "namespace",
    "state",
    "flavor",
    "node",
    "gpus",
    "duration",
    "started",
    "finished",
)


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """What was given on the command line, as it was given."""

    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATTERN",
            help="Names or globs ('train-*'), or LAST; none: all.",
            autocompletion=completion.jobs,
        ),
    ] = None
    all_users: Annotated[
        bool, typer.Option("--all-users", "-u", help="Everybody's jobs, not only mine.")
    ] = False
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="The jobs of all namespaces.")
    ] = False
    labels: Annotated[
        str | None,
        typer.Option("--selector", "-l", metavar="SELECTOR", help="Only jobs with these labels."),
    ] = None
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help=f"Only jobs in these states: {', '.join(State)}."),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=f"At most N rows, 0 for all; on a terminal {TERMINAL_LIMIT} unless given.",
        ),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Only jobs submitted in this last time (2h, 7d)."),
    ] = None
    sort: Annotated[
        str,
        typer.Option(metavar="KEY", help=f"By {', '.join(SORTS)}; -KEY turns the order round."),
    ] = "age"
    tasks: Annotated[
        bool, typer.Option("--tasks", help="A row for each index of an array, and for each pod.")
    ] = False
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            "-w",
            help="Go on until Ctrl-C: redrawn in place (q ends, too); piped, a line per change.",
        ),
    ] = False
    interval: Interval = "1s"
