"""`jobman why`: why jobs wait, or failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from jobman.cli import looking, map_one
from jobman.cli.command import app_context, command
from jobman.cli.looking import Block
from jobman.cli.named import Named
from jobman.cli.options import takes
from jobman.cli.queue import query
from jobman.cli.render.prose import broken
from jobman.values.enums import Output, QueueBy, State

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.whole import WholeJob
    from jobman.kube.objects import Job
    from jobman.map.presence import Presence
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
        state = found.view.state
        if state is State.RUNNING and map_one.carries_run(job):
            told = _of_carried(app, job)
        else:
            told = diagnosis(found)
        return _block(app, job.metadata.name, job.metadata.namespace, state, told)

    def of_run(run: Presence) -> Block:
        from jobman.cli import map_why

        return _block(app, run.name, run.namespace, run.state, map_why.diagnose(app, run))

    looking.show(app, options.asked(), "why", look, of_run)


def _of_carried(app: AppContext, job: Job) -> Diagnosis:
    """Of a run whose runner is a Job that runs: its items tell."""
    from jobman.cli import map_why
    from jobman.map import reach

    return map_why.diagnose(app, reach.carried_by(app.client, job, now=app.now()))


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


def _block(app: AppContext, name: str, namespace: str, state: State, why: Diagnosis) -> Block:
    document = {
        "job": name,
        "namespace": namespace,
        "state": state.value,
        "kind": why.kind,
        "sentence": why.sentence,
        "evidence": list(why.evidence),
        "suggestions": list(why.suggestions),
        "unseen": list(why.unseen),
    }
    return Block(lambda: document, lambda: _lines(app, name, state, why))


def _lines(app: AppContext, name: str, state: State, why: Diagnosis) -> Iterable[str]:
    from jobman.cli.render import why as render

    return (broken(app, line, indent="    ") for line in render.lines(name, state, why))
