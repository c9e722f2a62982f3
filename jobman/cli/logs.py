"""`jobman logs`: what a job's pods have written, unchanged to the byte."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import completion
from jobman.cli.command import Command, app_context, command
from jobman.errors import ApiNotFoundError, JobmanError, UsageError
from jobman.values.duration import parse_duration
from jobman.values.enums import State

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.logs import LogCopy
    from jobman.jobs.state import JobView
    from jobman.kube.objects import Job, Pod


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "logs")(logs)
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command("log", cls=Command, hidden=True, context_settings=anything)(log)


def logs(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="The job: its name, or LAST.", autocompletion=completion.jobs
        ),
    ] = None,
    job_name: Annotated[
        str | None,
        typer.Option(
            "-j",
            "--job-name",
            metavar="NAME",
            help="The job, as an option.",
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
) -> None:
    """Print the logs of a job's pods, one pod after the other, as they were written."""
    app = app_context(ctx)
    since_s = seconds_since(since)
    word = one_name(name, job_name)
    from jobman.jobs.find import find_one

    job = find_one(app.client, word, app.user)
    if follow:
        _follow(app, job, tail, since_s, timestamps)
    else:
        _print(app, job, tail, since_s, timestamps)


def log() -> None:
    """Say that the command is called `logs`."""
    raise UsageError("there is no command 'log'", hint="jobman logs NAME")


def one_name(argument: str | None, option: str | None) -> str:
    """The job named by the argument or by -j."""
    if argument is not None and option is not None and argument != option:
        raise UsageError(f"two jobs are named: '{argument}' and -j '{option}'; one is needed")
    word = argument if argument is not None else option
    if not word:
        raise UsageError("no job is named", hint="a name, or LAST for the job submitted last")
    return word


def seconds_since(text: str | None) -> int | None:
    """The whole seconds, at least one, that the server takes."""
    if text is None:
        return None
    try:
        return max(math.ceil(parse_duration(text)), 1)
    except ValueError as error:
        raise UsageError(f"--since {text}: {error}") from error


def _follow(
    app: AppContext, job: Job, tail: int | None, since_s: int | None, timestamps: bool
) -> None:
    from jobman.cli.render.forms import binary
    from jobman.cli.render.status_line import StatusLine
    from jobman.jobs.wait import follow

    name = job.metadata.name
    line = StatusLine(app)
    try:
        view = follow(
            app.client,
            name,
            job.metadata.namespace,
            out=binary(app),
            on_state=lambda view: line.waiting(name, view),
            tail=tail,
            since_s=since_s,
            timestamps=timestamps,
        )
    finally:
        line.clear()
    if view.state is State.STUCK or not any(pod.has_started for pod in view.pods):
        raise no_log(name, view)


def _print(
    app: AppContext, job: Job, tail: int | None, since_s: int | None, timestamps: bool
) -> None:
    from jobman.cli.render.forms import binary
    from jobman.jobs import state
    from jobman.jobs.logs import LogCopy
    from jobman.kube.labels import JOB_NAME
    from jobman.kube.resources import PODS

    meta = job.metadata
    client = app.client
    pods = client.list(PODS, namespace=meta.namespace, labels=f"{JOB_NAME}={meta.name}").items
    own = [pod for pod in pods if any(o.uid == meta.uid for o in pod.metadata.owner_references)]
    view = state.of(job, own, now=app.now())
    by_name = {pod.metadata.name: pod for pod in own}
    found = False
    for pod_view in view.pods:
        if pod_view.has_started:
            copy = LogCopy(binary(app), timestamps=timestamps)
            found |= _copied(app, by_name[pod_view.name], copy, tail, since_s)
    if not found:
        raise no_log(meta.name, _explained(app, job))


def _copied(
    app: AppContext, pod: Pod, copy: LogCopy, tail: int | None, since_s: int | None
) -> bool:
    from jobman.jobs.logs import copy_log

    try:
        return copy_log(app.client, pod, copy, tail=tail, since_s=since_s)
    except ApiNotFoundError:
        app.warn(f"pod {pod.metadata.name} was deleted meanwhile, and its log with it")
        return False


def _explained(app: AppContext, job: Job) -> JobView:
    """The job's state, with what events say."""
    from jobman.jobs import state, whole

    meta = job.metadata
    found = whole.read(app.client, meta.name, namespace=meta.namespace)
    return state.of(found.typed_job, found.typed_pods, found.typed_events, now=app.now())


def no_log(name: str, view: JobView) -> JobmanError:
    """Why there is nothing to print."""
    from jobman.cli.render.status_line import describe

    if view.finished and not view.pods:
        return JobmanError(
            f"job {name} has no log: its pods are gone, and their logs with them",
            hint=f"jobman details {name}",
        )
    yet = "" if view.finished or view.state is State.STUCK else " yet"
    hint = f"jobman details {name}" if not yet else f"jobman logs -f {name} waits for it"
    return JobmanError(f"job {name} has no log{yet}: {describe(view)}", hint=hint)
