"""`jobman map --detach`: the run as a Job in the cluster; `map status`, `logs`, `cancel` of it."""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman import __version__
from jobman.cli.command import app_context, command
from jobman.errors import ApiNotFoundError, ConfigError, NotFoundError
from jobman.values.names import dns_label_problem

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.map.plan import Plan

_Run = Annotated[str, typer.Argument(metavar="RUN", help="The run, as --detach printed it.")]
_HANDED_ON = ("HOME", "PATH", "XDG_STATE_HOME", "JOBMAN_LOCAL_STATE")


def register(family: typer.Typer) -> None:
    """Add the commands beneath `jobman map`."""
    command(family, "status")(status)
    command(family, "logs")(logs)
    command(family, "cancel")(cancel)
    command(family, "carry-out", hidden=True)(carry_out)


def begin(app: AppContext, plan: Plan) -> None:
    """Hand the run to the cluster; its id goes to stdout."""
    from jobman.jobs import service
    from jobman.jobs.stamp import Stamp
    from jobman.kube.resources import CONFIGMAPS
    from jobman.map import detached

    files = detached.parcel(plan)
    stamp = Stamp(plan.user, app.now(), secrets.token_hex(8), __version__)
    if app.client.connection.embedded:
        pod = _on_this_machine(app, plan, files)
    else:
        pod = detached.pod_of_site(plan.run, files, _site(app), plan.namespace)
        for manifest in detached.config_maps(plan.run, files, stamp.labels):
            app.client.create(CONFIGMAPS, manifest)
    job = detached.job(plan.run, pod, stamp.labels, stamp.annotations)
    service.submit(app.client, job)
    app.write(plan.run)
    app.say(f"the run goes on inside the cluster: jobman map status {plan.run}")


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

    app = app_context(ctx)
    items, template, chosen = detached.unpack(directory)
    job = app.client.get(JOBS, detached.job_name(template.run))
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


def status(ctx: typer.Context, run: _Run) -> None:
    """Show how a detached run stands: its runner, its pods, and what it said last."""
    from jobman.jobs.state import of
    from jobman.kube.resources import PODS
    from jobman.map import pods

    app = app_context(ctx)
    job = _job(app, run)
    runners = app.client.list(PODS, labels=f"batch.kubernetes.io/job-name={job.metadata.name}")
    view = of(job, runners.items, now=app.now())
    reason = f" ({view.reason})" if view.reason else ""
    app.write(f"runner: {job.metadata.name} {view.state}{reason}")
    phases: Counter[str] = Counter()
    for page in app.client.pages(PODS, labels=pods.selector(run)):
        phases.update(pod.status.phase or "Pending" for pod in page.items)
    told = ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items()))
    app.write(f"pods: {told or 'none'}")
    if said := _last_words(app, runners.items):
        app.write(f"said: {said}")


def _last_words(app: AppContext, runners: list[Any]) -> str:
    """The last line of the newest runner's log."""
    from jobman.errors import JobmanError
    from jobman.values.text import visible

    if not runners:
        return ""
    newest = max(runners, key=lambda pod: pod.metadata.creation_timestamp or "")
    try:
        with app.client.log(newest.metadata.name, tail=1) as stream:
            line = b"".join(stream).decode("utf-8", "replace").strip()
    except JobmanError:
        return ""
    return visible(line, limit=300)


def logs(ctx: typer.Context, run: _Run) -> None:
    """Print what a detached run's runner says; the items' logs are on its volume."""
    from jobman.kube.resources import PODS

    app = app_context(ctx)
    job = _job(app, run)
    runners = app.client.list(PODS, labels=f"batch.kubernetes.io/job-name={job.metadata.name}")
    if not runners.items:
        raise NotFoundError(f"the runner of {run} has no pod yet")
    for pod in sorted(runners.items, key=lambda pod: str(pod.metadata.creation_timestamp)):
        with app.client.log(pod.metadata.name) as stream:
            for chunk in stream:
                app.out.buffer.write(chunk)
        app.out.flush()


def cancel(ctx: typer.Context, run: _Run) -> None:
    """Stop a detached run: its runner, then the pods of its items; logs that are home stay."""
    from jobman.kube.resources import CONFIGMAPS, JOBS, PODS
    from jobman.map import detached, homecoming, pods

    app = app_context(ctx)
    job = _job(app, run)
    app.client.delete(JOBS, job.metadata.name, uid=job.metadata.uid)
    gone = 0
    while found := app.client.list(PODS, labels=pods.selector(run)).items:
        fresh = [pod for pod in found if pod.metadata.deletion_timestamp is None]
        for pod in fresh:
            homecoming.remove(app.client, pod.metadata.name, pod.metadata.uid)
            gone += 1
        if not fresh:
            break
    for page in app.client.pages(CONFIGMAPS, labels=f"{detached.MAP}={run}"):
        for found_map in page.items:
            app.client.delete(CONFIGMAPS, found_map.metadata.name)
    app.write(run)
    app.say(f"cancelled; {gone} pods deleted")


def _job(app: AppContext, run: str) -> Any:
    """The runner's Job; NotFoundError where there is none, OwnershipError where it is another's."""
    from jobman.errors import OwnershipError
    from jobman.jobs.find import owner
    from jobman.kube.resources import JOBS
    from jobman.map.detached import job_name

    name = job_name(run.removeprefix("map-"))
    if dns_label_problem(name):
        raise NotFoundError(f"there is no detached run '{run}'")
    try:
        job = app.client.get(JOBS, name)
    except ApiNotFoundError as error:
        raise NotFoundError(
            f"there is no detached run '{run}' in namespace {app.client.namespace}",
            hint="a run of jobman map without --detach is its log directory: see run.json there",
        ) from error
    if owner(job) != app.user:
        raise OwnershipError(f"run {run} is of {owner(job) or 'nobody known'}, not yours")
    return job
