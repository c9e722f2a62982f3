"""`jobman why`: why jobs wait, or failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from jobman.cli import looking
from jobman.cli.command import app_context, command
from jobman.cli.looking import Block
from jobman.cli.named import Named
from jobman.cli.options import takes
from jobman.cli.queue import query
from jobman.values.enums import Output, QueueBy, State

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.whole import WholeJob
    from jobman.kube.objects import Job
    from jobman.why.diagnosis import Diagnosis
    from jobman.why.evidence import Evidence

FORMS = (Output.TABLE, Output.JSON, Output.YAML)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "why", forms=FORMS)(takes(Named)(why))


def why(ctx: typer.Context, options: Named) -> None:
    """Say why jobs wait or failed: one sentence, what it rests on, and what can be done.

    -o json gives the fields job, namespace, state, kind (one stable word), sentence, evidence,
    suggestions and unseen (what may not be read, and is therefore not known): of one name an
    object, of several, a glob or --all a list.
    """
    app = app_context(ctx)

    def look(job: Job) -> Block:
        found = gathered(app, job.metadata.name, job.metadata.namespace)
        told = diagnosis(found)
        return Block(lambda: _document(found, told), lambda: _lines(app, found, told))

    looking.show(app, options.asked(), "why", look)


def gathered(
    app: AppContext, name: str, namespace: str, *, most_pages: int | None = None
) -> Evidence:
    """What the cluster tells about a job; of more pages of pods than `most_pages`, none."""
    from jobman.jobs import whole

    return _around(app, whole.read(app.client, name, namespace=namespace), most_pages)


def of_whole(app: AppContext, found: WholeJob) -> str | None:
    """The sentence for a job of which something waits, or that failed; None of any other."""
    from jobman.jobs import state
    from jobman.why.diagnose import rest_of_running

    told = state.of(found.typed_job, found.typed_pods, found.typed_events, now=app.now()).state
    if told in (State.SUCCEEDED, State.CANCELLED, State.DELETING):
        return None
    known = _around(app, found)
    if told is State.RUNNING and not rest_of_running(known):
        return None
    return diagnosis(known).sentence


def _around(app: AppContext, found: WholeJob, most_pages: int | None = None) -> Evidence:
    from msgspec import structs

    from jobman.why import evidence

    return evidence.gather(
        app.client,
        found,
        query=structs.replace(query(app, QueueBy.FLAVOR), most_pages=most_pages),
        flavors=app.settings.values.job.resources.predefined,
        now=app.now(),
    )


def diagnosis(found: Evidence) -> Diagnosis:
    """Why the job is where it is."""
    from jobman.why.diagnose import diagnose

    return diagnose(found)


def _document(found: Evidence, why: Diagnosis) -> dict[str, Any]:
    meta = found.job.metadata
    return {
        "job": meta.name,
        "namespace": meta.namespace,
        "state": found.view.state.value,
        "kind": why.kind,
        "sentence": why.sentence,
        "evidence": list(why.evidence),
        "suggestions": list(why.suggestions),
        "unseen": list(why.unseen),
    }


def _lines(app: AppContext, found: Evidence, why: Diagnosis) -> Iterable[str]:
    from jobman.cli.render import why as render
    from jobman.cli.render.prose import broken

    lines = render.lines(found.job.metadata.name, found.view.state, why)
    return (broken(app, line, indent="    ") for line in lines)
