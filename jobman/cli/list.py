"""`jobman list`: the jobs, newest first."""

from __future__ import annotations

from collections.abc import Set
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

import typer

from jobman.cli import each
from jobman.cli.command import app_context, command
from jobman.cli.list_options import SORTS, TERMINAL_LIMIT, ListOptions
from jobman.cli.options import seconds_of, takes
from jobman.cli.screen import interval_of
from jobman.errors import NotFoundError, UsageError
from jobman.values import names, selectors
from jobman.values.enums import Output, State
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.listing import JobRow, ListQuery
    from jobman.jobs.tasks import TaskRow

FORMS = (Output.TABLE, Output.WIDE, Output.JSON, Output.YAML, Output.NAME, Output.CSV)


class Spread(TypedDict):
    """What varies among the jobs of a table."""

    namespaces: bool
    users: bool
    wide: bool


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "list", forms=FORMS)(takes(ListOptions)(list_jobs))


def list_jobs(ctx: typer.Context, options: ListOptions) -> None:
    """List jobs, newest first: mine, unless told otherwise."""
    app = app_context(ctx)
    interval_s = interval_of(options.interval)
    if options.watch and options.tasks:
        raise UsageError("--watch shows jobs, not --tasks")
    query = _query(app, options)
    most = most_rows(app, options.limit)
    if options.watch:
        from jobman.cli import list_watch

        list_watch.watch(app, query, most=most, interval_s=interval_s)
    elif options.tasks:
        tasks = _tasks(app, query)
        _write_tasks(app, tasks[:most])
        _require(query, {task.job for task in tasks})
    else:
        _list(app, query, most)


def _query(app: AppContext, options: ListOptions) -> ListQuery:
    from jobman.jobs.listing import ListQuery
    from jobman.kube.resources import JOBS

    labels = _selector(options.labels)
    for word in options.patterns or ():
        JOBS.check_name(word)
    words, since = tuple(_word(app, word) for word in options.patterns or ()), options.since
    states = parse_states(options.state or [])
    ago = None if since is None else timedelta(seconds=seconds_of("--since", since))
    gpus = app.settings.values.jobs_queue.gpu_resources
    return ListQuery(
        user="" if options.all_users and names.LAST not in words else app.user,
        everybody=options.all_users,
        namespace=None if options.all_namespaces else app.client.namespace,
        words=words,
        states=states,
        labels=labels,
        gpu_resources=None if gpus is None else frozenset(gpus),
        since=None if ago is None else app.now() - ago,
        sort=_sort(options.sort),
    )


def _selector(text: str | None) -> str | None:
    """The label selector, if it is one as far as that can be told here."""
    if text is not None and (problem := selectors.selector_problem(text)):
        raise UsageError(f"--selector: {visible(problem)}", hint=selectors.FORMS)
    return text


def _word(app: AppContext, word: str) -> str:
    """The word; for LAST the run's name where that is what it means."""
    if word != names.LAST:
        return word
    from jobman.jobs.find import jobs_of, last_of

    run = each.last_run(app, last_of(jobs_of(app.client, app.user)))
    return run.name if run else word


def _list(app: AppContext, query: ListQuery, most: int | None) -> None:
    from jobman.jobs.listing import rows
    from jobman.map import among

    runs, now = among.begin(app.client, query, now=app.now()), app.now()
    jobs = rows(app.client, query, now=now)
    found = runs().rows(jobs, query, now=now)
    shown = found[:most]
    write(app, query, shown)
    if len(shown) < len(found):
        app.say(f"and {len(found) - len(shown)} more (--limit 0 shows all)")
    _require(query, {row.name for row in found})
    if not found and app.output() in (Output.TABLE, Output.WIDE):
        app.say(_none(query))


def _require(query: ListQuery, found: Set[str]) -> None:
    """Raise NotFoundError for a name that no job has; a filter may have left its job out."""
    if query.states or query.labels or query.since is not None:
        return
    plain = [w for w in query.words if w != names.LAST and not names.is_glob(w)]
    missing = [visible(word, limit=80) for word in dict.fromkeys(plain) if word not in found]
    if missing:
        whose, where = _whose_where(query)
        raise NotFoundError(f"{whose} {where} is called {' or '.join(missing)}")


