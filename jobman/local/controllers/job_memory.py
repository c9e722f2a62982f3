"""What the Job controller knows besides the objects: all of it could be found out anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobman.local.controllers.job_backoff import Backoff
from jobman.local.stored import Key

Object = dict[str, Any]

_LONGEST_REFUSED_S = 60.0


@dataclass
class Memory:
    """What is known of one Job.

    `create_from`: when the cluster may be asked for pods again. `untold` is the Job's first status,
    decided on and not told until `tell_at`.
    """

    backoff: Backoff
    generation: int = 0
    refusals: int = 0
    create_from: datetime | None = None
    untold: Object | None = None
    tell_at: datetime | None = None

    def refused(self, now: datetime) -> None:
        """The cluster would not have a pod: wait, longer each time."""
        pause_s = min(2.0 ** min(self.refusals, 30), _LONGEST_REFUSED_S)
        self.refusals += 1
        self.create_from = now + timedelta(seconds=pause_s)

    def keep(self, status: Object, until: datetime) -> None:
        """Tell it later, then at the latest."""
        self.untold, self.tell_at = status, self.tell_at or until

    def told(self) -> None:
        """Everything is told."""
        self.untold = None

    def waits_s(self, now: datetime) -> list[float]:
        """After how many seconds there is something to do again."""
        until = self.tell_at if self.untold is not None else None
        return [(at - now).total_seconds() for at in (self.create_from, until) if at is not None]


@dataclass
class Orphans:
    """Pods without a controller, by the uid of the Job that their label names."""

    by_uid: dict[str, set[Key]] = field(default_factory=dict)

    def put(self, uid: str, key: Key) -> None:
        """A pod that the Job may adopt."""
        self.by_uid.setdefault(uid, set()).add(key)

    def take(self, uid: str) -> set[Key]:
        """Those that the Job may adopt; they are asked for once."""
        return self.by_uid.pop(uid, set())
