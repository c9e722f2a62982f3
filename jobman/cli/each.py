"""Several jobs named at once: which are meant, whose they are, what is done to each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import completion
from jobman.errors import JobmanError, NotFoundError, OwnershipError, UsageError
from jobman.values import names
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.kube.objects import Job

AT_ONCE = 8
SHOWN = 20

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


@dataclass
class Chosen:
    """The jobs that are meant, and an error for each word that means none."""

    jobs: list[Job]
    missing: list[JobmanError] = field(default_factory=list)


def chosen(app: AppContext, asked: Asked, verb: str) -> Chosen:
    """The jobs that are meant; at least one is there. `verb` is what is done to them ("delete").

    Raises UsageError, NotFoundError, and OwnershipError for jobs of others without --force.
    """
    if asked.everything and asked.words:
        raise UsageError("--all leaves no room for names")
    if not (asked.words or asked.everything or asked.swept):
        raise UsageError("no job is named", hint="names, globs, LAST, or --all for all of yours")
    if asked.sweeping and not asked.yes and not app.can_ask:
        raise UsageError("what sweeps several jobs needs -y where nobody can be asked")
    found = _meant(app, asked)
    if not asked.force:
        _refuse_others(app, found.jobs, verb)
    return found


def _meant(app: AppContext, asked: Asked) -> Chosen:
    from jobman.jobs.find import find, jobs_of

    if not asked.words:
        mine = jobs_of(app.client, app.user)
        if not mine:
            raise NotFoundError(f"you have no job in namespace {app.client.namespace}")
        return Chosen(mine)
    found: dict[str, Job] = {}
    missing: list[JobmanError] = []
    for word in asked.words:
        try:
            found |= {job.metadata.uid: job for job in find(app.client, [word], app.user)}
        except NotFoundError as error:
            missing.append(error)
    if not found:
        raise missing[0]
    return Chosen(list(found.values()), missing)


def _refuse_others(app: AppContext, jobs: Iterable[Job], verb: str) -> None:
    from jobman.jobs.find import owner

    others = [(job.metadata.name, owner(job)) for job in jobs if owner(job) != app.user]
    if not others:
        return
    shown = ", ".join(
        f"{name} ({f'of {visible(user, limit=80)}' if user else 'not made by jobman'})"
        for name, user in others[:SHOWN]
    )
    hint = f"--force means them all the same: jobman {verb} --force"
    raise OwnershipError(f"not yours: {shown}{and_more(len(others))}", hint=hint)


def confirm(app: AppContext, asked: Asked, jobs: Sequence[Job], verb: str) -> None:
    """Ask a person who is there whether to do it to jobs that were not named one by one."""
    if asked.sweeping and not asked.yes:
        app.say(f"these: {listed([job.metadata.name for job in jobs])}")
        agree(app, f"{verb} {count(len(jobs))}?")


def agree(app: AppContext, question: str) -> None:
    """Raise unless the person agrees."""
    if not app.agreed(question):
        raise JobmanError("nothing was done")


def listed(words: Sequence[str]) -> str:
    """The first of many names."""
    return f"{', '.join(words[:SHOWN])}{and_more(len(words))}"


def and_more(total: int) -> str:
    """How many more than those shown."""
    return f" and {total - SHOWN} more" if total > SHOWN else ""


def count(number: int) -> str:
    """A number of jobs."""
    return "1 job" if number == 1 else f"{number} jobs"


def one_by_one(app: AppContext, found: Chosen, act: Callable[[Job], str], *, failed: str) -> None:
    """Do something to each job, as `side_by_side` does, but to one after the other."""
    problems = said(app, (_one(act, job) for job in found.jobs))
    report(app, [*found.missing, *problems], len(found.jobs) + len(found.missing), failed)


def side_by_side(app: AppContext, found: Chosen, act: Callable[[Job], str], *, failed: str) -> None:
    """Do something to each job, several at once; a line on stdout for each that it was done to.

    `act` returns that line; an empty one is not written. Problems are said when all is done, with
    a summary after those of some jobs ("2 of 5 were not {failed}; the others were").
    """
    pool = ThreadPoolExecutor(min(AT_ONCE, len(found.jobs)) or 1)
    try:
        problems = said(app, pool.map(lambda job: _one(act, job), found.jobs))
    finally:
        pool.shutdown(cancel_futures=True)
    report(app, [*found.missing, *problems], len(found.jobs) + len(found.missing), failed)


def said(app: AppContext, results: Iterable[str | JobmanError]) -> list[JobmanError]:
    """Write what was done, as it comes; what went wrong."""
    problems = []
    for result in results:
        if isinstance(result, JobmanError):
            problems.append(result)
        elif result:
            app.write(result)
    return problems


def _one(act: Callable[[Job], str], job: Job) -> str | JobmanError:
    try:
        return act(job)
    except JobmanError as error:
        return error


def report(app: AppContext, problems: Sequence[JobmanError], total: int, failed: str) -> None:
    """Say what went wrong with some of `total`, and raise; nothing where nothing did."""
    if not problems:
        return
    if len(problems) == total and len({problem.exit_code for problem in problems}) == 1:
        _say(app, problems[1:], told={problems[0].hint})
        raise problems[0]
    _say(app, problems, told=set())
    others = "" if len(problems) == total else "; the others were"
    raise JobmanError(f"{len(problems)} of {total} were not {failed}{others}")


def _say(app: AppContext, problems: Sequence[JobmanError], *, told: set[str | None]) -> None:
    """Each problem, with its hint unless that was told already."""
    for problem in problems:
        app.say(f"error: {visible(problem.message, newlines=True)}")
        if problem.hint and problem.hint not in told:
            app.say(f"hint: {visible(problem.hint, newlines=True)}")
            told.add(problem.hint)
