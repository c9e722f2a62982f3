"""The line on stderr that says what a job waits for, and why, while the job is waited for."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from jobman.cli.render.status_line import StatusLine, describe
from jobman.errors import JobmanError
from jobman.values.enums import State

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.state import JobView

PAGES_READ = 4
"""A cluster of more pages of pods is not looked at: the scheduler's own words have to do."""
_UNEVENTFUL = (State.RUNNING, State.STUCK)


@dataclass(frozen=True)
class Pace:
    """When a diagnosis is asked for, in seconds.

    A state must have lasted for `settle_s`, and two diagnoses are `least_s` apart; the same state
    is looked at again after `again_s`, and as long as nothing is new after twice as long, up to
    `most_s`.
    """

    settle_s: float = 2.0
    least_s: float = 5.0
    again_s: float = 30.0
    most_s: float = 300.0


class WaitingLine:
    """Used in a `with`; `show` takes each new view of the job.

    First the line is what the state says. In the background the cluster is asked why the job
    waits; what cannot be learnt leaves the line as it is, and nobody waits for it.
    """

    def __init__(self, app: AppContext, name: str, namespace: str, pace: Pace = Pace()) -> None:
        self._app = app
        self._name = name
        self._namespace = namespace
        self._pace = pace
        self._line = StatusLine(app)
        self._turned = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._view: JobView | None = None
        self._why = ""
        self._due_at = math.inf
        self._asked_at = -math.inf
        self._pause_s = pace.again_s

    def __enter__(self) -> WaitingLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turned:
            self._closed = True
            self._line.clear()
            self._turned.notify_all()

    def show(self, view: JobView) -> None:
        """Say what the job waits for; nothing once it runs, is over or can never start."""
        with self._turned:
            before, self._view = self._view, view
            if view.finished or view.state in _UNEVENTFUL:
                self._why, self._due_at = "", math.inf
                self._line.clear()
                return
            if before is None or _standing(before) != _standing(view):
                self._ask_soon()
            self._draw(view)

    def _ask_soon(self) -> None:
        pace = self._pace
        self._why, self._pause_s = "", pace.again_s
        self._due_at = max(time.monotonic() + pace.settle_s, self._asked_at + pace.least_s)
        if self._thread is None:
            self._thread = threading.Thread(target=self._ask, daemon=True, name="why")
            self._thread.start()
        self._turned.notify_all()

    def _draw(self, view: JobView) -> None:
        text = f"{view.state}: {self._why}" if self._why else describe(view)
        self._line.show(f"job {self._name}: {text}")

    def _ask(self) -> None:
        while (asked := self._next()) is not None:
            why = self._diagnosed(asked)
            with self._turned:
                if not self._closed and self._view and _standing(self._view) == _standing(asked):
                    self._take(why)

    def _next(self) -> JobView | None:
        """The view to explain, once it is time; None when the waiting is over."""
        with self._turned:
            while not self._closed:
                left_s = self._due_at - time.monotonic()
                if left_s <= 0:
                    self._asked_at = time.monotonic()
                    self._due_at = math.inf
                    return self._view
                self._turned.wait(None if left_s == math.inf else left_s)
            return None

    def _take(self, why: str) -> None:
        unchanged = why == self._why
        self._due_at = time.monotonic() + self._pause_s
        longer_s = min(2 * self._pause_s, self._pace.most_s)
        self._pause_s = longer_s if unchanged else self._pace.again_s
        self._why = why
        if self._view is not None:
            self._draw(self._view)

    def _diagnosed(self, asked: JobView) -> str:
        """The sentence; empty where there is none, or where the job is in another state by now."""
        from jobman.cli.render.why import sentence
        from jobman.cli.why import diagnosis, gathered

        try:
            found = gathered(self._app, self._name, self._namespace, most_pages=PAGES_READ)
        except JobmanError:
            return ""
        return sentence(diagnosis(found)) if found.view.state is asked.state else ""


def _standing(view: JobView) -> tuple[State, str]:
    return view.state, view.reason