def _tasks(app: AppContext, query: ListQuery) -> list[TaskRow]:
    from jobman.jobs.listing import tasks_by_row
    from jobman.jobs.order import ordered
    from jobman.map import among

    runs, now = among.begin(app.client, query, now=app.now()), app.now()
    jobs = tasks_by_row(app.client, query, now=now)
    found = runs().tasks(jobs, query, now=now)
    return [task for row in ordered(found, query.sort) for task in found[row]]


def parse_states(words: list[str]) -> frozenset[State]:
    """States by name, several in one word with commas, in any case."""
    known = {state.lower(): state for state in State}
    asked = [part.strip() for word in words for part in word.split(",") if part.strip()]
    unknown = [part for part in asked if part.lower() not in known]
    if unknown:
        close = names.nearest(unknown[0], list(State))
        hint = f"closest: {close}; all: {', '.join(State)}" if close else f"all: {', '.join(State)}"
        raise UsageError(f"--state: no state is called '{unknown[0]}'", hint=hint)
    return frozenset(known[part.lower()] for part in asked)


def most_rows(app: AppContext, limit: int | None) -> int | None:
    """How many rows to show; None is all."""
    if limit is not None:
        return limit or None
    tables = (Output.TABLE, Output.WIDE)
    return TERMINAL_LIMIT if app.out_is_terminal and app.output() in tables else None


def write(app: AppContext, query: ListQuery, found: list[JobRow]) -> None:
    """Write the rows in the form asked for."""
    from jobman.cli.render import forms, jobs
    from jobman.cli.render.table import write_table

    match app.output():
        case Output.JSON:
            forms.write_json_rows(app, found)
        case Output.YAML:
            forms.write_yaml(app, found)
        case Output.CSV:
            forms.write_csv(app, jobs.CSV_TITLES, jobs.csv_cells(found))
        case Output.NAME:
            forms.write_lines(app, (row.name for row in found))
        case form:
            spread = spread_of(query, form)
            now = app.now()
            cells = [jobs.cells(row, now, **spread) for row in found]
            if found:
                write_table(app, jobs.columns(**spread), cells)


def spread_of(query: ListQuery, form: Output) -> Spread:
    """Which columns there are."""
    return {
        "namespaces": query.namespace is None,
        "users": query.everybody,
        "wide": form is Output.WIDE,
    }


def _write_tasks(app: AppContext, found: list[TaskRow]) -> None:
    from jobman.cli.render import forms, jobs
    from jobman.cli.render.table import write_table

    match app.output():
        case Output.JSON:
            forms.write_json_rows(app, found)
        case Output.YAML:
            forms.write_yaml(app, found)
        case Output.CSV:
            forms.write_csv(app, jobs.TASK_CSV_TITLES, jobs.task_csv_cells(found))
        case Output.NAME:
            forms.write_lines(app, (row.pod for row in found if row.pod))
        case _ if found:
            write_table(app, jobs.TASKS, [jobs.task_cells(row) for row in found])


def _sort(word: str) -> str:
    if word.removeprefix("-") not in SORTS:
        close = names.nearest(word.removeprefix("-"), SORTS)
        hint = f"closest: {close}" if close else f"all: {', '.join(SORTS)}"
        raise UsageError(f"--sort: there is no '{word}'", hint=hint)
    return word


def _none(query: ListQuery) -> str:
    whose, where = _whose_where(query)
    whose = whose.replace("job", "jobs")
    filters = (query.words, query.states, query.labels, query.since)
    narrowed = " that fit" if any(filters) else ""
    return f"{whose}{narrowed} {where}"


def _whose_where(query: ListQuery) -> tuple[str, str]:
    whose = "no job" if query.everybody else "no job of yours"
    where = "in any namespace" if query.namespace is None else f"in namespace {query.namespace}"
    return whose, where
