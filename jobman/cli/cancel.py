"""`jobman cancel`: stop jobs and keep what they wrote."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import typer

from jobman.cli import each, map_one
from jobman.cli.command import app_context, command
from jobman.cli.named import Changed
from jobman.cli.options import takes

if TYPE_CHECKING:
    from jobman.kube.objects import Job
    from jobman.map.presence import Presence

SLOW_S = 3.0
"""After this long it is said what is waited for."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "cancel")(takes(Changed)(cancel))


def cancel(ctx: typer.Context, options: Changed) -> None:
    """Stop jobs and keep their pods and logs; their state is Cancelled then.

    Running processes get SIGTERM, and SIGKILL when their grace period is over; the command
    returns when they have ended. What has not begun never begins. A job that is over stays as
    it is.
    """
    from jobman.jobs import cancel as cancelling

    app = app_context(ctx)
    asked = options.asked()
    found = each.chosen(app, asked, "cancel", runs=True)
    each.confirm(app, asked, found.jobs, "cancel", runs=found.runs)
    client, user = app.client, app.user

    def act(job: Job) -> str:
        if map_one.carries_run(job):
            from jobman.map import reach

            done, gone = reach.cancel_carried(client, job, user=user, now=app.now())
            return f"{job.metadata.name} {done}; {gone} of its pods deleted"
        return f"{job.metadata.name} {cancelling.cancel(client, job, user=user, now=app.now())}"

    def of_run(run: Presence) -> str:
        from jobman.map import reach

        if run.is_over:
            return f"{run.name} is over already"
        gone = reach.cancel(client, run, user=user, now=app.now())
        return f"{run.name} cancelled; {gone} of its pods deleted"

    slow = threading.Timer(SLOW_S, app.say, ["waiting for processes to end"])
    slow.daemon = True
    slow.start()
    try:
        each.side_by_side(app, found, act, failed="cancelled", of_run=of_run)
    finally:
        slow.cancel()
