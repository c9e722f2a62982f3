"""ResourceQuotas of my namespace: which pods each is for, and how many more it lets in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from jobman.kube.bounds import ResourceQuota, ScopeRequirement
from jobman.queue import amounts
from jobman.queue.amounts import PODS, Amounts
from jobman.queue.rules import Wanted

LIMITS = "limits."
_COMPUTE = ("cpu", "memory")


class Quota(msgspec.Struct, frozen=True):
    """A ResourceQuota: limits and use in thousandths; it is for the pods in all of its scopes."""

    name: str
    hard: Amounts
    used: Amounts
    scopes: tuple[ScopeRequirement, ...] = ()

    @property
    def left(self) -> Amounts:
        """What each limit leaves."""
        return {name: max(hard - self.used.get(name, 0), 0) for name, hard in self.hard.items()}

    @property
    def scope(self) -> str:
        """Which pods it is for in words, empty: all."""
        return ", ".join(_in_words(scope) for scope in self.scopes)

    def is_for(self, wanted: Wanted) -> bool:
        """Whether such pods count."""
        return all(_includes(scope, wanted) for scope in self.scopes)

    def rooms(self, wanted: Wanted) -> list[int]:
        """How many more such pods each of its limits lets in; empty where none is on them.

        What a pod must name and does not (the server refuses it then) is not judged.
        """
        if not self.is_for(wanted):
            return []
        return [
            left // amount
            for limit, left in self.left.items()
            for amount in [_asked(wanted, limit)]
            if amount > 0
        ]


def of(found: Iterable[ResourceQuota]) -> list[Quota]:
    """The quotas of a namespace."""
    return [
        Quota(
            name=quota.metadata.name,
            hard=amounts.of(quota.status.hard or quota.spec.hard),
            used=amounts.of(quota.status.used),
            scopes=(
                *map(_plain_scope, quota.spec.scopes),
                *quota.spec.scope_selector.match_expressions,
            ),
        )
        for quota in found
    ]


def _plain_scope(name: str) -> ScopeRequirement:
    return ScopeRequirement(scope_name=name, operator="Exists")


def limited(limit: str) -> str:
    """The resource that a quota's limit is on; Jobs of one pod count as that pod."""
    if limit in ("count/pods", "count/jobs.batch"):
        return PODS
    return limit.removeprefix("requests.").removeprefix(LIMITS)


def _asked(wanted: Wanted, limit: str) -> int:
    of_pod = wanted.limits if limit.startswith(LIMITS) else wanted.amounts
    return of_pod.get(limited(limit), 0)


def _includes(scope: ScopeRequirement, wanted: Wanted) -> bool:
    """Scopes of other things than jobman's pods ask for (volumes, other namespaces) hold none."""
    if scope.scope_name == "PriorityClass":
        return _is_of_class(scope, wanted.priority_class)
    test = _SCOPES.get(scope.scope_name)
    return test is not None and test(wanted)


def _is_of_class(scope: ScopeRequirement, name: str) -> bool:
    match scope.operator:
        case "In":
            return name in scope.values
        case "NotIn":
            return name not in scope.values
        case "DoesNotExist":
            return not name
        case _:
            return bool(name)


def _asks_nothing(wanted: Wanted) -> bool:
    return not any(of.get(name, 0) for of in (wanted.amounts, wanted.limits) for name in _COMPUTE)


_SCOPES: dict[str, Callable[[Wanted], bool]] = {
    "Terminating": lambda wanted: wanted.time_limited,
    "NotTerminating": lambda wanted: not wanted.time_limited,
    "BestEffort": _asks_nothing,
    "NotBestEffort": lambda wanted: not _asks_nothing(wanted),
}


def _in_words(scope: ScopeRequirement) -> str:
    if scope.operator == "Exists":
        return scope.scope_name
    return " ".join((scope.scope_name, scope.operator, "|".join(scope.values))).strip()
