"""What `jobman map` says: while it runs, when it is interrupted, and at its end."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jobman.values.duration import format_age
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.map.command_line import CommandLine
    from jobman.map.failures import Cause
    from jobman.map.plan import Plan
    from jobman.map.progress import Progress
    from jobman.map.result import Left, Leftover, Result

PIPED_EVERY_S = 10.0
RATE_OVER_S = 60.0
BAR = 20
CAUSES, NODES, SHOWN = 10, 3, 3
_CLEAR = "\r\x1b[K"


class ProgressWriter:
    """On a terminal one line that is written over, failures above it as they come.

    Piped a line when something changed, not more often than every 10 s. `clock` gives seconds.
    """

    def __init__(self, app: AppContext, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._last = ""
        self._at = float("-inf")
        self._rate = Rate()
        self._told: set[tuple[int, int]] = set()

    def __call__(self, progress: Progress) -> None:
        """The run stands so."""
        now = self._clock()
        self._rate.look(progress.done + progress.failed, now)
        text = _line(progress, self._rate.per_second)
        if self._app.err_is_terminal:
            self._tell_failures(progress)
            room = self._app.width - 1
            self._write(f"{_CLEAR}{_bar(progress)} {text}"[: room + len(_CLEAR)])
        elif _changing(progress) != self._last and now - self._at >= PIPED_EVERY_S:
            self._last, self._at = _changing(progress), now
            self._app.say(text)

    def end(self) -> None:
        """Leave the line to others."""
        if self._app.err_is_terminal:
            self._write(_CLEAR)

    def _tell_failures(self, progress: Progress) -> None:
        """Each failure once, in a line of its own."""
        new = {(outcome.index, outcome.attempts): outcome for outcome in progress.last_failures}
        for key in new.keys() - self._told:
            outcome = new[key]
            said = outcome.last_line or outcome.message
            line = f": {said}" if said else ""
            text = visible(f"{outcome.name}: {outcome.reason}{line}", limit=self._app.width - 8)
            self._write(f"{_CLEAR}failed {text}\n")
        self._told = set(new)

    def _write(self, text: str) -> None:
        self._app.err.write(text)
        self._app.err.flush()


class Rate:
    """How many items end in a second, by the last minute of the run."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def look(self, ended: int, now: float) -> None:
        """So many have ended by now."""
        self._seen.append((now, ended))
        while now - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        """Zero where too little was seen."""
        (begin, before), (end, ended) = self._seen[0], self._seen[-1]
        return (ended - before) / (end - begin) if end - begin >= 1 else 0.0


def _changing(progress: Progress) -> str:
    """What makes a line worth another one: not the time that is left."""
    return _line(progress, 0.0)


def _line(progress: Progress, per_second: float) -> str:
    over = progress.done + progress.failed
    parts = [
        f"{over}/{progress.total}",
        f"{progress.failed} failed" if progress.failed else "",
        f"{progress.running} running",
        f"{progress.pending} pending",
        _time_left(progress.total - over, per_second),
        visible(progress.waiting_for, limit=120) if progress.waiting_for else "",
    ]
    return ", ".join(part for part in parts if part)


def _time_left(items: int, per_second: float) -> str:
    if not per_second:
        return ""
    rate = f"{per_second:.1f}/s"
    return f"{rate}, {format_age(items / per_second)} left" if items else rate


def _bar(progress: Progress) -> str:
    over = progress.done + progress.failed
    full = BAR * over // progress.total if progress.total else BAR
    return f"[{'#' * full}{'.' * (BAR - full)}]"


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
        answer = app.stdin.readline()
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


def _tell_causes(app: AppContext, causes: Sequence[Cause], command: CommandLine) -> None:
    """Each cause, and the command that runs again what failed of it and nothing else."""
    reasons = Counter(cause.reason for cause in causes)
    for cause in causes[:CAUSES]:
        line = f": {visible(cause.line, limit=100)}" if cause.line else ""
        places = ", ".join(f"{node} ({count})" for node, count in cause.nodes.most_common(NODES))
        app.say(f"  {cause.count} x {cause.reason}{line}{f', on {places}' if places else ''}")
        chosen = cause.reason if reasons[cause.reason] == 1 else cause.id
        app.say(f"    again: {command.again(chosen)}")
    if len(causes) > CAUSES:
        app.say(f"  and {len(causes) - CAUSES} other causes")
