"""`jobman clean`: what is over, and what it left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import each
from jobman.cli.command import app_context, command
from jobman.cli.each import Chosen
from jobman.cli.named import Asked, Force, JobNames, Patterns, Yes
from jobman.cli.problems import Problems
from jobman.cli.sweep import OlderThan, Sweep
from jobman.errors import ApiNotFoundError, ConflictError, JobmanError, UsageError
from jobman.values.duration import parse_duration
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.leftovers import Leftover
    from jobman.kube.objects import Job


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "clean")(clean)


def clean(
    ctx: typer.Context,
    patterns: Patterns = None,
    job_names: JobNames = None,
    older_than: OlderThan = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would go; nothing is deleted.")
    ] = False,
    yes: Yes = False,
    force: Force = False,
) -> None:
    """Delete my jobs that are over, with pods and logs, and what jobs and maps left behind.

    Without names all of mine that are over, and ended pods, ConfigMaps and Secrets of mine whose
    job or map is gone, when they are older than ten minutes or --older-than. With names those
    jobs alone. What goes is shown first.
    """
    app = app_context(ctx)
    problems = Problems()
    age_s = problems.parse("--older-than", parse_duration, older_than)
    problems.report()
    words = [*(patterns or ()), *(job_names or ())]
    asked = Asked(words, swept=not words, yes=yes or dry_run, force=force)
    if asked.sweeping and not asked.yes and not app.can_ask:
        raise UsageError("-y is needed where nobody can be asked", hint="--dry-run only shows")
    found, wrong = _found(app, asked, age_s)
    if not found:
        each.report(app, wrong, len(wrong), "deleted")
        app.say(f"nothing to clean in namespace {app.client.namespace}")
        return
    _preview(app, found)
    if dry_run:
        each.report(app, wrong, len(found) + len(wrong), "found")
        return
    if app.can_ask and not yes:
        each.agree(app, "delete all this?")
    total = len(found) + len(wrong)
    each.report(app, [*wrong, *_delete(app, found)], total, "deleted")


def _found(
    app: AppContext, asked: Asked, age_s: float | None
) -> tuple[list[Leftover], list[JobmanError]]:
    """What goes, and what is wrong with the names."""
    from jobman.jobs import leftovers
    from jobman.jobs.find import jobs_of
    from jobman.kube.resources import JOBS

    chosen = (
        each.chosen(app, asked, "clean") if asked.words else Chosen(jobs_of(app.client, app.user))
    )
    sweep = Sweep(finished=True, older_than_s=age_s)
    jobs = sweep.of(app, chosen.jobs, everybody=asked.force)
    found = [leftovers.Leftover(JOBS, job.metadata) for job in jobs]
    if asked.words:
        over = {job.metadata.uid for job in jobs}
        staying = [job for job in chosen.jobs if job.metadata.uid not in over]
        # a glob means those that are over, a name means that very job
        wrong = [] if asked.sweeping else [_staying(job, age_s) for job in staying]
        return found, [*chosen.missing, *wrong]
    found += leftovers.find(
        app.client,
        app.user,
        going=jobs,
        now=app.now(),
        age_s=leftovers.YOUNG_S if age_s is None else age_s,
        unseen=lambda what: app.warn(f"no right to list {what}: not looked at"),
    )
    return found, []


def _staying(job: Job, age_s: float | None) -> JobmanError:
    name = job.metadata.name
    if job.metadata.deletion_timestamp is not None:
        return JobmanError(f"job {name} is being deleted already")
    since = "is not over" if age_s is None else "is not over for so long"
    return JobmanError(f"job {name} {since}", hint=f"jobman delete {name} deletes it all the same")


def _preview(app: AppContext, found: Sequence[Leftover]) -> None:
    """A line for each kind."""
    for kind, names in _by_kind(found).items():
        app.say(f"{len(names)} {kind}{'' if len(names) == 1 else 's'}: {each.listed(names)}")


def _by_kind(found: Iterable[Leftover]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for leftover in found:
        kinds.setdefault(leftover.resource.kind, []).append(visible(leftover.metadata.name))
    return kinds


def _delete(app: AppContext, found: Sequence[Leftover]) -> list[JobmanError]:
    """Delete all of it, several at once; what is gone is a line on stdout. What went wrong."""

    def one(leftover: Leftover) -> str | JobmanError:
        meta, resource = leftover.metadata, leftover.resource
        try:
            with contextlib.suppress(ApiNotFoundError, ConflictError):
                app.client.delete(resource, meta.name, namespace=meta.namespace, uid=meta.uid)
        except JobmanError as error:
            return error
        return f"{resource.kind.lower()}/{meta.name}"

    pool = ThreadPoolExecutor(each.AT_ONCE)
    try:
        return each.said(app, pool.map(one, found))
    finally:
        pool.shutdown(cancel_futures=True)
