"""`jobman scale`: how many pods of a job run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import completion, each
from jobman.cli.command import app_context, command
from jobman.cli.named import Asked, Everything, Force, JobNames, Yes
from jobman.cli.problems import Problems
from jobman.errors import UsageError

if TYPE_CHECKING:
    from jobman.kube.objects import Job


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "scale")(scale)


def scale(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME... N|+N",
            help="Names, globs or LAST, and behind them how many at once, or how many more.",
            autocompletion=completion.jobs,
        ),
    ],
    job_names: JobNames = None,
    everything: Everything = False,
    yes: Yes = False,
    force: Force = False,
) -> None:
    """Change how many pods of an array or a work queue run at once.

    Fewer than run now are refused: Kubernetes would delete pods with their logs.
    """
    from jobman.jobs import scale as scaling

    named = [*words[:-1], *(job_names or ())]
    if not (named or everything):
        raise UsageError("a job and a number are needed", hint="jobman scale NAME 4, or +2")
    problems = Problems()
    amount = problems.parse("the number", scaling.parse_amount, words[-1])
    problems.report()
    assert amount is not None
    app = app_context(ctx)
    asked = Asked(named, everything, yes=yes, force=force)
    found = each.chosen(app, asked, "scale")
    each.confirm(app, asked, found.jobs, "scale")
    client = app.client

    def act(job: Job) -> str:
        before, after = scaling.scale(client, job, amount)
        return f"{job.metadata.name} scaled from {before} to {after}"

    each.side_by_side(app, found, act, failed="scaled")
