"""`jobman logs`: what jobs' pods have written, unchanged to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import completion, each, log_options, map_one
from jobman.cli.command import Command, app_context, command
from jobman.cli.log_options import Asked
from jobman.errors import JobmanError, NotFoundError, UsageError
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.render.log_sinks import Target
    from jobman.kube.objects import Job


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "logs")(logs)
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command("log", cls=Command, hidden=True, context_settings=anything)(log)


def logs(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Jobs: names, globs ('train-*') or LAST.",
            autocompletion=completion.jobs,
        ),
    ] = None,
    job_names: Annotated[
        list[str] | None,
        typer.Option(
            "-j",
            "--job-name",
            metavar="NAME",
            help="A job, as an option.",
            autocompletion=completion.jobs,
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("-f", "--follow", help="Wait for the start, and go on until the job ends."),
    ] = False,
    tail: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Only the last N lines of each pod.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Only what is newer than this (90s, 2h30m)."),
    ] = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Begin each line with the time it was written.")
    ] = False,
    previous: Annotated[
        bool,
        typer.Option("-p", "--previous", help="Of the run before a container's last restart."),
    ] = False,
    container: Annotated[
        str | None,
        typer.Option("-c", "--container", metavar="NAME", help="Another container than the main."),
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option(metavar="N", help="Only these indexes of an array: 3, or 0-4,7."),
    ] = None,
    all_pods: Annotated[
        bool,
        typer.Option("--all-pods", help="All pods at once, each line behind its [pod/index]."),
    ] = False,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Into a file, whole or not at all; in a directory one file for each pod.",
        ),
    ] = None,
) -> None:
    """Print the logs of jobs' pods, one pod after the other, as they were written."""
    app = app_context(ctx)
    asked = Asked(
        follow=follow,
        previous=previous,
        container=container,
        indexes=log_options.indexes_of(index),
        together=all_pods,
        tail=tail,
        since_s=log_options.seconds_since(since),
        timestamps=timestamps,
    )
    words = log_options.words_of(names, job_names)
    if save is not None and all_pods:
        raise UsageError("--save keeps each pod's log as it is: leave out --all-pods")
    from jobman.jobs.find import find

    try:
        jobs = find(app.client, words, app.user)
    except NotFoundError:
        if len(words) == 1 and (run := each.map_run(app, words[0])):
            if save is not None or all_pods:
                raise UsageError(
                    "of a run of jobman map: leave out --save and --all-pods"
                ) from None
            map_one.logs(app, run, asked)
            return
        raise
    target = _target(app, all_pods, save)
    try:
        _report(app, _read(app, jobs, asked, target), len(jobs))
    finally:
        target.discard()


def log() -> None:
    """Say that the command is called `logs`."""
    raise UsageError("there is no command 'log'", hint="jobman logs NAME")


def one_name(argument: str | None, option: str | None) -> str:
    """The job named by the argument or by -j."""
    if argument is not None and option is not None and argument != option:
        raise UsageError(f"two jobs are named: '{argument}' and -j '{option}'; one is needed")
    return log_options.words_of([argument] if argument else None, [option] if option else None)[0]


def _target(app: AppContext, all_pods: bool, save: str | None) -> Target:
    from jobman.cli.render import log_sinks

    if save is not None:
        return log_sinks.save_to(save)
    return log_sinks.Prefixed(app) if all_pods else log_sinks.Stdout(app)


def _read(app: AppContext, jobs: list[Job], asked: Asked, target: Target) -> list[JobmanError]:
    """Bring all the logs to the target; what went wrong."""
    from jobman.cli.log_reading import Reading

    reading = Reading(app, asked, target)
    problems = reading.read(jobs)
    if reading.began:
        for path in target.finish(reading.lacking, not problems):
            app.write(visible(str(path)))
    return problems


def _report(app: AppContext, problems: list[JobmanError], asked: int) -> None:
    """Raise what went wrong: the one problem itself, else a summary after all of them."""
    if not problems:
        return
    if asked == 1:
        raise problems[0]
    for problem in problems:
        app.say(f"error: {visible(problem.message, newlines=True)}")
    raise JobmanError(f"the logs of {len(problems)} of {asked} jobs are missing or incomplete")
