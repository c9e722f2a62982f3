"""Claims -> rows: the queue by flavor, user, namespace, node or kind of GPU. Pure.

Rows do not depend on the order in which the claims came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
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


Keying = Callable[[Claim], Key]


def keying(by: By, products: Mapping[str, str] | None = None) -> Keying:
    """How claims are put together; `products` are the kinds of GPU by node."""
    if by is By.FLAVOR:
        return of_flavor
    if by is By.GPU:
        known = products or {}
        return lambda claim: Key(_product(claim, known))
    return {
        By.USER: lambda claim: Key(claim.user),
        By.NAMESPACE: lambda claim: Key(claim.namespace),
        By.NODE: lambda claim: Key(claim.node or None),
    }[by]


def of_flavor(claim: Claim) -> Key:
    """The flavor with its amounts: one name with other amounts is another group."""
    shape = claim.shape
    return Key(claim.flavor, shape.cpu, shape.memory, shape.gpus)


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


class Tally:
    """Counts claims into groups."""

    def __init__(self, key_of: Keying = of_flavor) -> None:
        self._key_of = key_of
        self._groups: dict[Key, Group] = {}
        self.devices_claimed = 0
        self.unjudged: Counter[str] = Counter()

    def add(self, claim: Claim) -> None:
        """Count a claim in."""
        key = self._key_of(claim)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key=key)
        state, count, shape = claim.state, claim.count, claim.shape
        group.counts.add(state, count)
        if claim.mine:
            group.yours.add(state, count)
        if claim.managed:
            group.managed += count
        if state is State.PENDING and claim.since:
            group.oldest = min(group.oldest or claim.since, claim.since)
        group.shapes[shape] += count
        if shape.gpus:
            _count_gpus(group, claim)
        if shape.devices_claimed:
            self.devices_claimed += count
        if state is State.PENDING and shape.wanted.unjudged:
            self.unjudged.update(dict.fromkeys(shape.wanted.unjudged, count))

    @property
    def groups(self) -> list[Group]:
        """The groups, those with names first, in their alphabet; others by size, big ones first."""
        return sorted(self._groups.values(), key=rank)


def _count_gpus(group: Group, claim: Claim) -> None:
    """A waiting pod wants its GPUs; others hold them, whatever they do."""
    if claim.state is State.SUSPENDED:
        return
    into = group.wanting if claim.state is State.PENDING else group.holding
    for resource, amount in claim.shape.gpus:
        into[resource] = into.get(resource, 0) + amount * claim.count


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
