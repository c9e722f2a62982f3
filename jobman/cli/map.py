"""`jobman map`: one pod per item of a list, and every log brought home."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from jobman.cli import fitting, map_detach, map_runs, map_words, submission
from jobman.cli.boundary import INTERRUPTED
from jobman.cli.command import app_context
from jobman.cli.map_group import ARGUMENTS, WORDS, MapGroup, is_template
from jobman.cli.map_options import MapOptions
from jobman.cli.options import flags_given, takes
from jobman.cli.problems import Problems
from jobman.cli.submit_options import PodOptions, SubmitOptions
from jobman.errors import UsageError
from jobman.values.names import dns_label_problem
from jobman.values.text import is_utf8

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.map.command_line import CommandLine
    from jobman.map.items import Items
    from jobman.map.plan import Plan
    from jobman.map.template import Template

SHOWN = 3
_HELP = "Run one pod per item and bring each log home as its pod ends."


def register(app: typer.Typer) -> None:
    """Add the command, and those beneath it."""
    family = typer.Typer(cls=MapGroup, invoke_without_command=True, help=_HELP)
    words = "TEMPLATE | [--] WORD... | COMMAND"
    run = takes(MapOptions)(map_items)
    family.callback(invoke_without_command=True, subcommand_metavar=words)(run)
    map_runs.register(family)
    map_detach.register(family)
    app.add_typer(family, name="map")


def map_items(ctx: typer.Context, *, options: MapOptions) -> None:
    """Run one pod per item and bring each log home as its pod ends.

    TEMPLATE is a file with a Pod or a Job (.yaml, .yml, .json); or the words are the command of
    each pod. {{.Index}}, {{.Item}} and {{.Values.NAME}} stand for an item, in the template and in
    the words; in the words with -p also {NAME}, with --seq {i}. The run is its log directory: the
    same command again goes on where it stands.
    """
    if ctx.invoked_subcommand is not None:
        return
    app = app_context(ctx)
    words = ctx.meta.get(WORDS, [])
    _check(app, options, words)
    command = _command_line(ctx, options)
    items = _items(app, options)
    if not items.count:
        raise UsageError("there are no items: the list is empty")
    template = _template(app, options, words, items, _run_id(options.log_dir))
    for note in template.notes:
        app.say(f"note: {note}")
    _check_names(items, template)
    if options.print_only:
        _print(app, items, template)
        return
    if options.dry_run:
        _refuse_another(app, options, items, template, whole=is_template(words))
        _tell(app, options, items, template)
        return
    plan = _plan(app, options, items, template, command)
    _check_fit(app, items, template)
    if options.detach:
        map_detach.begin(app, plan)
    elif code := carry_out(app, plan):
        raise typer.Exit(code)


def _check(app: AppContext, options: MapOptions, words: Sequence[str]) -> None:
    """Raise UsageError with all options that cannot stand together."""
    problems = Problems()
    if not words:
        problems.add(
            "a template or a command is needed",
            "as in: jobman map -i items pod.yaml, or: jobman map -i items -- echo {{.Item}}",
        )
    if is_template(words):
        if len(words) > 1:
            problems.add(f"after the template nothing more is expected: {' '.join(words[1:])}")
        if flags := _of_pod(options):
            problems.add(f"a template says itself what its pod is: leave out {', '.join(flags)}")
    if options.rerun and (options.retry_failed or options.retry_reason):
        problems.add("--rerun runs everything again: leave out --retry-failed and --retry-reason")
    if options.detach and options.no_wait:
        problems.add("--detach waits for nothing: leave out --no-wait")
    if options.print_only and options.dry_run:
        problems.add("--print and --dry-run exclude each other")
    if options.log_dir.exists() and not options.log_dir.is_dir():
        problems.add(f"--log-dir {options.log_dir}: is no directory")
    namespace = app.options.namespace
    if namespace is not None and (problem := dns_label_problem(namespace)):
        problems.add(f"namespace '{namespace}': {problem}")
    problems.report()


def _of_pod(options: MapOptions) -> list[str]:
    """The options given that only a command's pod takes."""
    of_pod = {field.name for field in fields(PodOptions)}
    return [flag for name, flag in flags_given(options) if name in of_pod]


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
    if not given:
        raise UsageError(f"no items are given: one of {', '.join(sources)} names them")
    if len(given) > 1:
        told = " and ".join(flag for flag, _, _ in given)
        raise UsageError(f"{told} exclude each other: the items come from one of them")
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

    columns = items.columns
    if is_template(words):
        made = Template.of_file(Path(words[0]), run, columns)
        _check_namespace(app, made, words[0])
        return made
    pod, surroundings = _pod(app, options, words)
    made = Template.of_pod(pod, run, columns, named=columns)
    made.surroundings = surroundings
    return made


