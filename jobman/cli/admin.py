"""`jobman admin`: what an administrator sets up once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman.cli.command import Group, app_context, command
from jobman.errors import UsageError
from jobman.values.enums import Output, PublisherAs
from jobman.values.names import dns_subdomain_problem

if TYPE_CHECKING:
    from jobman.cli.context import AppContext

_HELP = "For administrators: what is set up once for a cluster's users."
EVERYBODY = "system:authenticated"


def register(app: typer.Typer) -> None:
    """Add the commands `jobman admin …`."""
    family = typer.Typer(cls=Group, no_args_is_help=True, help=_HELP)
    command(family, "manifests", forms=(Output.YAML, Output.JSON))(manifests)
    app.add_typer(family, name="admin", help=_HELP)


def manifests(
    ctx: typer.Context,
    as_: Annotated[
        PublisherAs,
        typer.Option("--as", metavar="|".join(PublisherAs), help="What runs the publisher."),
    ] = PublisherAs.DEPLOYMENT,
    image: Annotated[
        str, typer.Option("--image", "-i", metavar="IMAGE", help="An image that has jobman in it.")
    ] = "jobman:latest",
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="How often a Deployment publishes.")
    ] = "30s",
    schedule: Annotated[
        str, typer.Option(metavar="CRON", help="When a CronJob publishes.")
    ] = "* * * * *",
    configmap: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The ConfigMap; else the settings', else jobman-queue."),
    ] = None,
    names: Annotated[
        bool, typer.Option("--names", help="Also who runs what, in the earlier tool's form.")
    ] = False,
    readers: Annotated[
        str, typer.Option(metavar="GROUP", help="The group that may read what is published.")
    ] = EVERYBODY,
    for_map: Annotated[
        bool, typer.Option("--map", help="Those of jobman map --detach instead: account, rights.")
    ] = False,
) -> None:
    """Print the manifests of a queue publisher: account, rights, and what runs it.

    For `kubectl apply -f -`. The namespace is that of -n, else jobsQueue.namespace; it must be
    there. The cluster is not asked.
    """
    app = app_context(ctx)
    from jobman.admin import publisher
    from jobman.cli.queue_publish import every_seconds

    if for_map:
        _of_map(app)
        return
    every_seconds(every)
    namespace, name = _published_where(app, configmap)
    found = publisher.manifests(
        publisher.Publisher(
            namespace=namespace,
            configmap=name,
            names_configmap=f"{name}-names" if names else None,
            image=image,
            workload=as_.value,
            every=every,
            schedule=schedule,
            readers=readers,
        )
    )
    _write(app, found)


def _published_where(app: AppContext, configmap: str | None) -> tuple[str, str]:
    """The namespace and the name of the ConfigMap."""
    from jobman.queue.publish import DEFAULT_CONFIGMAP

    settings = app.settings.values
    namespace = app.options.namespace or settings.jobs_queue.namespace or settings.namespace
    if not namespace:
        raise UsageError("no namespace is named to publish the queue in", hint="-n names it")
    name = configmap or settings.jobs_queue.configmap or DEFAULT_CONFIGMAP
    if problem := dns_subdomain_problem(name):
        raise UsageError(f"--configmap: '{name}' is no name: {problem}")
    return namespace, name


def _of_map(app: AppContext) -> None:
    """What the runners of a namespace need."""
    from jobman.admin import mapper

    settings = app.settings.values
    namespace = app.options.namespace or settings.namespace
    if not namespace:
        raise UsageError("no namespace is named for the maps to run in", hint="-n names it")
    _write(app, mapper.manifests(namespace, settings.map.service_account))


def _write(app: AppContext, found: list[dict[str, Any]]) -> None:
    from jobman.cli.render import forms

    if app.output(Output.YAML) is Output.JSON:
        forms.write_json(app, {"apiVersion": "v1", "kind": "List", "items": found})
    else:
        forms.write_documents(app, found)
