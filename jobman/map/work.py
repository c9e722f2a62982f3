"""What all parts of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobman.kube.client import Client
from jobman.map.board import Board
from jobman.map.inbox import Inbox
from jobman.map.ledger import Ledger
from jobman.map.plan import Plan
from jobman.map.workers import Workers


@dataclass
class Work:
    """A run at work; for the deciding thread, but for `client`, `ledger`, `workers` and `post`.

    `fatal` ends the run as soon as it is set; `stopping` ends it when what is under way is done.
    """

    client: Client
    plan: Plan
    ledger: Ledger
    board: Board
    inbox: Inbox
    workers: Workers
    fatal: BaseException | None = None
    stopping: bool = False

    def post(self, act: Callable[[], None]) -> None:
        """Have `act` run by the deciding thread."""
        self.inbox.post(act)

    def fail(self, error: BaseException) -> None:
        """End the run with this error."""
        self.fatal = self.fatal or error

    @property
    def over(self) -> bool:
        """Whether nothing more is to begin."""
        return self.stopping or self.fatal is not None
