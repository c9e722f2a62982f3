"""Which jobs a command is about, as its command line says; the same options for all commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from jobman.cli import completion
from jobman.values import names

Patterns = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Names, globs ('train-*') or LAST; globs mean jobs of mine.",
        autocompletion=completion.jobs,
    ),
]
JobNames = Annotated[
    list[str] | None,
    typer.Option(
        "-j",
        "--job-name",
        metavar="NAME",
        help="A job, as an option.",
        autocompletion=completion.jobs,
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="All jobs of mine in the namespace.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Force = Annotated[bool, typer.Option("--force", help="Also jobs that are not mine, where I may.")]


@dataclass(frozen=True)
class Asked:
    """What the command line says about which jobs are meant.

    `everything`: all of the user's; `swept`: those of them that other options choose.
    """

    words: Sequence[str]
    everything: bool = False
    swept: bool = False
    yes: bool = False
    force: bool = False

    @property
    def sweeping(self) -> bool:
        """Whether jobs are meant that are not named one by one."""
        return self.everything or self.swept or any(names.is_glob(word) for word in self.words)

    @property
    def one(self) -> bool:
        """Whether one job is meant, by its name or as LAST."""
        return len(self.words) == 1 and not self.sweeping


@dataclass(frozen=True, kw_only=True)
class Named:
    """The options of a command that only looks: nobody is asked, everybody's jobs may be named."""

    patterns: Patterns = None
    job_names: JobNames = None
    everything: Everything = False

    def asked(self) -> Asked:
        """The same as one value; a name that is given twice counts once."""
        words = dict.fromkeys([*(self.patterns or ()), *(self.job_names or ())])
        return Asked(list(words), self.everything, yes=True, force=True)


@dataclass(frozen=True, kw_only=True)
class Changed(Named):
    """The options of a command that changes jobs."""

    yes: Yes = False
    force: Force = False

    def asked(self, *, swept: bool = False) -> Asked:
        """The same as one value."""
        words = [*(self.patterns or ()), *(self.job_names or ())]
        return Asked(words, self.everything, swept, self.yes, self.force)
