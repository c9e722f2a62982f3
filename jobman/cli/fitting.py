"""At submit: can the job ever fit, and does it start now?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jobman.errors import JobmanError, UsageError
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.awaiting import Submitted
    from jobman.cli.context import AppContext
    from jobman.queue.nodes import NodeView
    from jobman.queue.rules import Wanted

PATIENCE_S = 5.0
"""How long the cluster's verdict is waited for; nearly always it takes some milliseconds."""


def check(
    app: AppContext, manifests: Sequence[dict[str, Any]], *, force: bool = False, way: str = ""
) -> None:
    """Warn of jobs that no node could ever take; refuse them where no node will ever be added.

    That is the embedded cluster, and where the settings say `cluster.fixedNodes`. Raises
    UsageError, `way` says how to have it done all the same. Where nodes may not be read nothing
    is said.
    """
    embedded = app.client.connection.embedded
    fixed = embedded or app.settings.values.cluster.fixed_nodes
    if not (fixed or app.err_is_terminal) or (force and fixed):
        return
    nodes = _empty_nodes(app)
    if not nodes:
        return
    for manifest in manifests:
        wanted = _wanted(manifest, tolerations_final=embedded)
        if wanted is not None:
            _check_one(app, wanted, nodes, refuse=fixed, way=way)


def _check_one(
    app: AppContext, wanted: Wanted, nodes: Sequence[NodeView], *, refuse: bool, way: str
) -> None:
    from jobman.why import scheduling

    found = scheduling.diagnose(wanted, nodes)
    if found.kind == scheduling.NEVER and refuse:
        raise UsageError(
            visible(found.sentence),
            hint=f"ask for less (jobman nodes shows what there is){way}",
        )
    if found.kind in (scheduling.NEVER, scheduling.RULES):
        app.warn(visible(found.sentence))


def _empty_nodes(app: AppContext) -> list[NodeView]:
    """The nodes as if no pod were there; none where they may not be read."""
    from jobman.kube.resources import NODES
    from jobman.queue.nodes import views

    try:
        return views(app.client.list(NODES).items, ())
    except JobmanError:
        return []


def _wanted(manifest: dict[str, Any], *, tolerations_final: bool) -> Wanted | None:
    """What the job's pods ask of a node; None where the server is to judge the manifest."""
    import msgspec

    from jobman.kube import decode
    from jobman.kube.objects import Job
    from jobman.queue.rules import Wanted

    try:
        job = decode.one(msgspec.json.encode(manifest), Job, "Job")
    except (JobmanError, msgspec.MsgspecError, TypeError):
        return None
    return Wanted.of(job.spec.template.spec, tolerations_final=tolerations_final)


def say_start(app: AppContext, job: Submitted) -> None:
    """On a terminal: that the job starts now, or what it waits for; if that may be known."""
    if not app.err_is_terminal:
        return
    try:
        text = _verdict(app, job)
    except JobmanError:
        return
    app.say(visible(text, limit=600))


def _verdict(app: AppContext, job: Submitted) -> str:
    """What the nodes tell, the scheduler, or who refuses the job's pods; else what is known."""
    from jobman.cli.waiting_line import PAGES_READ
    from jobman.cli.why import gathered
    from jobman.errors import WaitTimeoutError
    from jobman.jobs.observe import Observation, Timeout
    from jobman.queue.sources import REFUSALS
    from jobman.why import kueue, start
    from jobman.why.evidence import Evidence

    seen = Observation(app.client, job.name, job.namespace)

    def found() -> Evidence:
        return Evidence(seen.job, [*seen.pods.values()], seen.events, seen.view())

    timeout = Timeout(PATIENCE_S, f"job {job.name} has not started")
    with seen.watching(), suppress(WaitTimeoutError):
        seen.ask_events(f"{REFUSALS},involvedObject.name={job.name}")
        while not start.is_known(found()):
            seen.receive(timeout)
            seen.require_existing()
    if any(not pod.spec.node_name for pod in seen.pods.values()):
        with suppress(JobmanError):
            return start.line(gathered(app, job.name, job.namespace, most_pages=PAGES_READ))
    return start.line(replace(found(), queued=kueue.read(app.client, seen.job)))
