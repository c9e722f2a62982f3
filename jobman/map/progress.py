"""How a run stands."""

from __future__ import annotations

from dataclasses import dataclass

from jobman.map.outcome import Outcome


@dataclass(frozen=True)
class Progress:
    """Items by what has become of them; `skipped` of the done and failed are of before.

    `waiting_for` is what the server says against creating more, empty where it does not.
    """

    total: int
    done: int
    failed: int
    running: int
    pending: int
    skipped: int
    elapsed_s: float = 0.0
    waiting_for: str = ""
    last_failures: tuple[Outcome, ...] = ()
