"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True)
class User:
    """An authenticated user and the groups that roles may be bound to."""

    name: str
    groups: tuple[str, ...] = (AUTHENTICATED,)

    @property
    def may_all(self) -> bool:
        """Whether no role is asked for."""
        return MASTERS in self.groups


SYSTEM = User("system:apiserver", (MASTERS, AUTHENTICATED))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
