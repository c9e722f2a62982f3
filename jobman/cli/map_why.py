"""`jobman why` of a run of `jobman map`: why it is where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from jobman.cli.map_one import counted
from jobman.cli.map_words import last_words
from jobman.cli.queue import query
from jobman.errors import ConfigError, ForbiddenError
from jobman.map.presence import Presence
from jobman.values.enums import QueueBy, State
from jobman.why.diagnosis import Diagnosis
from jobman.why.words import count

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.kube.objects import Event, Pod
    from jobman.map.failures import Cause
    from jobman.map.ledger import Ledger

CAUSES = 4


def diagnose(app: AppContext, run: Presence) -> Diagnosis:
    """The first that applies: pods of it wait; how it goes on; how it ended."""
    disk = _disk(app, run)
    causes = _causes(run, disk)
    found = _waiting(app, run) or _going(run) or _over(run, causes)
    return replace(
        found,
        evidence=(*found.evidence, *_also(run, causes)),
        suggestions=(*found.suggestions, *_ways(run, disk)),
    )


def _waiting(app: AppContext, run: Presence) -> Diagnosis | None:
    """Why the pod that came first waits, as the others do; None where none waits."""
    waiting = [(p, v) for p, v in run.pods if not (v.finished or v.has_started or v.leaving)]
    if not waiting:
        return None
    from jobman.jobs.pods import LONG_AGO

    pod, _ = min(waiting, key=lambda both: both[1].created_at or LONG_AGO)
    why = _of_pod(app, run, pod)
    running = sum(view.is_going for _, view in run.pods)
    one = len(waiting) == 1
    told = f"{count(len(waiting), 'pod')} of it {'waits' if one else 'wait'}: {why.sentence}"
    if running:
        told = f"{count(running, 'pod')} of it {'runs' if running == 1 else 'run'}; {told}"
    which = f"the {'pod' if one else 'first of them'}: {pod.metadata.name}"
    return replace(why, sentence=told, evidence=(which, *why.evidence))


def _of_pod(app: AppContext, run: Presence, pod: Pod) -> Diagnosis:
    from jobman.jobs import pods as pod_views
    from jobman.kube import labels
    from jobman.why import waiting_pod
    from jobman.why.evidence import Surroundings, look_around

    events = _events(app, pod)
    seen = Surroundings()
    if not pod.spec.node_name:
        own = {(each.metadata.namespace, each.metadata.name) for each, _ in run.pods}
        seen = look_around(app.client, query(app, QueueBy.FLAVOR), app.now(), own)
    flavors = app.settings.values.job.resources.predefined
    around = waiting_pod.Around(
        seen.nodes,
        seen.others,
        [flavor for flavor in flavors if flavor.resources],
        labels.flavor_spec(pod.metadata.annotations),
    )
    view = pod_views.view(pod, events, now=app.now())
    why = waiting_pod.diagnose(pod, view, events, around, job=run.name)
    return replace(why, unseen=(*why.unseen, *seen.unseen))


def _events(app: AppContext, pod: Pod) -> Sequence[Event]:
    from jobman.kube.resources import EVENTS

    with suppress(ForbiddenError):
        return app.client.list(EVENTS, fields=f"involvedObject.uid={pod.metadata.uid}").items
    return ()


def _going(run: Presence) -> Diagnosis | None:
    """How it goes on, where somebody carries it out or a pod of it runs."""
    from jobman.why.diagnose import refused

    if active := len(run.active):
        return Diagnosis(
            "running", f"{count(active, 'pod')} of it {'runs' if active == 1 else 'run'}"
        )
    if not run.living:
        return None
    if run.record is not None and run.record.refusal:
        why = refused(run.record.refusal)
        return replace(why, sentence=f"its next pod is refused: {why.sentence}")
    return Diagnosis("running", "it is carried out; no pod of it is there at this moment")


def _over(run: Presence, causes: Sequence[Cause]) -> Diagnosis:
    known = run.record
    if run.state is State.CANCELLED:
        return Diagnosis("cancelled", f"it was cancelled by {run.cancelled_by}")
    if run.waits_for_a_runner:
        left = f": {known.left} of {known.items} items are not done" if known else ""
        return Diagnosis("no-runner", f"nobody carries it out any more{left}")
    if run.state is not State.FAILED:
        return Diagnosis("succeeded", "all its items succeeded")
    failed = f"{known.failed} of {known.items} items failed" if known else "items of it failed"
    return Diagnosis("failed", failed + _of_what(causes))


def _of_what(causes: Sequence[Cause]) -> str:
    if not causes:
        return ""
    share = "" if len(causes) == 1 else f"{causes[0].count} of them "
    return f": {share}{_told(causes[0])}"


def _also(run: Presence, causes: Sequence[Cause]) -> Iterator[str]:
    """How far it is, of what items failed, and where their logs are."""
    known = run.record
    if run.waits_for_a_runner and run.pods:
        yield "nobody carries it out any more: what its pods wrote is not brought home"
    if known is None:
        return
    yield f"items: {known.items}: {counted(known)}"
    if len(causes) > 1 or run.active:
        yield from (f"failed: {cause.count} x {_told(cause)}" for cause in causes[:CAUSES])
    if len(causes) > CAUSES:
        yield f"failed: of {len(causes) - CAUSES} other causes"
    if known.failed:
        yield f"the logs of all that failed, and failed.csv: {known.logs}"


def _ways(run: Presence, disk: Ledger | None) -> Iterator[str]:
    from jobman.map import record

    known = run.record
    if run.living or known is None or not (known.left or known.failed):
        return
    rest = "does what is left and what failed"
    if disk is not None and disk.file.retry:
        yield f"jobman retry {run.name} {rest}"
    elif disk is not None:
        yield f"the same command with the same items on stdin and --retry-failed {rest}"
    elif record.here(known.logs) is None:
        yield f"jobman retry {run.name}, on {known.logs.partition(':')[0]}, {rest}"


def _disk(app: AppContext, run: Presence) -> Ledger | None:
    """Its log directory, where that is mine and of this host."""
    from jobman.map import ledger, record
    from jobman.values.files import read_own

    directory = record.here(run.record.logs) if run.record else None
    if directory is None or run.user != app.user:
        return None
    with suppress(OSError, ConfigError):
        file = ledger.read(directory, read_own)
        return ledger.Ledger(directory, file) if file.run == run.run else None
    return None


def _causes(run: Presence, disk: Ledger | None) -> Sequence[Cause]:
    """Of what its items failed."""
    from jobman.map import failures

    if disk is None or run.record is None or not run.record.failed:
        return ()
    with suppress(OSError):
        return failures.by_cause(disk.failures())
    return ()


def _told(cause: Cause) -> str:
    line = f": {last_words(cause.reason, cause.line)}" if cause.line else ""
    return f"{cause.reason}{line}"
