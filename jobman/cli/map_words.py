"""What `jobman map` says when it is interrupted, and at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobman.values.duration import format_age
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.map_progress import ProgressWriter
    from jobman.map.command_line import CommandLine
    from jobman.map.failures import Cause
    from jobman.map.plan import Plan
    from jobman.map.result import Left, Leftover, Result

RUNTIME = ("StartError", "ContainerCannotRun")
"""Reasons behind which a container runtime's words stand."""
CAUSES, NODES, SHOWN = 10, 3, 3


def ask(app: AppContext, progress: ProgressWriter, left: Left) -> Leftover:
    """What is to become of the pods; they stay where nobody can be asked."""
    from jobman.map.result import Leftover

    progress.end()
    pods = left.pending + left.running
    if not pods or not app.can_ask:
        return Leftover.LEAVE
    answers = {"l": Leftover.LEAVE, "d": Leftover.DELETE, "c": Leftover.CONTINUE}
    while True:
        app.err.write(
            f"{pods} pods run or wait: [l]eave them, [d]elete them, [c]ontinue? (Ctrl-C: leave) "
        )
        app.err.flush()
        answer = app.answer()
        if not answer:
            return Leftover.LEAVE
        if answer.strip().lower()[:1] in answers:
            return answers[answer.strip().lower()[:1]]


def summarize(app: AppContext, result: Result, plan: Plan) -> None:
    """How it ended: counts, and the failures by their cause."""
    from jobman.map import failures

    left = result.items - result.succeeded - result.failed
    parts = [f"{result.succeeded} of {result.items} succeeded"]
    parts += [f"{result.failed} failed"] if result.failed else []
    parts += [f"{left} not done"] if left else []
    took = format_age(result.elapsed_s)
    app.say(f"{', '.join(parts)} in {took}; logs in {plan.log_dir}")
    if result.failed and result.ledger is not None:
        _tell_causes(app, failures.by_cause(result.ledger.failures()), plan.command)
        app.say(f"all of them: {plan.log_dir / 'failed.csv'}; --retry-failed runs them again")
    if result.ledger is not None and (lacking := result.ledger.file.incomplete_logs):
        told = f"{', '.join(lacking[:SHOWN])}{', …' if len(lacking) > SHOWN else ''}"
        one = len(lacking) == 1
        what = "log lacks something, as its first line says" if one else "logs lack something"
        app.say(f"{len(lacking)} {what}: {told}")
        if not plan.stream_logs:
            app.say("hint: --stream-logs reads logs while the pods run, before a node rotates them")
    if result.stopped:
        app.say(f"stopped: {result.stopped}")
    if staying := result.staying.count:
        pods = f"{staying} pod{'s' if staying > 1 else ''} could not be deleted"
        app.say(f"{pods}: {visible(result.staying.why, limit=200)}; the same command tries again")
    if result.left:
        app.say(f"{result.left} pods go on; the same command brings their logs home")


def last_words(reason: str, line: str) -> str:
    """What is shown of a failure's last line: where a runtime speaks, what it means."""
    if reason not in RUNTIME:
        return line
    from jobman.why.cause import of_runtime

    return of_runtime(line)


def _tell_causes(app: AppContext, causes: Sequence[Cause], command: CommandLine) -> None:
    """Each cause, and the command that runs again what failed of it and nothing else."""
    reasons = Counter(cause.reason for cause in causes)
    for cause in causes[:CAUSES]:
        line = f": {visible(last_words(cause.reason, cause.line), limit=100)}" if cause.line else ""
        places = ", ".join(f"{node} ({count})" for node, count in cause.nodes.most_common(NODES))
        app.say(f"  {cause.count} x {cause.reason}{line}{f', on {places}' if places else ''}")
        chosen = cause.reason if reasons[cause.reason] == 1 else cause.id
        app.say(f"    again: {command.again(chosen)}")
    if len(causes) > CAUSES:
        app.say(f"  and {len(causes) - CAUSES} other causes")
