"""`jobman map --detach`: the run as a Job in the cluster."""

from __future__ import annotations

import contextlib
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman import __version__
from jobman.cli.command import app_context, command
from jobman.errors import ApiNotFoundError, ConfigError, ForbiddenError, JobmanError

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.map.plan import Plan

_HANDED_ON = ("HOME", "PATH", "XDG_STATE_HOME", "JOBMAN_LOCAL_STATE")


def register(family: typer.Typer) -> None:
    """Add the command that the Job carries out."""
    command(family, "carry-out", hidden=True)(carry_out)


def begin(app: AppContext, plan: Plan) -> None:
    """Hand the run to the cluster; its id goes to stdout."""
    from jobman.jobs import service
    from jobman.jobs.stamp import Stamp
    from jobman.kube.resources import CONFIGMAPS
    from jobman.map import detached
    from jobman.map.ledger import Ledger
    from jobman.map.runner import run_file

    files = detached.parcel(plan)
    site = None if app.client.connection.embedded else _site(app)
    _make_room(app, plan)
    # here it may hold nothing but run.json, so that the same command takes up the same run
    Ledger.open(plan.log_dir, run_file(app.client, plan))
    stamp = Stamp(plan.user, app.now(), secrets.token_hex(8), __version__)
    if site is None:
        pod = _on_this_machine(app, plan, files)
    else:
        pod = detached.pod_of_site(plan.run, files, site, plan.namespace)
        for manifest in detached.config_maps(plan.run, files, stamp.labels):
            app.client.create(CONFIGMAPS, manifest)
    job = detached.job(plan.run, pod, stamp.labels, stamp.annotations)
    made = service.submit(app.client, job)
    if site is not None:
        _give_to_job(app, plan.run, made["metadata"]["uid"])
    app.write(plan.run)
    app.say(f"the run goes on inside the cluster: jobman map status {plan.run}")


def _give_to_job(app: AppContext, run: str, uid: str) -> None:
    """Have the ConfigMaps go when the Job goes; its pod needed them before it was there."""
    from jobman.kube.resources import CONFIGMAPS
    from jobman.map import detached
    from jobman.map.run_names import job_name

    owned = {"metadata": {"ownerReferences": [detached.owner(job_name(run), uid)]}}
    with contextlib.suppress(ForbiddenError, ApiNotFoundError):
        for page in app.client.pages(CONFIGMAPS, labels=f"{detached.MAP}={run}"):
            for found in page.items:
                app.client.patch(CONFIGMAPS, found.metadata.name, owned)


def _remove_parcel(app: AppContext, run: str) -> None:
    """Delete the ConfigMaps of a run."""
    from jobman.kube.resources import CONFIGMAPS
    from jobman.map import detached

    for page in app.client.pages(CONFIGMAPS, labels=f"{detached.MAP}={run}"):
        for found in page.items:
            with contextlib.suppress(ApiNotFoundError):
                app.client.delete(CONFIGMAPS, found.metadata.name)


def _make_room(app: AppContext, plan: Plan) -> None:
    """Delete what an earlier runner of the run left, which has ended; JobmanError if it has not."""
    from jobman.jobs import state
    from jobman.kube.resources import JOBS
    from jobman.map.run_names import job_name
    from jobman.map.status import runners

    with contextlib.suppress(ApiNotFoundError):
        job = app.client.get(JOBS, job_name(plan.run))
        view = state.of(job, runners(app.client, job), now=app.now())
        if not view.state.finished:
            raise JobmanError(
                f"the run goes on inside the cluster: {job.metadata.name} is {view.state}",
                hint=f"jobman map status {plan.run}; jobman map cancel {plan.run} ends it",
            )
        app.client.delete(JOBS, job.metadata.name, uid=job.metadata.uid)
    _remove_parcel(app, plan.run)


def _site(app: AppContext) -> Any:
    """Where runners run, by the settings. Raises ConfigError with what is missing."""
    from jobman.map.detached import Site

    settings = app.settings.values.map
    missing = [key for key in ("image", "claim") if not getattr(settings, key)]
    if missing or not settings.image or not settings.claim:
        raise ConfigError(
            f"--detach: the settings lack {', '.join(f'map.{key}' for key in missing)}",
            hint="map.image is an image with jobman in it, map.claim the PersistentVolumeClaim"
            " for the logs; jobman admin manifests --map prints the account and its rights",
        )
    return Site(settings.image, settings.service_account, settings.claim)


def _on_this_machine(app: AppContext, plan: Plan, files: dict[str, bytes]) -> dict[str, Any]:
    """The pod of a runner that is a process of this machine; its parcel is beside its logs."""
    from jobman.map import detached
    from jobman.values.files import replace_file

    place = plan.log_dir.absolute()
    for name, data in files.items():
        replace_file(place / ".parcel" / name, data)
    env = {name: app.environ[name] for name in _HANDED_ON if name in app.environ}
    words = ["-m", "jobman", "--local", "-n", plan.namespace, "map", "carry-out"]
    return detached.pod_of_machine(
        [sys.executable, *words, str(place / ".parcel"), "--log-dir", str(place)],
        str(Path.cwd()),
        {**env, "PYTHONUNBUFFERED": "1"},
    )


def carry_out(
    ctx: typer.Context,
    directory: Annotated[Path, typer.Argument(help="The parcel.")],
    log_dir: Annotated[Path, typer.Option(metavar="DIR", help="Where the logs go.")],
) -> None:
    """Carry out a run that was handed to the cluster."""
    from jobman.cli import map as map_command
    from jobman.kube.resources import JOBS
    from jobman.map import detached
    from jobman.map.plan import Plan
    from jobman.map.run_names import job_name

    app = app_context(ctx)
    items, template, chosen = detached.unpack(directory)
    job = app.client.get(JOBS, job_name(template.run))
    template.owner = detached.owner(job.metadata.name, job.metadata.uid)
    plan = Plan(
        items=items,
        template=template,
        namespace=app.client.namespace,
        log_dir=log_dir,
        **chosen,
    )
    if code := map_command.carry_out(app, plan):
        raise typer.Exit(code)
