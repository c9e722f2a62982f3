"""The queue as tables: the rows, the GPUs, and what the numbers rest on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from jobman.cli.render.prose import broken
from jobman.cli.render.table import Column, write_table
from jobman.values.duration import format_age
from jobman.values.enums import QueueBy
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.queue.gpus import GpuLine
    from jobman.queue.group import Counts
    from jobman.queue.snapshot import Source
    from jobman.queue.view import QueueRow, QueueView

STALE_S = 600
"""Seconds after which what was published is called old."""

NOBODY = {
    QueueBy.FLAVOR: "<no name>",
    QueueBy.USER: "<not jobman's>",
    QueueBy.NODE: "<no node yet>",
    QueueBy.GPU: "<no GPU>",
    QueueBy.NAMESPACE: "-",
}
"""What stands for a row without a name."""

MOST_UNNAMED = 12
"""Rows without a flavor that a terminal shows; those with most GPUs come first."""

DIM, PLAIN = "\x1b[2m", "\x1b[0m"

_Filled = tuple[Column, list[str]]


def write(app: AppContext, view: QueueView, *, wide: bool) -> None:
    """Write the view to stdout; a terminal gets the smallest groups of no flavor summed up."""
    rows: Sequence[QueueRow] = view.rows
    left_out: list[QueueRow] = []
    if app.out_is_terminal and not wide and view.by is QueueBy.FLAVOR:
        rows, left_out = foremost(view.rows)
    if rows:
        _write_table(app, rows_table(rows, view.by, wide=wide))
        if left_out:
            app.write(f"and {len(left_out)} more of no flavor: {sums(left_out)} (-o wide: all)")
        app.write("")
    if view.gpus:
        _write_table(app, gpus_table(view.gpus, wide=wide))
        app.write("")
    first, *others = (broken(app, visible(line)) for line in footer(view))
    app.write(first)
    for line in others:
        app.write(f"{DIM}{line}{PLAIN}" if app.color else line)


def foremost(rows: Sequence[QueueRow]) -> tuple[list[QueueRow], list[QueueRow]]:
    """The rows to show, and those beyond MOST_UNNAMED without a flavor and of nobody's I know."""
    unnamed = [row for row in rows if row.name is None and not row.yours.total]
    left_out = unnamed[MOST_UNNAMED:]
    ids = {id(row) for row in left_out}
    return [row for row in rows if id(row) not in ids], left_out


def _write_table(app: AppContext, filled: Sequence[_Filled]) -> None:
    rows = zip(*(cells for _, cells in filled), strict=True)
    write_table(app, [column for column, _ in filled], [[*row] for row in rows])


def rows_table(rows: Sequence[QueueRow], by: QueueBy, *, wide: bool) -> list[_Filled]:
    """The columns that say something, with their cells."""
    names = Column(by.upper(), fold=True), [name(row, by) for row in rows]
    yours = _numbers("YOURS", rows, lambda row: parts(row.yours), "bold cyan")
    oldest = _numbers("OLDEST", rows, lambda row: _age(row.oldest_wait_seconds))
    if by is not QueueBy.FLAVOR:
        return [names, *_gpus_of(rows), *_counts(rows, wide=wide), yours, oldest]
    fits_now = _numbers("FITS", rows, fits, "bold")
    return [names, *_requests(rows, wide=wide), *_counts(rows, wide=wide), yours, oldest, fits_now]


def name(row: QueueRow, by: QueueBy) -> str:
    """The row's name, marked where another one of that name means something else."""
    text = NOBODY[by] if row.name is None else row.name
    return f"{text} !" if row.conflict else text


def _numbers(
    title: str,
    rows: Sequence[QueueRow],
    cell: Callable[[QueueRow], str | int],
    style: str = "",
    short: str = "",
) -> _Filled:
    cells = [_or_dash(cell(row)) for row in rows]
    return Column(title, right=True, style=style, short=short), cells


def _or_dash(value: str | int) -> str:
    return str(value) if value else "-"


