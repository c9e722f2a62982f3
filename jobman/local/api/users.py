"""Who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobman.local.api import rules

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
NODES = "system:nodes"
_ACCOUNT = ["system", "serviceaccount"]


@dataclass(frozen=True)
class User:
    """An authenticated user, and the groups that roles may be bound to."""

    name: str
    groups: tuple[str, ...] = (AUTHENTICATED,)
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)

    @property
    def may_all(self) -> bool:
        """Whether no role is asked for."""
        return MASTERS in self.groups


SYSTEM = User("system:apiserver", (MASTERS, AUTHENTICATED))
ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


def account_of(name: str) -> tuple[str, str] | None:
    """The namespace and name of the service account that a user's name stands for."""
    words = name.split(":")
    if words[:2] != _ACCOUNT or len(words) != 4:
        return None
    namespace, account = words[2:]
    misnamed = rules.dns_label(namespace) or rules.dns_subdomain(account)
    return None if misnamed else (namespace, account)


def identified(
    name: str,
    groups: Sequence[str],
    *,
    uid: str = "",
    extra: Mapping[str, Sequence[str]] | None = None,
) -> User:
    """The user of that name, with the groups that go with it, as Kubernetes has them."""
    account = account_of(name)
    if account is not None and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")
    needed = UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
    if {needed, UNAUTHENTICATED}.isdisjoint(groups):
        groups = (*groups, needed)
    return User(name, tuple(groups), uid, extra or {})
