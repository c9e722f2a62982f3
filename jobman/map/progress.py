"""How a run stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobman.jobs.pods import PodView
from jobman.kube.objects import Event, Pod
from jobman.map.outcome import Outcome


@dataclass(frozen=True)
class Waiting:
    """A pod that has waited for its start for so long, and what is known of it."""

    pod: Pod
    view: PodView
    events: Sequence[Event]
    for_s: float


@dataclass(frozen=True)
class Progress:
    """Items by what has become of them; `skipped` of the done and failed are of before.

    `waiting_for` is what the server says against creating more, empty where it does not; `oldest`
    is the pod that waits longest, None where none waits for more than a moment.
    """

    total: int
    done: int
    failed: int
    running: int
    pending: int
    skipped: int
    elapsed_s: float = 0.0
    waiting_for: str = ""
    oldest: Waiting | None = None
    last_failures: tuple[Outcome, ...] = ()