def _check_namespace(app: AppContext, template: Template, source: str) -> None:
    """A template that names another namespace than the one chosen is a mistake."""
    named = template.document["metadata"].get("namespace")
    if named is None:
        return
    chosen = app.options.namespace or app.settings.values.namespace
    if chosen is not None and named != chosen:
        raise UsageError(f"{source}: it names the namespace '{named}', chosen is '{chosen}'")
    if chosen is None:
        app.options = app.options.overlaid({"namespace": named})


def _pod(
    app: AppContext, options: MapOptions, words: Sequence[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The pod of a command, as `jobman submit` would make it; apart, the caller's variables."""
    from jobman.jobs import manifest
    from jobman.kube import labels

    dry = options.dry_run or options.print_only
    given = {field.name: getattr(options, field.name) for field in fields(PodOptions)}
    request = submission.complete(app, SubmitOptions(**given), words, dry=dry)
    own = {**request.labels, labels.FLAVOR: request.flavor.name}
    if queue := request.flavor.local_queue:
        own[manifest.QUEUE_LABEL] = queue
    notes = {**request.annotations, labels.FLAVOR_SPEC: manifest.flavor_spec(request)}
    surroundings = {k: v for k, v in request.caller_env.items() if k not in request.env}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": own, "annotations": notes},
        "spec": manifest.pod_spec(replace(request, caller_env={})),
    }
    return pod, manifest.variables(surroundings)


def _check_names(items: Items, template: Template) -> None:
    from jobman.map.names import problems as name_problems

    problems = name_problems(items, template)
    if problems:
        raise UsageError("\n".join(problems), hint="nothing was created")


def _check_fit(app: AppContext, items: Items, template: Template) -> None:
    """What the first pod asks for, all ask for as a rule."""
    from jobman.map.items import first
    from jobman.map.run_names import job_name

    head = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job_name(template.run)}}
    fits = fitting.FitCheck(app)
    for item in first(items, 1):
        fits.check(head | {"spec": {"template": template.expand(item)}})


def _print(app: AppContext, items: Items, template: Template) -> None:
    from jobman.cli.render import forms

    for item in items:
        if item.index:
            app.write("---")
        forms.write_documents(app, [template.expand(item)])


def _refuse_another(
    app: AppContext, options: MapOptions, items: Items, template: Template, *, whole: bool
) -> None:
    """What the run itself would refuse; not `whole`: a cluster says what the pod has besides."""
    from jobman.map import ledger

    if not (options.log_dir / "run.json").exists():
        return
    found = ledger.read(options.log_dir)
    namespace = app.options.namespace or app.settings.values.namespace or found.source.namespace
    digest = template.digest if whole else found.source.template
    source = ledger.Source(items.count, items.digest, digest, namespace)
    wanted = ledger.RunFile(run=found.run, source=source, template=template.document)
    ledger.refuse_another(found, wanted, options.log_dir)


def _tell(app: AppContext, options: MapOptions, items: Items, template: Template) -> None:
    """What would be done."""
    from jobman.map.items import first

    shown = [template.name(item) for item in first(items, SHOWN)]
    more = ", …" if items.count > len(shown) else ""
    app.write(f"items: {items.count}")
    app.write(f"pods: {', '.join(shown)}{more}")
    app.write(f"run: {template.run}")
    app.write(f"logs: {options.log_dir}")


def _command_line(ctx: typer.Context, options: MapOptions) -> CommandLine:
    """What was typed; a template's options may stand behind it.

    Raises UsageError where it cannot be written down: run.json is UTF-8.
    """
    from jobman.config.layers import working_directory
    from jobman.map.command_line import CommandLine

    given, words = ctx.meta[ARGUMENTS], ctx.meta[WORDS]
    typed = sys.argv[1:]
    before = typed[: -len(given)] if typed[-len(given) :] == given else ["map"]
    behind = 0 if is_template(words) else len(words)
    sources = (options.items, options.json_items, options.params)
    directory = working_directory()
    if directory is None:
        raise UsageError("the working directory was deleted, and jobman map must write it down")
    command = CommandLine(
        before=("jobman", *before),
        options=tuple(given[: len(given) - behind]),
        words=tuple(given[len(given) - behind :]),
        stdin="-" in sources,
        directory=str(directory),
    )
    for text in (*command.all, command.directory):
        if not is_utf8(text):
            raise UsageError(f"{text}: this name is not UTF-8, and jobman map must write it down")
    return command


def _plan(
    app: AppContext, options: MapOptions, items: Items, template: Template, command: CommandLine
) -> Plan:
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
        command=command,
    )


def carry_out(app: AppContext, plan: Plan) -> int:
    """Carry out the run here; the exit code."""
    from jobman.cli.map_progress import ProgressWriter
    from jobman.map import runner
    from jobman.map.run_names import job_name

    progress = ProgressWriter(app, job_name(plan.run))
    try:
        result = runner.run(
            app.client,
            plan,
            report=progress,
            ask=lambda left: map_words.ask(app, progress, left),
            note=progress.note,
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
