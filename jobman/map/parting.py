"""What becomes of a pod that is over, in two steps: its log is saved, then it is deleted.

With the log on disk the item has its outcome, whatever becomes of the pod.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from jobman.errors import (
    ApiNotFoundError,
    ForbiddenError,
    JobmanError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)
from jobman.map import board as states
from jobman.map import homecoming
from jobman.map.board import Live
from jobman.map.flow import Patience
from jobman.map.homecoming import Ended
from jobman.map.outcome import Outcome
from jobman.map.pods import Stage
from jobman.map.result import Staying
from jobman.map.work import Work
from jobman.values.enums import State

SAVE_S = 600.0
"""How long a log is asked for that the server fails to give."""
REMOVE_S = 120.0
"""How long the server may fail to delete a pod: with its log at home it can stay."""


class Parting:
    """Parts from pods that are over; `ended` is told each outcome as soon as that is on disk.

    `vanished` is told of a pod that was gone before its log was read.
    """

    def __init__(
        self, work: Work, *, ended: Callable[[Outcome], None], vanished: Callable[[Live], None]
    ) -> None:
        self.staying = Staying()
        self._work = work
        self._ended = ended
        self._vanished = vanished

    def begin(self, live: Live, ended: Ended) -> None:
        """Save the log, then delete the pod."""
        self._work.board.end(live)
        self._save(live, ended, Patience(SAVE_S))

    def write_off(
        self, live: Live, ended: Ended, reason: str, message: str, *, stays: bool = False
    ) -> None:
        """The item failed, and what is known of that is all there is; its pod may be let stay."""
        self._work.board.end(live)
        view = replace(ended.view, state=State.FAILED, reason=reason, message=message)
        known = dataclasses.replace(ended, stage=Stage.FAILED, view=view)
        self._work.workers.do(partial(self._save_known, live, known, stays), urgent=True)

    def let_go(self, live: Live, succeeded: bool) -> None:
        """The item's outcome is on disk: delete the pod, unless the user wants to keep it."""
        self._work.board.end(live)
        plan = self._work.plan
        if plan.keep_pods or (plan.keep_failed_pods and not succeeded):
            self._settle(live, succeeded)
        else:
            self._remove(live, succeeded, Patience(REMOVE_S))

    def _save(self, live: Live, ended: Ended, patience: Patience) -> None:
        self._work.workers.do(partial(self._saving, live, ended, patience), urgent=True)

    def _saving(self, live: Live, ended: Ended, patience: Patience) -> None:
        """In the pool."""
        work = self._work
        anew = dataclasses.replace(ended, follower=None)
        try:
            outcome = homecoming.save(work.client, work.ledger, ended)
        except ApiNotFoundError:
            work.post(partial(self._vanished, live))
        except (UnavailableError, UnreachableError) as error:
            work.post(partial(self._not_saved, live, anew, patience, error))
        except (ForbiddenError, UnauthorizedError, OSError) as error:
            work.post(partial(self._leave, live, error))
        except JobmanError as error:
            work.post(partial(self.write_off, live, anew, "LogUnavailable", error.message))
        else:
            work.post(partial(self._saved, live, outcome))

    def _save_known(self, live: Live, known: Ended, stays: bool) -> None:
        """In the pool."""
        work = self._work
        try:
            outcome = homecoming.save_what_is_known(work.ledger, known)
        except OSError as error:
            work.post(partial(self._leave, live, error))
        else:
            work.post(partial(self._saved, live, outcome, stays=stays))

    def _not_saved(self, live: Live, ended: Ended, patience: Patience, error: JobmanError) -> None:
        if self._work.over:
            self._work.board.settle(live, states.AGAIN)
            return
        pause_s = _pause_s(patience, error)
        if pause_s is None:
            # the node may still have the log, as long as the pod is there
            self.write_off(live, ended, "LogUnavailable", error.message, stays=True)
        else:
            self._work.inbox.later(pause_s, partial(self._save, live, ended, patience))

    def _leave(self, live: Live, error: Exception) -> None:
        """The run cannot go on; the item is left for another time."""
        self._work.fail(error)
        self._work.board.settle(live, states.AGAIN)

    def _saved(self, live: Live, outcome: Outcome, *, stays: bool = False) -> None:
        self._ended(outcome)
        if stays:
            self._settle(live, outcome.succeeded)
        else:
            self.let_go(live, outcome.succeeded)

    def _remove(self, live: Live, succeeded: bool, patience: Patience) -> None:
        self._work.workers.do(partial(self._removing, live, succeeded, patience), urgent=True)

    def _removing(self, live: Live, succeeded: bool, patience: Patience) -> None:
        """In the pool."""
        work = self._work
        try:
            homecoming.remove(work.client, live.name, live.uid)
        except JobmanError as error:
            work.post(partial(self._not_removed, live, succeeded, patience, error))
        else:
            work.post(partial(self._settle, live, succeeded))

    def _not_removed(
        self, live: Live, succeeded: bool, patience: Patience, error: JobmanError
    ) -> None:
        pause_s = None if self._work.over else _pause_s(patience, error)
        if pause_s is not None:
            self._work.inbox.later(pause_s, partial(self._remove, live, succeeded, patience))
            return
        self.staying.add(error.message)
        if isinstance(error, (ForbiddenError, UnauthorizedError)):
            self._work.fail(error)
        self._settle(live, succeeded)

    def _settle(self, live: Live, succeeded: bool) -> None:
        self._work.board.settle(live, states.SUCCEEDED if succeeded else states.FAILED)


def _pause_s(patience: Patience, error: JobmanError) -> float | None:
    """Seconds until the request is worth another try; None where it is worth none."""
    if not isinstance(error, (UnavailableError, UnreachableError)):
        return None
    return patience.pause_s(time.monotonic(), absent=isinstance(error, UnreachableError))
