"""How a run ended, and what is asked of the user who interrupts one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from jobman.map.ledger import Ledger
from jobman.map.run_names import job_name

SHOWN = 3


class Leftover(Enum):
    """What becomes of the pods when the user interrupts the run."""

    LEAVE = "leave"
    DELETE = "delete"
    CONTINUE = "continue"


@dataclass(frozen=True)
class Left:
    """What an interrupted run has on the cluster."""

    pending: int
    running: int


@dataclass
class Staying:
    """Pods whose logs are home, but that could not be deleted; `why` is said of the first one."""

    count: int = 0
    why: str = ""

    def add(self, why: str) -> None:
        """One more."""
        self.count += 1
        self.why = self.why or why


def of_left(run: str, pods: Sequence[str]) -> str:
    """What is said of pods that go on although the run has ended, and how to get at them."""
    told = "1 pod that was made goes on" if len(pods) == 1 else f"{len(pods)} pods go on"
    shown = ", ".join(pods[:SHOWN]) + (", …" if len(pods) > SHOWN else "")
    name = job_name(run)
    return (
        f"{told} ({shown}); the same command brings their logs home,"
        f" jobman details {name} shows them, jobman cancel {name} deletes them"
    )


Ask = Callable[[Left], Leftover]


@dataclass(frozen=True)
class Result:
    """How a run ended: `items` of which some succeeded, failed, or are left for another time.

    `left` pods of it are still there; it took `elapsed_s` seconds. `stopped` says why it ended
    early, empty when it did not; `interrupted` that the user did. `staying` could not be deleted.
    """

    run: str
    items: int
    succeeded: int
    failed: int
    left: int = 0
    elapsed_s: float = 0.0
    stopped: str = ""
    interrupted: bool = False
    staying: Staying = field(default_factory=Staying)
    ledger: Ledger | None = None

    @property
    def all_succeeded(self) -> bool:
        """Whether there is a log of every item."""
        return self.succeeded == self.items
