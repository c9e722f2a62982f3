"""What is asked of `jobman logs`: which jobs, which pods of theirs, how much, and where to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import typer

from jobman.cli.named import Named
from jobman.cli.options import seconds_of
from jobman.errors import UsageError


@dataclass(frozen=True)
class Excerpt:
    """Which part of the logs is asked for.

    `indexes` None: of all pods; `tail`, `since_s` None: from the log's beginning.
    """

    follow: bool = False
    previous: bool = False
    container: str | None = None
    indexes: frozenset[int] | None = None
    together: bool = False
    tail: int | None = None
    since_s: int | None = None
    timestamps: bool = False

    def __post_init__(self) -> None:
        if self.follow and self.previous:
            raise UsageError("--previous is about a run that is over: there is nothing to follow")


@dataclass(frozen=True, kw_only=True)
class LogOptions(Named):
    """What was given on the command line, as it was given."""

    follow: Annotated[
        bool,
        typer.Option("-f", "--follow", help="Wait for the start, and go on until the job ends."),
    ] = False
    tail: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Only the last N lines of each pod.")
    ] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Only what is newer than this (90s, 2h30m)."),
    ] = None
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Begin each line with the time it was written.")
    ] = False
    previous: Annotated[
        bool,
        typer.Option("-p", "--previous", help="Of the run before a container's last restart."),
    ] = False
    container: Annotated[
        str | None,
        typer.Option("-c", "--container", metavar="NAME", help="Another container than the main."),
    ] = None
    index: Annotated[
        list[str] | None,
        typer.Option(metavar="N", help="Only these indexes of an array: 3, or 0-4,7."),
    ] = None
    all_pods: Annotated[
        bool,
        typer.Option("--all-pods", help="All pods at once, each line behind its [pod/index]."),
    ] = False
    save: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Into a file, whole or not at all; in a directory one file for each pod.",
        ),
    ] = None

    def reading(self) -> Excerpt:
        """The same, checked, without the jobs and without where the logs go to."""
        if self.save is not None and self.all_pods:
            raise UsageError("--save keeps each pod's log as it is: leave out --all-pods")
        return Excerpt(
            follow=self.follow,
            previous=self.previous,
            container=self.container,
            indexes=_indexes_of(self.index),
            together=self.all_pods,
            tail=self.tail,
            since_s=_seconds_since(self.since),
            timestamps=self.timestamps,
        )


def _seconds_since(text: str | None) -> int | None:
    """The whole seconds, at least one, that the server takes."""
    if text is None:
        return None
    return max(math.ceil(seconds_of("--since", text)), 1)


def _indexes_of(texts: list[str] | None) -> frozenset[int] | None:
    """The indexes of all `--index`; None where none is given."""
    if not texts:
        return None
    from jobman.jobs import indexes

    try:
        return frozenset().union(*(indexes.parse(text) for text in texts))
    except ValueError as error:
        raise UsageError(f"--index: {error}") from error
