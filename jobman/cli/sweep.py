"""Which jobs a sweep means: those that are over, that failed, that ended long ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.listing import JobRow
    from jobman.kube.objects import Job


OlderThan = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Those that ended longer ago (12h, 7d); implies over."),
]


@dataclass(frozen=True)
class Sweep:
    """How jobs ended, and when: each condition that is given must hold."""

    finished: bool = False
    failed: bool = False
    older_than_s: float | None = None

    @property
    def chooses(self) -> bool:
        """Whether there is any condition."""
        return self.finished or self.failed or self.older_than_s is not None

    def of(self, app: AppContext, jobs: Sequence[Job], *, everybody: bool = False) -> list[Job]:
        """Those that the conditions mean; `everybody`: there may be jobs of others among them."""
        if not self.chooses:
            return list(jobs)
        ended = {
            (row.namespace, row.name) for row in _rows(app, everybody) if self._means(app, row)
        }
        return [job for job in jobs if (job.metadata.namespace, job.metadata.name) in ended]

    def _means(self, app: AppContext, row: JobRow) -> bool:
        if not row.state.finished or (self.failed and not row.state.ended_badly):
            return False
        if self.older_than_s is None:
            return True
        ended = row.finished_at or row.submitted_at
        return ended is not None and app.now() - ended >= timedelta(seconds=self.older_than_s)


def _rows(app: AppContext, everybody: bool) -> list[JobRow]:
    from jobman.jobs.listing import ListQuery, rows

    query = ListQuery(user=app.user, everybody=everybody, namespace=app.client.namespace)
    return rows(app.client, query, now=app.now())
