"""`jobman delete`: jobs, with their pods and logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import completion
from jobman.cli.command import app_context, command
from jobman.errors import (
    ApiNotFoundError,
    ConflictError,
    JobmanError,
    NotFoundError,
    OwnershipError,
    UsageError,
)
from jobman.values import names
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.kube.objects import Job

AT_ONCE = 8
SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "delete")(delete)


def delete(
    ctx: typer.Context,
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Names, globs ('train-*') or LAST; globs mean jobs of mine.",
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
    everything: Annotated[
        bool, typer.Option("--all", help="All jobs of mine in the namespace.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also jobs that are not mine, where I may.")
    ] = False,
) -> None:
    """Delete jobs with their pods and logs; the names of the deleted go to stdout."""
    app = app_context(ctx)
    words = [*(patterns or ()), *(job_names or ())]
    _check_words(words, everything)
    sweeping = everything or any(names.is_glob(word) for word in words)
    if sweeping and not yes and not app.can_ask:
        raise UsageError("a pattern or --all needs -y where nobody can be asked")
    jobs, missing = _meant(app, words, everything)
    if not force:
        _refuse_others(app, jobs)
    _say_what_goes(app, jobs)
    if not yes and app.can_ask and not app.agreed(f"delete {_count(len(jobs))}?"):
        raise JobmanError("nothing was deleted")
    _report(app, [*missing, *_deleted(app, jobs)], len(jobs) + len(missing))


def _check_words(words: Sequence[str], everything: bool) -> None:
    if everything and words:
        raise UsageError("--all leaves no room for names")
    if not everything and not words:
        raise UsageError("no job is named", hint="names, globs, LAST, or --all for all of yours")


def _meant(
    app: AppContext, words: Iterable[str], everything: bool
) -> tuple[list[Job], list[JobmanError]]:
    """The jobs, and an error for each word that means none; at least one job is there."""
    from jobman.jobs.find import find, jobs_of

    if everything:
        mine = jobs_of(app.client, app.user)
        if not mine:
            raise NotFoundError(f"you have no job in namespace {app.client.namespace}")
        return mine, []
    found: dict[str, Job] = {}
    missing: list[JobmanError] = []
    for word in words:
        try:
            found |= {job.metadata.uid: job for job in find(app.client, [word], app.user)}
        except NotFoundError as error:
            missing.append(error)
    if not found:
        raise missing[0]
    return list(found.values()), missing


def _refuse_others(app: AppContext, jobs: Iterable[Job]) -> None:
    from jobman.jobs.find import owner

    others = [(job.metadata.name, owner(job)) for job in jobs if owner(job) != app.user]
    if not others:
        return
    shown = ", ".join(
        f"{name} ({f'of {visible(user, limit=80)}' if user else 'not made by jobman'})"
        for name, user in others[:SHOWN]
    )
    raise OwnershipError(
        f"not yours: {shown}{_and_more(len(others))}", hint="--force deletes them all the same"
    )


def _say_what_goes(app: AppContext, jobs: Sequence[Job]) -> None:
    shown = ", ".join(job.metadata.name for job in jobs[:SHOWN])
    app.say(f"deleting {_count(len(jobs))} with pods and logs: {shown}{_and_more(len(jobs))}")


def _count(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def _and_more(total: int) -> str:
    return f" and {total - SHOWN} more" if total > SHOWN else ""


def _deleted(app: AppContext, jobs: Sequence[Job]) -> list[JobmanError]:
    """Delete them side by side; what went wrong."""
    from jobman.kube.resources import JOBS

    def one(job: Job) -> JobmanError | None:
        meta = job.metadata
        try:
            app.client.delete(JOBS, meta.name, namespace=meta.namespace, uid=meta.uid)
        except (ApiNotFoundError, ConflictError):
            return None
        except JobmanError as error:
            return error
        return None

    problems: list[JobmanError] = []
    pool = ThreadPoolExecutor(min(AT_ONCE, len(jobs)))
    try:
        for job, problem in zip(jobs, pool.map(one, jobs), strict=True):
            if problem is None:
                app.write(job.metadata.name)
            else:
                problems.append(problem)
    finally:
        pool.shutdown(cancel_futures=True)
    return problems


def _report(app: AppContext, problems: Sequence[JobmanError], asked: int) -> None:
    """Raise what went wrong: the one problem itself, else a summary after all of them."""
    if not problems:
        return
    if len(problems) == asked:
        raise problems[0]
    for problem in problems:
        app.say(f"error: {visible(problem.message, newlines=True)}")
    raise JobmanError(f"{len(problems)} of {asked} were not deleted; the others were")
