"""`jobman map`: one pod per item of a list, and every log brought home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman.cli import map_words, offline, submission
from jobman.cli.boundary import INTERRUPTED
from jobman.cli.command import app_context, command
from jobman.cli.map_options import MapOptions
from jobman.cli.options import takes
from jobman.cli.submit_options import SubmitOptions
from jobman.errors import UsageError

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.map.items import Items
    from jobman.map.plan import Plan
    from jobman.map.template import Template

TEMPLATES = (".yaml", ".yml", ".json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "map", words=True)(takes(MapOptions)(map_items))


def map_items(
    ctx: typer.Context,
    *,
    options: MapOptions,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEMPLATE | [--] [WORD]...",
            help="A file with a Pod or a Job, or the command of each pod.",
        ),
    ] = None,
) -> None:
    """Run one pod per item and bring each log home as its pod ends.

    {{.Index}}, {{.Item}} and {{.Values.NAME}} stand for an item, in the template and in the
    command; in a command with -p or --seq also {NAME}. The run is its log directory: the same
    command again goes on where it stands.
    """
    app = app_context(ctx)
    items = _items(app, options)
    run = _run_id(options.log_dir)
    template = _template(app, options, words or (), items, run)
    _check_names(items, template)
    if options.print_only:
        _print(app, items, template)
    elif options.dry_run:
        app.write(f"{items.count} pods, as {map_words.names(items, template)}")
    elif code := _carry_out(app, _plan(app, options, items, template)):
        raise typer.Exit(code)


def _items(app: AppContext, options: MapOptions) -> Items:
    from jobman.map import items

    sources: dict[str, tuple[Any, Callable[[Any], Items]]] = {
        "-i": (options.items, lambda text: items.lines(_path(text), _stdin(app))),
        "-j": (options.json_items, lambda text: items.json_list(_path(text), _stdin(app))),
        "-b": (options.braces, items.braces),
        "-p": (options.params, lambda text: items.csv_rows(_path(text), _stdin(app))),
        "--seq": (options.seq, items.seq),
    }
    given = [(flag, value, read) for flag, (value, read) in sources.items() if value is not None]
    if len(given) != 1:
        told = ", ".join(flag for flag, _, _ in given) or "none is given"
        raise UsageError(f"one of {', '.join(sources)} is needed to name the items: {told}")
    _, value, read = given[0]
    return read(value)


def _path(text: str) -> Path | None:
    return None if text == "-" else Path(text)


def _stdin(app: AppContext) -> Any:
    return app.stdin.buffer


def _run_id(log_dir: Path) -> str:
    """That of the run that the directory holds, else a new one."""
    from jobman.map.ledger import known_run, new_run_id

    return known_run(log_dir) or new_run_id()


def _template(
    app: AppContext, options: MapOptions, words: Sequence[str], items: Items, run: str
) -> Template:
    from jobman.map.template import Template

    if not words:
        raise UsageError(
            "a template or a command is needed",
            hint="as in: jobman map -i items pod.yaml, or: jobman map -i items -- echo {{.Item}}",
        )
    if words[0].endswith(TEMPLATES):
        if len(words) > 1:
            raise UsageError(
                f"after the template nothing more is expected: {' '.join(words[1:])}",
                hint="options go before it",
            )
        return Template.of_file(Path(words[0]), run, items.columns)
    return Template.of_pod(_pod(app, options, words), run, items.columns, named=items.columns)


def _pod(app: AppContext, options: MapOptions, words: Sequence[str]) -> dict[str, Any]:
    """The pod of a command, as `jobman submit` would make it."""
    from jobman.jobs import manifest
    from jobman.kube import labels

    dry = options.dry_run or options.print_only
    embedded = offline.is_embedded(app, by_default=not dry)
    asked = SubmitOptions(
        flavor=options.flavor,
        image=options.image,
        env=options.env,
        workdir=options.workdir,
        volume=options.volume,
    )
    request = submission.request(app, asked, words, embedded=embedded)
    if embedded:
        request = submission.beside_the_caller(request, app.environ, Path.cwd())
    own = {**request.labels, labels.FLAVOR: request.flavor.name}
    notes = {**request.annotations, labels.FLAVOR_SPEC: manifest.flavor_spec(request)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": own, "annotations": notes},
        "spec": manifest.pod_spec(request),
    }


def _check_names(items: Items, template: Template) -> None:
    from jobman.map.names import problems as name_problems

    problems = name_problems(items, template)
    if problems:
        raise UsageError("\n".join(problems))


def _print(app: AppContext, items: Items, template: Template) -> None:
    from jobman.cli.render import forms

    for item in items:
        forms.write_documents(app, [template.expand(item)])


def _plan(app: AppContext, options: MapOptions, items: Items, template: Template) -> Plan:
    from jobman.map.plan import Plan

    return Plan(
        run=template.run,
        items=items,
        template=template,
        namespace=app.client.namespace,
        user=app.user,
        log_dir=options.log_dir,
        max_pending=options.max_pending,
        max_running=options.max_running,
        retries=options.retries,
        pace_s=options.pace,
        keep_pods=options.keep_pods,
        keep_failed_pods=options.keep_failed_pods,
        stream_logs=options.stream_logs,
        retry_failed=options.retry_failed,
        retry_reasons=frozenset(options.retry_reason or ()),
        rerun=options.rerun,
        keep_going=options.keep_going,
        no_wait=options.no_wait,
        settings={
            "maxPending": options.max_pending,
            "maxRunning": options.max_running,
            "retries": options.retries,
        },
    )


def _carry_out(app: AppContext, plan: Plan) -> int:
    from jobman.map import runner

    progress = map_words.ProgressWriter(app)
    try:
        result = runner.run(
            app.client,
            plan,
            report=progress,
            ask=lambda left: map_words.ask(app, progress, left),
            note=app.say,
        )
    except KeyboardInterrupt:
        progress.end()
        app.say("interrupted; what runs goes on, and the same command brings the logs home")
        raise
    finally:
        progress.end()
    map_words.summarize(app, result, plan)
    if result.interrupted:
        return INTERRUPTED
    return 0 if result.all_succeeded or (plan.no_wait and not result.failed) else 1
