"""`jobman why`: why a job waits, or failed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman.cli import completion
from jobman.cli.command import app_context, command
from jobman.cli.logs import one_name
from jobman.cli.queue import query
from jobman.values.enums import Output, QueueBy, State

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.whole import WholeJob
    from jobman.why.diagnosis import Diagnosis
    from jobman.why.evidence import Evidence

FORMS = (Output.TABLE, Output.JSON, Output.YAML)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "why", forms=FORMS)(why)


def why(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="The job: its name, or LAST.", autocompletion=completion.jobs
        ),
    ] = None,
    job_name: Annotated[
        str | None,
        typer.Option("-j", "--job-name", metavar="NAME", help="The job, as an option."),
    ] = None,
) -> None:
    """Say why a job waits or failed: one sentence, what it rests on, and what can be done.

    -o json gives the fields job, namespace, state, kind (one stable word), sentence, evidence,
    suggestions and unseen (what may not be read, and is therefore not known).
    """
    from jobman.jobs.find import find_one

    app = app_context(ctx)
    meta = find_one(app.client, one_name(name, job_name), app.user).metadata
    found = gathered(app, meta.name, meta.namespace)
    _write(app, found, diagnosis(found))


def gathered(
    app: AppContext, name: str, namespace: str, *, most_pages: int | None = None
) -> Evidence:
    """What the cluster tells about a job; of more pages of pods than `most_pages`, none."""
    from jobman.jobs import whole

    return _around(app, whole.read(app.client, name, namespace=namespace), most_pages)


def of_whole(app: AppContext, found: WholeJob) -> str | None:
    """The sentence for a job that waits or failed; None of one that does neither."""
    from jobman.jobs import state

    told = state.of(found.typed_job, found.typed_pods, found.typed_events, now=app.now()).state
    if told in (State.RUNNING, State.SUCCEEDED, State.CANCELLED, State.DELETING):
        return None
    return diagnosis(_around(app, found)).sentence


def _around(app: AppContext, found: WholeJob, most_pages: int | None = None) -> Evidence:
    from jobman.why import evidence

    return evidence.gather(
        app.client,
        found,
        query=replace(query(app, QueueBy.FLAVOR), most_pages=most_pages),
        flavors=app.settings.values.job.resources.predefined,
        now=app.now(),
    )


def diagnosis(found: Evidence) -> Diagnosis:
    """Why the job is where it is."""
    from jobman.why.diagnose import diagnose

    return diagnose(found)


def _write(app: AppContext, found: Evidence, why: Diagnosis) -> None:
    from jobman.cli.render import forms
    from jobman.cli.render import why as render

    meta = found.job.metadata
    document: dict[str, Any] = {
        "job": meta.name,
        "namespace": meta.namespace,
        "state": found.view.state.value,
        "kind": why.kind,
        "sentence": why.sentence,
        "evidence": list(why.evidence),
        "suggestions": list(why.suggestions),
        "unseen": list(why.unseen),
    }
    match app.output():
        case Output.JSON:
            forms.write_json(app, document)
        case Output.YAML:
            forms.write_yaml(app, document)
        case _:
            for line in render.lines(meta.name, found.view.state, why):
                app.write(line)
