"""How a run of `jobman map` stands, told while it runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from jobman.cli.map_words import last_words
from jobman.cli.render.status_line import ERASE, cut
from jobman.cli.render.why import sentence
from jobman.values.duration import format_age
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.map.progress import Progress
    from jobman.why.diagnosis import Diagnosis

PIPED_EVERY_S, PIPED_AGAIN_S = 10.0, 300.0
RATE_OVER_S = 60.0
LONG_S = 30.0
"""A pod that waits for longer is told of by name."""
BAR = 20


class ProgressWriter:
    """On a terminal one line that is written over, above it failures, and why pods wait long.

    Piped a line when something changed, not more often than every 10 s; while pods wait also
    every 5 min. `clock` gives seconds.
    """

    def __init__(
        self, app: AppContext, run: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._run = run
        self._clock = clock
        self._last = ""
        self._at = float("-inf")
        self._rate = Rate()
        self._told: set[tuple[int, int]] = set()
        self._told_waits: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        """The run stands so."""
        now = self._clock()
        self._rate.look(progress.done + progress.failed, now)
        why = _why(progress, self._run)
        self._tell_waiting(progress, why)
        text = _line(progress, self._rate.per_second, why)
        if self._app.err_is_terminal:
            self._tell_failures(progress)
            self._write(f"{ERASE}{self._fitting(_bar(progress), text, why)}")
        elif self._is_worth_a_line(_changing(progress, why), why, now):
            self._last, self._at = _changing(progress, why), now
            self._app.say(text)

    def note(self, text: str) -> None:
        """Say something besides."""
        self.end()
        self._app.say(text)

    def end(self) -> None:
        """Leave the line to others."""
        if self._app.err_is_terminal:
            self._write(ERASE)

    def _fitting(self, bar: str, text: str, why: Diagnosis | None) -> str:
        """The line as far as there is room, which why pods wait needs more than the bar."""
        room = max(self._app.width - 1, 1)
        both = f"{bar} {text}"
        return cut(text if why is not None and len(both) > room else both, room)

    def _is_worth_a_line(self, changing: str, why: Diagnosis | None, now: float) -> bool:
        silent_s = now - self._at
        if changing != self._last:
            return silent_s >= PIPED_EVERY_S
        return why is not None and silent_s >= PIPED_AGAIN_S

    def _tell_waiting(self, progress: Progress, why: Diagnosis | None) -> None:
        """Which pod has waited long, and why; of each kind of reason the first."""
        oldest = progress.oldest
        if oldest is None or why is None or oldest.for_s < LONG_S or why.kind in self._told_waits:
            return
        self._told_waits.add(why.kind)
        self.note(f"pod {oldest.view.name} waits: {sentence(why)}")
        self._app.say(f"hint: jobman why {self._run} tells more")

    def _tell_failures(self, progress: Progress) -> None:
        """Each failure once, in a line of its own."""
        new = {(outcome.index, outcome.attempts): outcome for outcome in progress.last_failures}
        for key in new.keys() - self._told:
            outcome = new[key]
            said = outcome.last_line or outcome.message
            line = f": {last_words(outcome.reason, said)}" if said else ""
            text = visible(f"{outcome.name}: {outcome.reason}{line}", limit=self._app.width - 8)
            self._write(f"{ERASE}failed {text}\n")
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


def _why(progress: Progress, run: str) -> Diagnosis | None:
    """Why the pod that waits longest does; None where none does, or nothing is known yet."""
    oldest = progress.oldest
    if oldest is None:
        return None
    from jobman.why import waiting_pod

    if not oldest.pod.spec.node_name and waiting_pod.unscheduled(oldest.pod) is None:
        return None
    return waiting_pod.diagnose(oldest.pod, oldest.view, oldest.events, job=run)


def _changing(progress: Progress, why: Diagnosis | None) -> str:
    """What makes a line worth another one: neither the time that is left nor that of waiting."""
    return _line(replace(progress, oldest=None), 0.0, None) + (why.sentence if why else "")


def _line(progress: Progress, per_second: float, why: Diagnosis | None) -> str:
    over = progress.done + progress.failed
    parts = [
        f"{over}/{progress.total}",
        f"{progress.failed} failed" if progress.failed else "",
        f"{progress.running} running",
        f"{progress.pending} pending",
        _time_left(progress.total - over, per_second),
        _refusal(progress.waiting_for) if progress.waiting_for else "",
    ]
    if why is not None and progress.oldest is not None:
        parts.append(f"waiting {format_age(progress.oldest.for_s)}: {sentence(why)}")
    return ", ".join(part for part in parts if part)


def _refusal(message: str) -> str:
    """What the server says against more pods; of a quota's words what they mean."""
    from jobman.why import said
    from jobman.why.diagnose import refused

    return visible(refused(message).sentence if said.quota(message) else message, limit=160)


def _time_left(items: int, per_second: float) -> str:
    if not per_second:
        return ""
    rate = f"{per_second:.1f}/s"
    return f"{rate}, {format_age(items / per_second)} left" if items else rate


def _bar(progress: Progress) -> str:
    over = progress.done + progress.failed
    full = BAR * over // progress.total if progress.total else BAR
    return f"[{'#' * full}{'.' * (BAR - full)}]"
