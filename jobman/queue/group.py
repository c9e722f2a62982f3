"""Claims -> rows: the queue by flavor, user, namespace, node or kind of GPU. Pure.

Rows do not depend on the order in which the claims came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

import msgspec

from jobman.queue.claims import Claim, Shape
from jobman.queue.nodes import PRODUCT_LABELS
from jobman.values.enums import QueueBy as By
from jobman.values.enums import State


class Key(NamedTuple):
    """What a group is of: a name, and for flavors the amounts of one pod in thousandths."""

    name: str | None
    cpu: int = 0
    memory: int = 0
    gpus: tuple[tuple[str, int], ...] = ()


class Counts(msgspec.Struct, gc=False):
    """Pods by what they do."""

    waiting: int = 0
    starting: int = 0
    running: int = 0
    stuck: int = 0
    suspended: int = 0

    def add(self, state: State, count: int) -> None:
        """Count `count` pods of one state in."""
        match state:
            case State.PENDING:
                self.waiting += count
            case State.STARTING:
                self.starting += count
            case State.STUCK:
                self.stuck += count
            case State.SUSPENDED:
                self.suspended += count
            case _:
                self.running += count

    def include(self, other: Counts) -> None:
        """Count all of `other` in."""
        self.waiting += other.waiting
        self.starting += other.starting
        self.running += other.running
        self.stuck += other.stuck
        self.suspended += other.suspended

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.starting + self.running + self.stuck + self.suspended


class Group(msgspec.Struct, kw_only=True):
    """What is known of one row while claims are counted.

    `holding` and `wanting` are thousandths of GPUs by resource: of pods with a node, and of
    waiting ones. `shapes` counts pods by what they ask for.
    """

    key: Key
    counts: Counts = msgspec.field(default_factory=Counts)
    yours: Counts = msgspec.field(default_factory=Counts)
    managed: int = 0
    oldest: str = ""
    holding: dict[str, int] = msgspec.field(default_factory=dict)
    wanting: dict[str, int] = msgspec.field(default_factory=dict)
    shapes: Counter[Shape] = msgspec.field(default_factory=Counter)

    @property
    def usual_shape(self) -> Shape | None:
        """What most of its pods ask for; between equals it does not matter who came first."""
        return max(self.shapes, key=lambda shape: (self.shapes[shape], repr(shape)), default=None)


class Keying(NamedTuple):
    """How claims are put together: by a name and, `with_amounts`, by what one pod asks for."""

    name_of: Callable[[Claim], str | None]
    with_amounts: bool = False

    def __call__(self, claim: Claim) -> Key:
        """The group of a claim."""
        return self.key(self.name_of(claim), claim.shape)

    def key(self, name: str | None, shape: Shape) -> Key:
        """The group of claims of that name and shape."""
        if self.with_amounts:
            return Key(name, shape.cpu, shape.memory, shape.gpus)
        return Key(name)


of_flavor = Keying(attrgetter("flavor"), with_amounts=True)
"""The flavor with its amounts: one name with other amounts is another group."""


def keying(by: By, products: Mapping[str, str] | None = None) -> Keying:
    """How claims are put together; `products` are the kinds of GPU by node."""
    known = products or {}
    return {
        By.FLAVOR: of_flavor,
        By.USER: Keying(attrgetter("user")),
        By.NAMESPACE: Keying(attrgetter("namespace")),
        By.NODE: Keying(lambda claim: claim.node or None),
        By.GPU: Keying(lambda claim: _product(claim, known)),
    }[by]


def _product(claim: Claim, products: Mapping[str, str]) -> str | None:
    """The kind of GPU that it has, asks for by a label, or just the resource."""
    if not claim.shape.gpus:
        return None
    if claim.node:
        return products.get(claim.node) or claim.shape.gpus[0][0]
    selector = claim.shape.wanted.node_selector
    asked = next((selector[key] for key in PRODUCT_LABELS if key in selector), None)
    return asked or f"any {claim.shape.gpus[0][0]}"


def counts_here(claim: Claim) -> bool:
    """Whether it is part of the contention: all work, and whatever holds or wants a GPU."""
    return claim.work or claim.managed or bool(claim.shape.gpus)


class _Alike(NamedTuple):
    """What claims have in common that a group does not tell apart."""

    name: str | None
    shape: Shape
    state: State
    mine: bool
    managed: bool


class Tally:
    """Counts claims: those alike are one number until the groups are asked for."""

    def __init__(self, key_of: Keying = of_flavor) -> None:
        self._key_of = key_of
        self._pods: dict[tuple[object, ...], int] = {}
        self._oldest: dict[tuple[str | None, Shape], str] = {}

    def add(self, claim: Claim) -> None:
        """Count a claim in."""
        name, shape, state = self._key_of.name_of(claim), claim.shape, claim.state
        alike = name, shape, state, claim.mine, claim.managed
        self._pods[alike] = self._pods.get(alike, 0) + claim.count
        if state is State.PENDING and claim.since:
            since = self._oldest.get((name, shape))
            if since is None or claim.since < since:
                self._oldest[name, shape] = claim.since

    @property
    def groups(self) -> list[Group]:
        """The groups, those with names first, in their alphabet; others by size, big ones first."""
        found: dict[Key, Group] = {}
        for alike, count in self._counted():
            key = self._key_of.key(alike.name, alike.shape)
            group = found.get(key)
            if group is None:
                group = found[key] = Group(key=key)
            _include(group, alike, count)
        for (name, shape), since in self._oldest.items():
            group = found[self._key_of.key(name, shape)]
            group.oldest = min(group.oldest or since, since)
        return sorted(found.values(), key=rank)

    @property
    def devices_claimed(self) -> int:
        """Pods with resource claims."""
        return sum(count for alike, count in self._counted() if alike.shape.devices_claimed)

    @property
    def unjudged(self) -> Mapping[str, int]:
        """Waiting pods by what they ask for and nobody here judges."""
        found: Counter[str] = Counter()
        for alike, count in self._counted():
            if alike.state is State.PENDING:
                found.update(dict.fromkeys(alike.shape.wanted.unjudged, count))
        return found

    def _counted(self) -> Iterator[tuple[_Alike, int]]:
        return ((_Alike._make(alike), count) for alike, count in self._pods.items())


def _include(group: Group, alike: _Alike, count: int) -> None:
    group.counts.add(alike.state, count)
    if alike.mine:
        group.yours.add(alike.state, count)
    if alike.managed:
        group.managed += count
    group.shapes[alike.shape] += count
    if alike.state is State.SUSPENDED:
        return
    into = group.wanting if alike.state is State.PENDING else group.holding
    for resource, amount in alike.shape.gpus:
        into[resource] = into.get(resource, 0) + amount * count


def rank(group: Group) -> tuple[object, ...]:
    """Sorts groups: by name, then big pods first."""
    key = group.key
    size = -sum(amount for _, amount in key.gpus), -key.cpu, -key.memory, key.gpus
    return (key.name is None, key.name or "", *size)


def grouped(claims: Iterable[Claim], key_of: Keying = of_flavor) -> list[Group]:
    """The claims put together."""
    tally = Tally(key_of)
    for claim in claims:
        tally.add(claim)
    return tally.groups
