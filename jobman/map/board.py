"""Where every item stands: a byte each, and more only of those that have a pod."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from jobman.jobs.pods import PodView
from jobman.kube.objects import Pod
from jobman.map.items import Item
from jobman.map.logs import Follower
from jobman.map.pods import Stage

TODO, LIVE, SUCCEEDED, FAILED, AGAIN = range(5)
"""What was not begun, what has a pod, what is over, and what waits to be begun once more."""


@dataclass(slots=True, eq=False)
class Live:
    """An item with a pod, or about to have one.

    `uid` is empty until its creation is known; `gone` are pods of that name which are no more.
    `ending`: its pod is over and is being brought home. `again`: when the pod is gone the item
    is begun once more. `adopted`: another runner made it.
    """

    item: Item
    name: str
    made_at: float
    stage: Stage = Stage.PENDING
    creating: bool = False
    attempt: int = 1
    uid: str = ""
    pod: Pod | None = None
    view: PodView | None = None
    gone: set[str] = field(default_factory=set)
    ending: bool = False
    again: bool = False
    adopted: bool = False
    follower: Follower | None = None


class Board:
    """The items of a run by index, and how many there are of each kind."""

    def __init__(self, count: int) -> None:
        self.states = bytearray(count)
        self.live: dict[int, Live] = {}
        self.succeeded = 0
        self.failed = 0
        self.creating = 0
        self._stages: Counter[Stage] = Counter()
        self._ending = 0

    @property
    def pending(self) -> int:
        """Pods that have not started."""
        return self._stages[Stage.PENDING]

    @property
    def running(self) -> int:
        """Pods that have started and are not over."""
        return self._stages[Stage.RUNNING] + self._stages[Stage.LEAVING]

    @property
    def ending(self) -> int:
        """Pods that are over and not yet brought home."""
        return self._ending

    def add(self, live: Live) -> None:
        """An item gets a pod."""
        self.states[live.item.index] = LIVE
        self.live[live.item.index] = live
        self._stages[live.stage] += 1
        self.creating += live.creating

    def has(self, live: Live) -> bool:
        """Whether this pod is still what the item has."""
        return self.live.get(live.item.index) is live

    def created(self, live: Live) -> None:
        """The creation was answered, or does not matter any more."""
        self.creating -= live.creating
        live.creating = False

    def move(self, live: Live, stage: Stage) -> None:
        """Its pod has come to another stage."""
        self._stages[live.stage] -= 1
        live.stage = stage
        self._stages[stage] += 1

    def end(self, live: Live) -> None:
        """Its pod is over: what counts from now on is bringing it home."""
        self._ending += not live.ending
        live.ending = True

    def settle(self, live: Live, state: int) -> None:
        """The item has come to an end, or (AGAIN) back to its beginning."""
        self._drop(live)
        self.mark(live.item.index, state)

    def mark(self, index: int, state: int) -> None:
        """An item without a pod stands so."""
        self.states[index] = state
        self.succeeded += state == SUCCEEDED
        self.failed += state == FAILED

    @property
    def over(self) -> int:
        """Items that have come to an end."""
        return self.succeeded + self.failed

    def _drop(self, live: Live) -> None:
        del self.live[live.item.index]
        self._stages[live.stage] -= 1
        self._ending -= live.ending
        self.created(live)
