"""`jobman logs`: what jobs' pods have written, unchanged to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from jobman.cli import each, map_one
from jobman.cli.command import Command, app_context, command
from jobman.cli.log_options import Excerpt, LogOptions
from jobman.cli.options import takes
from jobman.errors import JobmanError, NotFoundError, UsageError
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.each import Chosen
    from jobman.cli.render.log_sinks import Target


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "logs")(takes(LogOptions)(logs))
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command("log", cls=Command, hidden=True, context_settings=anything)(log)


def logs(ctx: typer.Context, options: LogOptions) -> None:
    """Print the logs of jobs' pods, one pod after the other, as they were written."""
    app = app_context(ctx)
    excerpt = options.reading()
    found = each.chosen(app, options.asked(), "logs")
    if excerpt.indexes is not None:
        _take_items(app, found)
    for problem in found.missing:
        app.say(f"error: {problem.message}")
    target = _target(app, options.all_pods, options.save)
    try:
        problems = _read(app, found, excerpt, target)
    finally:
        target.discard()
    _report(app, problems, found)


def _take_items(app: AppContext, found: Chosen) -> None:
    """The indexes of a run that a Job carries out are those of its items."""
    carried = [job for job in found.jobs if map_one.carries_run(job)]
    if not carried:
        return
    from jobman.map import reach

    found.jobs = [job for job in found.jobs if job not in carried]
    found.runs += [reach.carried_by(app.client, job, now=app.now()) for job in carried]


def log() -> None:
    """Say that the command is called `logs`."""
    raise UsageError("there is no command 'log'", hint="jobman logs NAME")


def _target(app: AppContext, all_pods: bool, save: str | None) -> Target:
    from jobman.cli.render import log_sinks

    if save is not None:
        return log_sinks.save_to(save)
    return log_sinks.Prefixed(app) if all_pods else log_sinks.Stdout(app)


def _read(app: AppContext, found: Chosen, excerpt: Excerpt, target: Target) -> list[JobmanError]:
    """Bring all the logs to the target; what went wrong."""
    from jobman.cli.log_reading import Reading

    reading = Reading(app, excerpt, target)
    problems = reading.read(found.jobs, found.runs)
    if reading.began:
        done = target.finish(reading.lacking, not problems)
        for path in done.files:
            app.write(visible(str(path)))
        if done.failed:
            problems.append(JobmanError("; ".join(done.failed.values())))
    return problems


def _report(app: AppContext, problems: list[JobmanError], found: Chosen) -> None:
    """Raise what went wrong: the one problem itself, else a summary after all of them."""
    if problems and found.asked == 1:
        raise problems[0]
    for problem in problems:
        app.say(f"error: {problem.message}")
    if problems:
        raise JobmanError(
            f"the logs of {len(problems)} of {found.asked} jobs are missing or incomplete"
        )
    if found.missing:
        raise NotFoundError(f"{len(found.missing)} of {found.asked} jobs are not there")
