"""Several jobs named at once: which are meant, whose they are, what is done to each."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar

from jobman.errors import JobmanError, NotFoundError, OwnershipError, UnfitError, UsageError
from jobman.values import names
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.named import Asked
    from jobman.kube.objects import Job
    from jobman.map.presence import Presence

T = TypeVar("T")

AT_ONCE = 8
SHOWN = 20


@dataclass
class Chosen:
    """The jobs and the runs of `jobman map` that are meant, and an error for each other word.

    `named` are the uids of the jobs that were named one by one: of the others, those that an act
    does not fit are left out and kept in `left_out`.
    """

    jobs: list[Job]
    runs: list[Presence] = field(default_factory=list)
    missing: list[JobmanError] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    left_out: list[UnfitError] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """How many were asked for."""
        return len(self.jobs) + len(self.runs) + len(self.missing)


def chosen(app: AppContext, asked: Asked, verb: str, *, runs: bool = False) -> Chosen:
    """The jobs that are meant; at least one is there. `verb` is what is done to them ("delete").

    `runs`: globs and --all mean runs of `jobman map`, too, not only their names.

    Raises UsageError, NotFoundError, and OwnershipError for jobs of others without --force.
    """
    if asked.everything and asked.words:
        raise UsageError("--all leaves no room for names")
    if not (asked.words or asked.everything or asked.swept):
        raise UsageError("no job is named", hint="names, globs, LAST, or --all for all of yours")
    if asked.sweeping and not asked.yes and not app.can_ask:
        raise UsageError("what sweeps several jobs needs -y where nobody can be asked")
    found = _meant(app, asked, _swept_runs(app, asked) if runs else [])
    if not asked.force:
        refuse_others(app, found, verb)
    return found


def _swept_runs(app: AppContext, asked: Asked) -> list[Presence]:
    """The runs of mine that --all or a glob means."""
    globs = [word for word in asked.words if names.is_glob(word)]
    if not (asked.everything or globs):
        return []
    from jobman.map import among

    mine = among.of_user(app.client, app.user, now=app.now())
    return [
        run
        for run in mine
        if asked.everything or any(names.glob_matches(glob, run.name) for glob in globs)
    ]


def _meant(app: AppContext, asked: Asked, swept: list[Presence]) -> Chosen:
    from jobman.jobs.find import find, jobs_of

    if not asked.words:
        mine = jobs_of(app.client, app.user)
        if not mine and not swept:
            raise NotFoundError(f"you have no job in namespace {app.client.namespace}")
        return Chosen(mine, swept)
    found: dict[str, Job] = {}
    named: set[str] = set()
    runs = {run.name: run for run in swept}
    missing: list[JobmanError] = []
    for word in asked.words:
        try:
            jobs = find(app.client, [word], app.user)
        except NotFoundError as error:
            if run := last_run(app, None) if word == names.LAST else map_run(app, word):
                runs[run.name] = run
            elif not any(names.glob_matches(word, name) for name in runs):
                missing.append(error)
        else:
            if word == names.LAST and (run := last_run(app, jobs[0])):
                runs[run.name] = run
            else:
                found |= {job.metadata.uid: job for job in jobs}
                named |= set() if names.is_glob(word) else {job.metadata.uid for job in jobs}
    if not found and not runs:
        report(app, missing, len(missing), "found")
    return Chosen(list(found.values()), list(runs.values()), missing, named)


def map_run(app: AppContext, word: str) -> Presence | None:
    """The run of `jobman map` that is called so; the rest of jobman is not loaded for others."""
    if not word.startswith("map-"):
        return None
    from jobman.map import reach

    return reach.find(app.client, word, now=app.now())


def last_run(app: AppContext, job: Job | None) -> Presence | None:
    """The run of `jobman map` that LAST means: it was begun after my last `job`."""
    from jobman.jobs.find import submitted_at
    from jobman.map import among, reach

    begun = among.last_begun(app.client, app.user)
    moment = job and submitted_at(job)
    if begun is None or (moment and begun[0] < moment):
        return None
    return reach.find(app.client, begun[1], now=app.now())


def refuse_others(app: AppContext, found: Chosen, verb: str) -> None:
    """Raise OwnershipError where some belong to others."""
    from jobman.jobs.find import owner

    owners = [(job.metadata.name, owner(job)) for job in found.jobs]
    owners += [(run.name, run.user) for run in found.runs]
    others = [(name, user) for name, user in owners if user != app.user]
    if not others:
        return
    shown = ", ".join(
        f"{name} ({f'of {visible(user, limit=80)}' if user else 'not made by jobman'})"
        for name, user in others[:SHOWN]
    )
    hint = f"--force means them all the same: jobman {verb} --force"
    raise OwnershipError(f"not yours: {shown}{and_more(len(others))}", hint=hint)


def confirm(
    app: AppContext,
    asked: Asked,
    jobs: Sequence[Job],
    verb: str,
    *,
    runs: Sequence[Presence] = (),
) -> None:
    """Ask a person who is there whether to do it to jobs that were not named one by one."""
    if asked.sweeping and not asked.yes:
        meant = [*(job.metadata.name for job in jobs), *(run.name for run in runs)]
        app.say(f"these: {listed(meant)}")
        agree(app, f"{verb} {count(len(meant))}?")


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


def no_run(run: Presence) -> NoReturn:
    """Raise UsageError: it is no job."""
    raise UsageError(f"{run.name} is a run of jobman map, no job: this is not done to it")


def one_by_one(
    app: AppContext,
    found: Chosen,
    act: Callable[[Job], str],
    *,
    failed: str,
    of_run: Callable[[Presence], str] = no_run,
) -> None:
    """Do something to each job, as `side_by_side` does, but to one after the other."""
    problems = said(app, (done() for done in _acts(found, act, of_run)))
    _conclude(app, found, problems, failed)


def side_by_side(
    app: AppContext,
    found: Chosen,
    act: Callable[[Job], str],
    *,
    failed: str,
    of_run: Callable[[Presence], str] = no_run,
) -> None:
    """Do something to each job, several at once; a line on stdout for each that it was done to.

    `act` returns that line; an empty one is not written. Problems are said when all is done, with
    a summary after those of some jobs ("2 of 5 were not {failed}; the others were"). `of_run` is
    done to each run of `jobman map`; by default that is a mistake of the user's. Ctrl-C begins
    no more of them, and what has begun is told as ever; a second one ends jobman at once.
    """
    acts = _acts(found, act, of_run)
    pool = ThreadPoolExecutor(min(AT_ONCE, len(acts)) or 1)
    begun = deque(pool.submit(each) for each in acts)
    try:
        problems = said(app, _results(begun))
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        app.say("interrupted; what has begun is finished first (Ctrl-C again leaves it)")
        pool.shutdown(cancel_futures=True)
        say_problems(app, said(app, _results(begun)))
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    _conclude(app, found, problems, failed)


def _results(begun: deque[Future[T]]) -> Iterator[T]:
    """Of what was not given up; each is taken off when it is there."""
    while begun:
        results = [] if begun[0].cancelled() else [begun[0].result()]
        begun.popleft()
        yield from results


def _conclude(app: AppContext, found: Chosen, problems: Sequence[JobmanError], failed: str) -> None:
    """Report the problems; where a sweep left out all that it met, say so, and why."""
    left_out = len(found.left_out)
    report(app, [*found.missing, *problems], found.asked - left_out, failed)
    if left_out and left_out == found.asked:
        more = f"; {left_out - 1} more like it" if left_out > 1 else ""
        why = visible(found.left_out[0].message, newlines=True)
        app.say(f"no job was {failed}: {why}{more}")


def said(app: AppContext, results: Iterable[str | JobmanError]) -> list[JobmanError]:
    """Write what was done, as it comes; what went wrong."""
    problems = []
    for result in results:
        if isinstance(result, JobmanError):
            problems.append(result)
        elif result:
            app.write(result)
    return problems


def _acts(
    found: Chosen, act: Callable[[Job], str], of_run: Callable[[Presence], str]
) -> list[Callable[[], str | JobmanError]]:
    jobs = [partial(_one_job, found, act, job) for job in found.jobs]
    return [*jobs, *(partial(_one, partial(of_run, run)) for run in found.runs)]


def _one_job(found: Chosen, act: Callable[[Job], str], job: Job) -> str | JobmanError:
    done = _one(partial(act, job))
    if isinstance(done, UnfitError) and job.metadata.uid not in found.named:
        found.left_out.append(done)
        return ""
    return done


def _one(act: Callable[[], str]) -> str | JobmanError:
    try:
        return act()
    except JobmanError as error:
        return error


def report(
    app: AppContext,
    problems: Sequence[JobmanError],
    total: int,
    failed: str,
    *,
    looking: bool = False,
) -> None:
    """Say what went wrong with some of `total`, and raise; nothing where nothing did.

    Problems of one kind are raised as they are when nothing was done, as when only `looking`.
    """
    if not problems:
        return
    nothing_done = looking or len(problems) == total
    if nothing_done and len({problem.exit_code for problem in problems}) == 1:
        say_problems(app, problems[1:], told=[problems[0].hint])
        raise problems[0]
    say_problems(app, problems)
    done = total - len(problems)
    others = {0: "", 1: "; the other was"}.get(done, "; the others were")
    were = "was" if len(problems) == 1 else "were"
    raise JobmanError(f"{len(problems)} of {total} {were} not {failed}{others}")


def say_problems(
    app: AppContext, problems: Sequence[JobmanError], *, told: Iterable[str | None] = ()
) -> None:
    """Each problem, with its hint unless that is `told` already."""
    known = set(told)
    for problem in problems:
        app.say(f"error: {problem.message}")
        if problem.hint and problem.hint not in known:
            app.say(f"hint: {problem.hint}")
            known.add(problem.hint)
