"""How many pods to make now: the adapting bound of pending ones, refusals waited out. Pure.

Moments are seconds of one steady clock, handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

QUICK_S = 5.0
"""A pod that starts within this long asks for company."""
SLOW_S = 30.0
"""A pod that waits longer says that the cluster has no room."""
FEWEST, FIRST, MOST = 4, 16, 1000
"""Pending pods: at the least, at first, at the most, while the bound adapts."""
FIRST_HOLD_S, LONGEST_HOLD_S = 1.0, 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
SAME_CAUSE = 10
"""Failures of one cause in a row, and no success, after which going on makes no sense."""


@dataclass
class PendingBound:
    """At most how many pods may wait for their start: fixed, or adapting.

    It grows by one with each pod that started quickly while the bound was the reason that no
    more were made, so that it doubles while a whole round starts quickly; it is halved, once in
    SLOW_S, while a pod waits for longer than that.
    """

    fixed: int | None = None
    _bound: float = FIRST
    _shrunk_at: float = float("-inf")

    @property
    def value(self) -> int:
        """Pods that may be pending now."""
        return self.fixed if self.fixed is not None else int(self._bound)

    def started(self, waited_s: float, pending_before: int) -> None:
        """A pod has started, one of `pending_before`, `waited_s` after it was made."""
        if waited_s <= QUICK_S and pending_before * 2 >= self.value:
            self._bound = min(self._bound + 1, MOST)

    def look(self, oldest_waits_s: float, now: float) -> None:
        """Shrink if the pod that has been pending longest waits too long."""
        if oldest_waits_s > SLOW_S and now - self._shrunk_at >= SLOW_S:
            self._bound = max(self._bound / 2, FEWEST)
            self._shrunk_at = now


@dataclass
class Hold:
    """A pause in creating while the server cannot take it: overloaded, or not there.

    It lasts a second, doubling to half a minute with each failure in a row. After it one pod is
    tried by itself.
    """

    until: float = float("-inf")
    reason: str = ""
    _failures: int = 0

    def failed(self, reason: str, now: float) -> None:
        """A creation came to nothing; those under way at the same time count as one."""
        if now < self.until:
            return
        self.reason = reason
        self.until = now + _doubled_s(self._failures, FIRST_HOLD_S, LONGEST_HOLD_S)
        self._failures += 1

    def accepted(self, now: float) -> None:
        """A creation was taken; within the pause it is one that was under way at its beginning."""
        if now >= self.until:
            self._failures = 0
            self.reason = ""

    @property
    def probing(self) -> bool:
        """Whether the last creation came to nothing."""
        return self._failures > 0


@dataclass
class Ceiling:
    """How many pods a quota lets the run have, as far as its refusals tell.

    At the ceiling nothing is tried but when a pod ends, or when a pause is over in which others
    may have made room: then one more, and if that goes well twice as many each time.
    """

    pods: int | None = None
    until: float = float("-inf")
    reason: str = ""
    _refusals: int = 0
    _step: int = 1

    def refused(self, reason: str, pods: int, now: float) -> None:
        """The quota refused one more than `pods`."""
        self.pods = pods
        self.reason = reason
        if now >= self.until:
            self.until = now + _doubled_s(self._refusals, FIRST_HOLD_S, LONGEST_HOLD_S)
            self._refusals += 1
            self._step = 1

    def accepted(self, pods: int) -> None:
        """The run has `pods` pods now."""
        if self.pods is None or pods <= self.pods:
            return
        self.pods, self._refusals = pods, 0
        self._step *= 2
        if self._step > MOST:
            self.pods, self._step, self.reason = None, 1, ""

    def room(self, pods: int, now: float) -> int:
        """How many more than `pods` may be tried."""
        if self.pods is None:
            return MOST
        return max(self.pods + (self._step if now >= self.until else 0) - pods, 0)


@dataclass
class Patience:
    """With a request about one pod: tried again, ever more seldom, until it fails for `lasts_s`.

    An absent server is waited for as long as it takes.
    """

    lasts_s: float
    _since: float | None = None
    _failures: int = 0

    def pause_s(self, now: float, *, absent: bool) -> float | None:
        """The request has failed: seconds until the next try, None where there is to be none."""
        if absent:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since > self.lasts_s:
            return None
        self._failures += 1
        return _doubled_s(self._failures - 1, FIRST_PAUSE_S, LONGEST_PAUSE_S)


def _doubled_s(failures: int, first_s: float, longest_s: float) -> float:
    return min(first_s * 2.0 ** min(failures, 10), longest_s)


def room(pending: int, running: int, *, bound: int, max_running: int) -> int:
    """How many pods may be made now.

    Exact: a pod counts as pending from before its creation, and any pending one may run next.
    """
    return max(min(bound - pending, max_running - pending - running), 0)


@dataclass
class Breaker:
    """Notices that everything fails alike; `open` then, and for good."""

    enabled: bool = True
    any_success: bool = False
    cause: str = ""
    _row: int = 0

    @property
    def open(self) -> bool:
        """Whether the run should stop."""
        return self.enabled and not self.any_success and self._row >= SAME_CAUSE

    def succeeded(self) -> None:
        """An item came to a good end: from now on failures are the items' own."""
        self.any_success = True

    def failed(self, cause: str) -> None:
        """An item failed."""
        self._row = self._row + 1 if cause == self.cause else 1
        self.cause = cause