def _requests(rows: Sequence[QueueRow], *, wide: bool) -> list[_Filled]:
    asked = [row.requests for row in rows]
    gpus = [request.gpus if request else {} for request in asked]
    return [
        (Column("CPU", right=True), [_or_dash(r.cpu if r and r.cpu != "0" else "") for r in asked]),
        (
            Column("MEMORY", right=True),
            [_or_dash(r.memory if r and r.memory != "0" else "") for r in asked],
        ),
        (
            Column("GPUS", right=not wide),
            [_or_dash(_by_vendor(each) if wide else gpu_sum(each)) for each in gpus],
        ),
    ]


def _by_vendor(gpus: dict[str, str]) -> str:
    return ", ".join(f"{amount} {resource}" for resource, amount in gpus.items())


def gpu_sum(gpus: dict[str, str]) -> str:
    """GPUs of all vendors."""
    from jobman.values.quantity import ZERO, parse

    total = sum((parse(text) for text in gpus.values()), start=ZERO)
    return str(total) if total.value else ""


def _gpus_of(rows: Sequence[QueueRow]) -> list[_Filled]:
    return [
        _numbers("GPUS HELD", rows, lambda row: sum(row.gpus_held.values())),
        _numbers("WANTED", rows, lambda row: sum(row.gpus_wanted.values())),
    ]


def _counts(rows: Sequence[QueueRow], *, wide: bool) -> list[_Filled]:
    """Waiting and running always; what is rare only where there is some."""
    running = _numbers("RUNNING", rows, lambda row: row.running + row.starting, "green", "RUN")
    filled = [_numbers("WAITING", rows, lambda row: row.waiting, "yellow", "WAIT")]
    if wide:
        filled += [
            _numbers("STARTING", rows, lambda row: row.starting, "yellow", "START"),
            _numbers("RUNNING", rows, lambda row: row.running, "green", "RUN"),
        ]
    else:
        filled.append(running)
    if wide or any(row.stuck for row in rows):
        filled.append(_numbers("STUCK", rows, lambda row: row.stuck, "bold red"))
    if wide or any(row.suspended for row in rows):
        filled.append(_numbers("SUSPENDED", rows, lambda row: row.suspended, "magenta", "SUSP"))
    return [*filled, _numbers("JOBMAN'S", rows, lambda row: row.jobman)] if wide else filled


def parts(counts: Counts) -> str:
    """What my pods do, each with its letter: `2w 1r`; w waits, r runs, x is stuck, s suspended."""
    found = (
        (counts.waiting, "w"),
        (counts.starting + counts.running, "r"),
        (counts.stuck, "x"),
        (counts.suspended, "s"),
    )
    return " ".join(f"{count}{letter}" for count, letter in found if count)


def fits(row: QueueRow) -> str:
    """How many more would start now; `q` where my quota is what limits it, `?` if unknown."""
    if row.fits_quota is not None and (row.fits is None or row.fits_quota < row.fits):
        return f"{row.fits_quota}q" if row.fits is not None or not row.fits_quota else "?"
    return "?" if row.fits is None else str(row.fits)


def gpus_table(gpus: Sequence[GpuLine], *, wide: bool) -> list[_Filled]:
    """The GPUs by kind."""

    def cells(cell: Callable[[GpuLine], str]) -> list[str]:
        return [cell(line) for line in gpus]

    table = [
        (Column("GPU", fold=True), cells(lambda line: line.product)),
        (Column("TOTAL", right=True), cells(lambda line: str(line.total))),
        (Column("IN USE", right=True), cells(lambda line: _known(line.in_use))),
        (Column("FREE", right=True, style="bold"), cells(lambda line: _known(line.free))),
        (Column("LARGEST FREE BLOCK", short="LARGEST", fold=True), cells(_largest)),
        (Column("UNUSABLE", style="yellow", fold=True), cells(unusable)),
    ]
    if wide:
        table[1:1] = [
            (Column("RESOURCE"), cells(lambda line: line.resource)),
            (Column("NODES", right=True), cells(lambda line: str(line.nodes))),
        ]
    return table


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)


def _largest(line: GpuLine) -> str:
    where = f" on {line.largest_free_node}" if line.largest_free_node else ""
    return f"{_known(line.largest_free)}{where}"


def unusable(line: GpuLine) -> str:
    """The free GPUs that nobody can get, and why."""
    why = [
        f"{count} {what}"
        for count, what in ((line.nodes_cordoned, "cordoned"), (line.nodes_not_ready, "not ready"))
        if count
    ]
    if not line.unusable:
        return "-"
    return f"{line.unusable} ({', '.join(why) or 'broken'})"


