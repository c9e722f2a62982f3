"""`jobman delete`: jobs, with their pods and logs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman.cli import each
from jobman.cli.command import app_context, command
from jobman.cli.named import Changed
from jobman.cli.options import takes
from jobman.cli.problems import Problems
from jobman.cli.sweep import OlderThan, Sweep
from jobman.errors import ApiNotFoundError, ConflictError, UsageError
from jobman.values.duration import parse_duration

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.kube.objects import Job, ObjectMeta
    from jobman.kube.resources import Resource
    from jobman.map.presence import Presence


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "delete")(takes(Changed)(delete))


def delete(
    ctx: typer.Context,
    options: Changed,
    finished: Annotated[
        bool, typer.Option("--finished", help="Those of mine that are over, well or badly.")
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Those of mine that failed or were cancelled.")
    ] = False,
    older_than: OlderThan = None,
    grace: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS", min=0, help="How long its processes have to end; 0 kills them."
        ),
    ] = None,
) -> None:
    """Delete jobs with their pods and logs; the names of the deleted go to stdout.

    With names, --finished, --failed and --older-than choose among the named.
    """
    app = app_context(ctx)
    problems = Problems()
    age_s = problems.parse("--older-than", parse_duration, older_than)
    problems.report()
    sweep = Sweep(finished=finished, failed=failed, older_than_s=age_s)
    asked = options.asked(swept=sweep.chooses)
    found = each.chosen(app, asked, "delete", runs=not sweep.chooses)
    if sweep.chooses and found.runs:
        raise UsageError(
            f"{found.runs[0].name} is a run of jobman map:"
            " --finished, --failed and --older-than choose among jobs"
        )
    found.jobs = sweep.of(app, found.jobs, everybody=options.force)
    if not found.asked:
        app.say("no job is meant: none of yours is over that long, or ended so")
        return
    names = [*(job.metadata.name for job in found.jobs), *(run.name for run in found.runs)]
    app.say(f"deleting {each.count(len(names))} with pods and logs: {each.listed(names)}")
    if app.can_ask and not options.yes:
        each.agree(app, f"delete {each.count(len(names))}?")

    def of_run(run: Presence) -> str:
        from jobman.map import reach

        reach.delete(app.client, run, user=app.user, now=app.now(), grace_s=grace)
        return run.name

    each.side_by_side(
        app, found, lambda job: _deleted(app, job, grace), failed="deleted", of_run=of_run
    )


def _deleted(app: AppContext, job: Job, grace_s: int | None) -> str:
    """Delete the job; its name. One that somebody else deleted meanwhile is deleted."""
    from jobman.jobs.standing import pods_of
    from jobman.kube.resources import JOBS, PODS

    meta = job.metadata
    pods = pods_of(app.client, job) if grace_s is not None else ()
    _gone(app, JOBS, meta, None)
    for pod in pods:
        # a Job's deletion has no grace period of its own; these are its pods' anyway
        _gone(app, PODS, pod.metadata, grace_s)
    return meta.name


def _gone(app: AppContext, resource: Resource[Any], meta: ObjectMeta, grace_s: int | None) -> None:
    with contextlib.suppress(ApiNotFoundError, ConflictError):
        app.client.delete(
            resource, meta.name, namespace=meta.namespace, uid=meta.uid, grace_s=grace_s
        )
