"""Jobs as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from jobman.cli.render.table import Column
from jobman.values.duration import format_age
from jobman.values.enums import State

if TYPE_CHECKING:
    from jobman.jobs.listing import JobRow
    from jobman.jobs.tasks import TaskRow

NAMESPACE = Column("NAMESPACE")
NAME = Column("NAME")
USER = Column("USER")
STANDARD = (
    NAME,
    Column("STATE", colored=True),
    Column("REASON", fold=True),
    Column("FLAVOR"),
    Column("GPUS", right=True),
    Column("AGE", right=True),
    Column("DURATION", right=True),
)
WIDE = (Column("NODE", fold=True), Column("IMAGE", fold=True))


def columns(*, namespaces: bool, users: bool, wide: bool) -> list[Column]:
    """The columns: where each job is, and whose, only where that varies."""
    name, *rest = STANDARD
    first = [NAMESPACE] if namespaces else []
    whose = [USER] if users else []
    return [*first, name, *whose, *rest, *(WIDE if wide else ())]


def cells(row: JobRow, now: datetime, *, namespaces: bool, users: bool, wide: bool) -> list[str]:
    """The row's cells under `columns`."""
    return [
        *([row.namespace] if namespaces else []),
        row.name,
        *([row.user or "-"] if users else []),
        row.state.value,
        reason(row),
        row.flavor or "-",
        str(row.gpus),
        age(row.submitted_at, now),
        "-" if row.duration_seconds is None else format_age(row.duration_seconds),
        *([row.node or "-", row.image] if wide else []),
    ]


def reason(row: JobRow) -> str:
    """Kubernetes' own term, or who cancelled it; of several completions, how many are done."""
    why = row.message.rpartition(" at ")[0] if row.state is State.CANCELLED else row.reason
    parts = [why] if why else []
    if row.completions > 1:
        parts.append(f"{row.succeeded}/{row.completions} done")
        parts += [f"{row.failed} failed"] if row.failed else []
        parts += [f"{row.running} running"] if row.running else []
    return ", ".join(parts) or "-"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the way of kubectl; a clock that runs behind makes it 0s."""
    return "-" if moment is None else format_age(max((now - moment).total_seconds(), 0))


CSV_TITLES = (
    "name",
    "namespace",
    "user",
    "state",
    "reason",
    "exitCode",
    "flavor",
    "gpus",
    "node",
    "image",
    "submittedAt",
    "startedAt",
    "finishedAt",
    "durationSeconds",
    "completions",
    "succeeded",
    "failed",
    "running",
)


def csv_cells(rows: Sequence[JobRow]) -> list[list[str]]:
    """The fields of CSV_TITLES, as in JSON; null is empty."""
    import msgspec

    plain = msgspec.to_builtins(rows, builtin_types=())
    return [["" if row[key] is None else str(row[key]) for key in CSV_TITLES] for row in plain]


TASKS = (
    Column("JOB"),
    Column("INDEX", right=True),
    Column("STATE", colored=True),
    Column("REASON", fold=True),
    Column("EXIT", right=True),
    Column("DURATION", right=True),
    Column("NODE", fold=True),
    Column("POD", fold=True),
)


def task_cells(row: TaskRow) -> list[str]:
    """The cells of a task under TASKS."""
    return [
        row.job,
        "-" if row.index is None else str(row.index),
        row.state.value,
        row.reason or "-",
        "-" if row.exit_code is None else str(row.exit_code),
        "-" if row.duration_seconds is None else format_age(row.duration_seconds),
        row.node or "-",
        row.pod or "-",
    ]


TASK_CSV_TITLES = (
    "job",
    "namespace",
    "index",
    "pod",
    "state",
    "reason",
    "exitCode",
    "node",
    "attempts",
    "startedAt",
    "finishedAt",
    "durationSeconds",
)


def task_csv_cells(rows: Sequence[TaskRow]) -> list[list[str]]:
    """The fields of TASK_CSV_TITLES, as in JSON; null is empty."""
    import msgspec

    plain = msgspec.to_builtins(rows, builtin_types=())
    return [["" if row[key] is None else str(row[key]) for key in TASK_CSV_TITLES] for row in plain]