def footer(view: QueueView) -> list[str]:
    """The sums, my quota, and what the numbers rest on."""
    return [
        summary(view),
        *_quota_lines(view),
        *source_lines(view.sources, view.at),
        *view.notes,
    ]


def summary(view: QueueView) -> str:
    """All rows in one line."""
    rows = view.rows
    if not any(row.total for row in rows):
        return "nothing waits or runs"
    mine = any(row.yours.total for row in rows)
    return sums(rows) + ("" if mine else "; none of it is yours")


def sums(rows: Sequence[QueueRow]) -> str:
    """What the pods of some rows do."""
    said = [
        f"{count} {what}"
        for what, count in (
            ("waiting", sum(row.waiting for row in rows)),
            ("running", sum(row.running + row.starting for row in rows)),
            ("stuck", sum(row.stuck for row in rows)),
            ("suspended", sum(row.suspended for row in rows)),
        )
        if count
    ]
    return ", ".join(said)


def _quota_lines(view: QueueView) -> list[str]:
    by_quota: defaultdict[str, list[str]] = defaultdict(list)
    for line in view.quotas:
        name = f"{line.quota} ({line.scope})" if line.scope else line.quota
        by_quota[name].append(f"{line.resource} {line.used} of {line.hard}")
    return [f"quota {quota}: {', '.join(used)}" for quota, used in by_quota.items()]


def source_lines(sources: Sequence[Source], now: datetime) -> list[str]:
    """Where the facts come from and of when they are; those that say the same together."""
    found: defaultdict[tuple[object, ...], list[Source]] = defaultdict(list)
    for source in sources:
        if source.fact != "quotas":
            found[source.origin, source.where, source.at, source.missing].append(source)
    return [_source_line(same, now) for same in found.values()]


def _source_line(sources: Sequence[Source], now: datetime) -> str:
    facts = ", ".join(source.fact for source in sources)
    first = sources[0]
    places = {
        "cluster": "of the whole cluster",
        "configmap": f"as published in ConfigMap {first.where}",
        "namespace": f"of namespace {first.where} alone",
        "nowhere": "not known",
    }
    missing = f"; cannot be known: {first.missing}" if first.missing else ""
    return f"{facts}: {places[first.origin]}{_of_when(first, now)}{missing}"


def _of_when(source: Source, now: datetime) -> str:
    """How old it is; what was just read is not worth a word."""
    if source.origin == "nowhere":
        return ""
    if source.at is None:
        return ", nobody knows when"
    age_s = (now - source.at).total_seconds()
    if age_s < 1:
        return ", as of now"
    return f", {format_age(age_s)} ago" + (
        " (old: is it still published?)" if age_s > STALE_S else ""
    )


def _age(seconds: int | None) -> str:
    return "" if seconds is None else format_age(seconds)


CSV_TITLES = (
    "name",
    "cpu",
    "memory",
    "gpus",
    "waiting",
    "starting",
    "running",
    "stuck",
    "suspended",
    "yoursWaiting",
    "yoursRunning",
    "yours",
    "jobman",
    "oldestWaitSeconds",
    "fits",
    "fitsQuota",
    "gpusHeld",
    "gpusWanted",
    "conflict",
)


def csv_cells(view: QueueView) -> list[list[str]]:
    """The rows under CSV_TITLES; null is empty."""
    return [["" if cell is None else str(cell) for cell in _csv_row(row)] for row in view.rows]


def _csv_row(row: QueueRow) -> tuple[object, ...]:
    asked = row.requests
    return (
        row.name,
        asked and asked.cpu,
        asked and asked.memory,
        asked and (gpu_sum(asked.gpus) or "0"),
        row.waiting,
        row.starting,
        row.running,
        row.stuck,
        row.suspended,
        row.yours.waiting,
        row.yours.running + row.yours.starting,
        row.yours.total,
        row.jobman,
        row.oldest_wait_seconds,
        row.fits,
        row.fits_quota,
        sum(row.gpus_held.values()),
        sum(row.gpus_wanted.values()),
        str(row.conflict).lower(),
    )
