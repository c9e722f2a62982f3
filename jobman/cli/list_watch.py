"""`jobman list --watch`: redrawn in place on a terminal, elsewhere a line for each change."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING

from jobman.cli import screen
from jobman.cli.list import spread_of, write
from jobman.errors import UsageError
from jobman.values.enums import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from jobman.cli.context import AppContext
    from jobman.cli.render.table import PlainTable
    from jobman.jobs.listing import JobRow, ListQuery
    from jobman.jobs.live import LiveJobs
    from jobman.kube.objects import Event
    from jobman.map.live import LiveRuns

REFUSALS_S = 10.0
"""How often it is asked why jobs have no pods."""
LOOK_AGAIN_S = 5.0
"""Trouble that lasts makes a job stuck without any change to watch."""


def watch(app: AppContext, query: ListQuery, *, most: int | None, interval_s: float) -> None:
    """Show the jobs as they change, until Ctrl-C; on a terminal also until q.

    That is how it ends, and no failure.
    """
    if app.output() is Output.YAML:
        raise UsageError("--watch takes -o table, wide, json, csv or name")
    from jobman.jobs.live import LiveJobs

    everywhere = query.namespace is None
    live = LiveJobs(
        app.client,
        namespace=query.namespace,
        all_namespaces=everywhere,
        selector=query.selector,
        job_selector=query.labels,
    )
    with live, _runs(app, query, live) as runs:
        rows = _Rows(app, query, live, runs)
        if app.out_is_terminal and app.output() in (Output.TABLE, Output.WIDE):

            def draw(page: AppContext) -> int:
                live.wait(0)
                write(page, query, rows.at(page.now())[:most])
                return live.version

            screen.watch(app, draw, interval_s=interval_s)
        else:
            with suppress(KeyboardInterrupt):
                _lines(app, query, live, lambda now: rows.at(now)[:most], interval_s)


def _runs(
    app: AppContext, query: ListQuery, live: LiveJobs
) -> AbstractContextManager[LiveRuns | None]:
    from jobman.map.among import may_be_meant
    from jobman.map.live import LiveRuns

    return LiveRuns(app.client, query, live.touch) if may_be_meant(query) else nullcontext()


class _Rows:
    """The rows of what is known at a moment."""

    def __init__(
        self, app: AppContext, query: ListQuery, live: LiveJobs, runs: LiveRuns | None
    ) -> None:
        self._app = app
        self._query = query
        self._live = live
        self._runs = runs
        self._refused: Mapping[str, list[Event]] = {}
        self._asked_at = float("-inf")

    def at(self, now: datetime) -> list[JobRow]:
        from jobman.jobs.listing import refusals, rows_of

        jobs, pods = self._live.jobs.values(), self._live.pod_views(now=now)
        if time.monotonic() - self._asked_at >= REFUSALS_S:
            self._asked_at = time.monotonic()
            self._refused = refusals(self._app.client, self._query.namespace, jobs, pods)
        found = rows_of(jobs, pods, self._refused, self._query, now=now)
        return self._runs.at(now).rows(found, self._query, now=now) if self._runs else found


def _lines(
    app: AppContext,
    query: ListQuery,
    live: LiveJobs,
    rows: Callable[[datetime], list[JobRow]],
    interval_s: float,
) -> None:
    """Write the rows that are new or have changed, again and again."""
    from msgspec.structs import replace

    known: dict[tuple[str, str], JobRow] = {}
    writer = _Writer(app, query)
    while True:
        found = rows(app.now())
        # nothing changes in a job by its growing older
        still = {(r.namespace, r.name): replace(r, duration_seconds=None) for r in found}
        changed = [r for r in found if known.get(key := (r.namespace, r.name)) != still[key]]
        writer.write(changed)
        known = still
        live.wait(LOOK_AGAIN_S)
        time.sleep(interval_s)
        live.wait(0)


class _Writer:
    """Rows in lines; those of a table keep the columns of the first."""

    def __init__(self, app: AppContext, query: ListQuery) -> None:
        self._app = app
        self._query = query
        self._table: PlainTable | None = None
        self._begun = False

    def write(self, rows: list[JobRow]) -> None:
        from jobman.cli.render import forms, jobs

        app, form = self._app, self._app.output()
        if form is Output.JSON:
            import msgspec

            forms.binary(app).write(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        elif form is Output.NAME:
            forms.write_lines(app, (row.name for row in rows))
        elif form is Output.CSV:
            forms.write_csv(app, jobs.CSV_TITLES, jobs.csv_cells(rows), header=not self._begun)
        else:
            self._write_table(rows, form)
        self._begun = True
        app.out.flush()

    def _write_table(self, rows: list[JobRow], form: Output) -> None:
        from jobman.cli.render import jobs
        from jobman.cli.render.table import PlainTable, shown

        app, spread = self._app, spread_of(self._query, form)
        cells = shown([jobs.cells(row, app.now(), **spread) for row in rows])
        if self._table is None:
            self._table = PlainTable(jobs.columns(**spread), cells)
            app.write(self._table.header)
        for line in self._table.lines(cells):
            app.write(line)
