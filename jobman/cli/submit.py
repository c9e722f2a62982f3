"""`jobman submit`: a command, or the Jobs of a manifest, to the cluster."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman import __version__
from jobman.cli import awaiting, drafts, each, fitting, manifest_file, offline, submission
from jobman.cli.awaiting import Submitted
from jobman.cli.command import app_context, command
from jobman.cli.drafts import Draft
from jobman.cli.options import takes
from jobman.cli.problems import Problems
from jobman.cli.submit_options import SubmitOptions
from jobman.errors import JobmanError, UnreachableError, UsageError
from jobman.values.duration import parse_duration
from jobman.values.enums import Output
from jobman.values.names import dns_label_problem

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.stamp import Stamp

FORMS = (Output.NAME, Output.JSON, Output.YAML)
NO_DRY_RUN = "does not support dry run"
"""What a server says whose admission webhooks cannot be asked without doing it."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "submit", forms=FORMS, words=True)(takes(SubmitOptions)(submit))


def submit(
    ctx: typer.Context,
    *,
    options: SubmitOptions,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[--] [WORD]...", help="The command, passed on word by word."),
    ] = None,
) -> None:
    """Submit a job and print its name.

    The words are the container's arguments (with -c its command), one by one and untouched by
    any shell: write sh -c '…' for pipes and variables. The first word that is no option of
    jobman's ends jobman's options; -- always does.
    """
    app = app_context(ctx)
    timeout_s = check_together(app, options)
    made = _drafts(app, options, words or ())
    if options.follow and len(made) > 1:
        raise UsageError(f"--follow follows one job, the manifest holds {len(made)}: take --wait")
    if options.dry_run:
        namespace = app.options.namespace or app.settings.values.namespace
        stamp = stamper(app, offline.user(app))
        write(app, [draft.manifest(stamp(), namespace=namespace) for draft in made], Output.YAML)
    elif options.server_dry_run:
        write(app, list(_create(app, made, dry_run=True)), Output.YAML)
    else:
        stamp = stamper(app, app.user)
        _check_all(app, made)
        fits = fitting.FitCheck(app, force=options.force, way="; --force submits it all the same")
        for draft in made:
            fits.check(draft.manifest(stamp()), draft.place)
        if code := _submit(app, made, options, timeout_s):
            raise typer.Exit(code)


def _drafts(app: AppContext, options: SubmitOptions, words: Sequence[str]) -> list[Draft]:
    """The jobs of the manifest, or the one of the command line."""
    if options.file is not None:
        return manifest_file.drafts(app, options.file, options, words)
    return [drafts.of_request(submission.complete(app, options, words, dry=options.dry_run))]


def check_together(app: AppContext, options: SubmitOptions) -> float | None:
    """The seconds of --timeout. Raises UsageError for options that exclude each other."""
    problems = Problems()
    waits = options.wait or options.follow
    dry = options.dry_run or options.server_dry_run
    if options.dry_run and options.server_dry_run:
        problems.add("--dry-run and --server-dry-run exclude each other")
    if dry and waits:
        problems.add("a dry run submits nothing to wait for: leave out --wait and --follow")
    if options.follow and app.options.output is not None:
        problems.add("with --follow the log is on stdout: leave out -o, or take --wait")
    if options.timeout is not None and not waits:
        problems.add("--timeout bounds --wait or --follow, and neither is given")
    namespace = app.options.namespace
    if namespace is not None and (problem := dns_label_problem(namespace)):
        problems.add(f"namespace '{namespace}': {problem}")
    timeout_s = problems.parse("--timeout", parse_duration, options.timeout)
    problems.report()
    return timeout_s


def _create(
    app: AppContext, made: Sequence[Draft], *, dry_run: bool = False
) -> Iterator[dict[str, Any]]:
    """Each job as the server has it, created one by one."""
    from jobman.jobs import service

    stamp = stamper(app, app.user)
    for number, draft in enumerate(made):
        manifest = draft.manifest(stamp())
        another = None if draft.name else draft.new_name
        try:
            yield service.submit(app.client, manifest, another_name=another, dry_run=dry_run)
        except JobmanError as error:
            if number and not dry_run:
                app.say(f"{number} of {len(made)} jobs were submitted before this one")
            raise draft.refused(error) from error
        except KeyboardInterrupt:
            name = manifest["metadata"]["name"]
            app.say(f"interrupted; job {name} may be there all the same: jobman details {name}")
            raise


def _check_all(app: AppContext, made: Sequence[Draft]) -> None:
    """Have the server look at several jobs before the first is created; tell all it refuses."""
    refused: list[JobmanError] = []
    for draft in made if len(made) > 1 else ():
        try:
            list(_create(app, [draft], dry_run=True))
        except UnreachableError:
            raise
        except JobmanError as error:
            if NO_DRY_RUN not in error.message:
                refused.append(error)
    if refused:
        each.say_problems(app, refused[1:], told=[refused[0].hint])
        app.say("no job was submitted")
        raise refused[0]


def _submit(
    app: AppContext, made: Sequence[Draft], options: SubmitOptions, timeout_s: float | None
) -> int:
    """Create, tell the names, wait if asked to; the exit code."""
    jobs: list[Submitted] = []
    with awaiting.interruptible(app, jobs):
        _create_and_tell(app, made, jobs, follow=options.follow)
        if options.follow:
            return awaiting.follow(app, jobs[0], timeout_s)
        if options.wait:
            return awaiting.wait(app, jobs, timeout_s)
        if len(jobs) == 1 and not options.hold:
            fitting.say_start(app, jobs[0])
        return 0


def _create_and_tell(
    app: AppContext, made: Sequence[Draft], jobs: list[Submitted], *, follow: bool
) -> None:
    """Create the jobs, each noted in `jobs` and named on stdout; on stderr beside a log."""
    created: list[dict[str, Any]] = []
    whole = app.output(Output.NAME) is not Output.NAME
    with names_not_lost(app, jobs):
        try:
            for found in _create(app, made):
                created.append(found)
                metadata = found["metadata"]
                namespace = metadata.get("namespace") or app.client.namespace
                jobs.append(Submitted(metadata["name"], namespace))
                if follow:
                    app.say(jobs[-1].name)
                elif not whole:
                    write(app, [found], Output.NAME)
        finally:
            if whole and created:
                write(app, created, Output.NAME)


@contextmanager
def names_not_lost(app: AppContext, jobs: Sequence[Submitted]) -> Iterator[None]:
    """Tell the jobs' names on stderr where stdout cannot take them (a full disk)."""
    try:
        try:
            yield
        finally:
            app.out.flush()
    except BrokenPipeError:
        raise
    except OSError:
        if jobs:
            app.say(f"submitted all the same: {', '.join(job.name for job in jobs)}")
        raise


def stamper(app: AppContext, user: str) -> Callable[[], Stamp]:
    """Makes the stamp of each job."""
    from jobman.jobs.stamp import Stamp

    return lambda: Stamp(user, app.now(), secrets.token_hex(8), __version__)


def write(app: AppContext, objects: list[dict[str, Any]], default: Output) -> None:
    """The objects in the form asked for; as JSON, several are one List."""
    from jobman.cli.render import forms

    match app.output(default):
        case Output.JSON:
            whole = {"apiVersion": "v1", "kind": "List", "items": objects}
            forms.write_json(app, objects[0] if len(objects) == 1 else whole)
        case Output.YAML:
            forms.write_documents(app, objects)
        case _:
            forms.write_lines(app, (found["metadata"]["name"] for found in objects))
