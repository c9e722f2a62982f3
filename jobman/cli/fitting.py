"""Before a job is made: can it ever fit? And after: does it start now?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
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


class FitCheck:
    """Warns of jobs that no node could ever take; refuses them where no node will ever be added.

    That is the embedded cluster, and where the settings say `cluster.fixedNodes`; `way` says how
    to have it done all the same. Where nodes may not be read nothing is said.
    """

    def __init__(self, app: AppContext, *, force: bool = False, way: str = "") -> None:
        self._app = app
        self._force = force
        self._way = way

    def check(self, manifest: dict[str, Any], place: str = "") -> None:
        """Raise UsageError for a job that is refused; `place` tells it from others ("job a: ")."""
        if not self._nodes:
            return
        wanted = _wanted(manifest, tolerations_final=self._app.client.connection.embedded)
        if wanted is not None:
            self._judge(wanted, place)

    def _judge(self, wanted: Wanted, place: str) -> None:
        from jobman.why import scheduling

        found = scheduling.diagnose(wanted, self._nodes)
        sentence = visible(f"{place}{found.sentence}")
        if found.kind == scheduling.NEVER and self._fixed:
            hint = f"ask for less (jobman nodes shows what there is){self._way}"
            raise UsageError(sentence, hint=hint)
        if found.kind in (scheduling.NEVER, scheduling.RULES):
            self._app.warn(sentence)

    @cached_property
    def _fixed(self) -> bool:
        app = self._app
        return app.client.connection.embedded or app.settings.values.cluster.fixed_nodes

    @cached_property
    def _nodes(self) -> list[NodeView]:
        """The nodes, asked for once; none where there is nothing to say about them."""
        if not (self._fixed or self._app.err_is_terminal) or (self._force and self._fixed):
            return []
        return _empty_nodes(self._app)


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
        job = decode.one(msgspec.json.encode(_with_amounts_as_text(manifest)), Job, "Job")
    except (JobmanError, msgspec.MsgspecError, TypeError):
        return None
    return Wanted.of(job.spec.template.spec, tolerations_final=tolerations_final)


def _with_amounts_as_text(value: Any, *, amounts: bool = False) -> Any:
    """A manifest may write amounts as numbers, a server never does."""
    match value:
        case dict():
            return {
                key: _with_amounts_as_text(part, amounts=amounts or key == "resources")
                for key, part in value.items()
            }
        case list():
            return [_with_amounts_as_text(part, amounts=amounts) for part in value]
    return str(value) if amounts and type(value) in (int, float) else value


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
