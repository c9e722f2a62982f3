"""How long a Job waits after failures before it makes another pod. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

FIRST_S = 10.0
LONGEST_S = 600.0


@dataclass(frozen=True)
class Backoff:
    """The failures since the last success."""

    failures: int = 0
    last: datetime | None = None

    def after(self, succeeded: Iterable[datetime], failed: Iterable[datetime]) -> Backoff:
        """With the pods that have ended at these times, too."""
        success, ends = max(succeeded, default=None), sorted(failed)
        if success is not None:
            later = [end for end in ends if end > success]
            return Backoff(len(later), later[-1] if later else None)
        if not ends:
            return self
        return Backoff(self.failures + len(ends), ends[-1])

    def left_s(self, now: datetime) -> float:
        """The seconds until the next pod may be made: 10 after one failure, doubling."""
        if self.last is None or not self.failures:
            return 0.0
        pause_s = min(FIRST_S * 2.0 ** min(self.failures - 1, 30), LONGEST_S)
        return max(0.0, pause_s - (now - self.last).total_seconds())
