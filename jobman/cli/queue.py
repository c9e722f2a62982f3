"""`jobman queue`: who waits for what, what runs, and what is free."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli import queue_publish
from jobman.cli.command import Group, app_context, command
from jobman.cli.screen import Interval, interval_of
from jobman.errors import UsageError
from jobman.values import names
from jobman.values.enums import Output, QueueBy

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.queue.snapshot import Snapshot
    from jobman.queue.sources import Query
    from jobman.queue.view import Choice, QueueView

FORMS = (Output.TABLE, Output.WIDE, Output.JSON, Output.YAML, Output.CSV)
_HELP = "Show the queue: who waits for what, what runs, what is mine, what is free."


class QueueGroup(Group):
    """`queue` shows the queue; `queue publish` is beneath it."""

    forms = FORMS


def register(app: typer.Typer) -> None:
    """Add the command."""
    family = typer.Typer(cls=QueueGroup, invoke_without_command=True, help=_HELP)
    family.callback(invoke_without_command=True)(queue)
    command(family, "publish")(queue_publish.publish)
    app.add_typer(family, name="queue", help=_HELP)


def queue(
    ctx: typer.Context,
    by: Annotated[
        str, typer.Option(metavar="WORD", help=f"A row is one of: {', '.join(QueueBy)}.")
    ] = QueueBy.FLAVOR,
    mine_only: Annotated[
        bool, typer.Option("--mine-only", help="Only rows in which I have pods.")
    ] = False,
    gpu_only: Annotated[
        bool, typer.Option("--gpu-only", help="Only rows whose pods ask for GPUs.")
    ] = False,
    all_flavors: Annotated[
        bool, typer.Option("--all-flavors", help="Also flavors of the settings without a pod.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep showing it as it changes; q ends.")
    ] = False,
    interval: Interval = "2s",
) -> None:
    """Show the queue: who waits for what, what runs, what is mine, what is free."""
    if ctx.invoked_subcommand is not None:
        return
    app = app_context(ctx)
    if app.options.output is not None and app.options.output not in FORMS:
        raise UsageError(f"'jobman queue' takes -o {'|'.join(FORMS)}, not {app.options.output}")
    rows, interval_s = parse_by(by), interval_of(interval)
    if all_flavors and rows is not QueueBy.FLAVOR:
        raise UsageError("--all-flavors goes with --by flavor alone")
    if watch:
        choice = _choice(app, rows, mine_only, gpu_only, all_flavors)
        _watch(app, query(app, rows), choice, interval_s)
        return
    asked, reading = _begin(app, rows)
    _show(app, asked, _choice(app, rows, mine_only, gpu_only, all_flavors), reading)


def parse_by(word: str) -> QueueBy:
    """What the rows are, by name."""
    known = {by.value: by for by in QueueBy}
    if word.lower() not in known:
        close = names.nearest(word, list(known))
        hint = f"closest: {close}" if close else f"all: {', '.join(known)}"
        raise UsageError(f"--by: no such rows as '{word}'", hint=hint)
    return known[word.lower()]


def gpu_rule(app: AppContext) -> Callable[[str], bool]:
    """What counts as a GPU: the settings' resources, else whatever is named so."""
    from jobman.config.flavors import is_gpu

    given = app.settings.values.jobs_queue.gpu_resources
    return is_gpu if given is None else frozenset(given).__contains__


def query(
    app: AppContext, by: QueueBy, *, nodes_alone: bool = False, holders: bool = False
) -> Query:
    """What to read, as the settings and the connection have it."""
    from jobman.queue.sources import Query

    settings = app.settings.values
    place = settings.jobs_queue
    return Query(
        user=app.user,
        namespace=app.client.namespace,
        is_gpu=gpu_rule(app),
        by=by,
        label=settings.job.resources.label,
        configmap=(place.namespace or app.client.namespace, place.configmap)
        if place.configmap
        else None,
        nodes_alone=nodes_alone,
        holders=holders,
        tolerations_final=app.client.connection.embedded,
    )


def _choice(
    app: AppContext, by: QueueBy, mine_only: bool, gpu_only: bool, all_flavors: bool
) -> Choice:
    from jobman.queue import flavors
    from jobman.queue.view import Choice

    return Choice(
        by=by,
        mine_only=mine_only,
        gpu_only=gpu_only,
        all_flavors=all_flavors,
        flavors=flavors.known(
            app.settings.values.job.resources.predefined,
            tolerations_final=app.client.connection.embedded,
        ),
    )


def _begin(app: AppContext, by: QueueBy) -> tuple[Query, Callable[[], Snapshot]]:
    """Begin to read: while the server answers, what counts and what shows is loaded."""
    from jobman.kube.beside import beside
    from jobman.queue import asking

    client, now = app.client, app.now()
    begun = asking.begin(client)
    from jobman.queue import sources

    asked = query(app, by)
    return asked, beside(lambda: sources.read(client, asked, begun, now=now))


def _show(app: AppContext, asked: Query, choice: Choice, reading: Callable[[], Snapshot]) -> None:
    from jobman.queue import view

    import_module("jobman.cli.render.queue")
    snapshot = reading()
    write(app, view.of(snapshot, choice, asked.is_gpu, now=snapshot.at))


def _watch(app: AppContext, asked: Query, choice: Choice, interval_s: float) -> None:
    from jobman.cli import screen
    from jobman.queue import view
    from jobman.queue.live import Live

    with Live(app.client, asked, now=app.now) as live:

        def draw(page: AppContext) -> int:
            snapshot = live.snapshot()
            write(page, view.of(snapshot, choice, asked.is_gpu, now=app.now()))
            return live.version

        screen.watch(app, draw, interval_s=interval_s)


def write(app: AppContext, view: QueueView) -> None:
    """Write the view in the form asked for."""
    from jobman.cli.render import forms
    from jobman.cli.render import queue as render

    match app.output():
        case Output.JSON:
            forms.write_json(app, view)
        case Output.YAML:
            forms.write_yaml(app, view)
        case Output.CSV:
            forms.write_csv(app, render.CSV_TITLES, render.csv_cells(view))
        case form:
            render.write(app, view, wide=form is Output.WIDE)
