"""Which waiting pod goes to which node: the scheduler's memory and its rules. Pure.

The order is by priority, then first come, first served. A pod that does not fit now lets others
past, but not for ever. **The rule**: the first waiting pod of each kind, if it would fit on an
empty node, has a node reserved for it once it has waited for a minute or eight pods behind it
were given room that it could have used. On that node the pods behind it are placed as if it were
there already.

Nothing here looks at all pods or all nodes for one change: alike pods share one `Kind`, which
remembers the nodes that may have room; a node that turns out full is forgotten until something
on it is freed.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from jobman.local import fit
from jobman.local.fit import Demand, NodeRoom

PATIENCE_S = 60.0
OVERTAKEN_MOST = 8
# Enough nodes to spread over; looking at more is not worth the time.
_COMPARED = 8
_IDLE_KINDS_KEPT = 256
_FEW_NODES = 50
_MESSAGE_KEPT_S = 1.0

Order = tuple[int, str, int]


@dataclass(eq=False)
class Waiting:
    """A pod without a node. `order`: (-priority, creation, arrival); times in seconds."""

    namespace: str
    name: str
    uid: str
    order: Order
    since: float
    kind: Kind
    overtaken: int = 0
    told_at: float | None = None


@dataclass(eq=False)
class Kind:
    """Pods that ask the same. `suitable` nodes are meant for them, `candidates` may have room."""

    key: Hashable
    demand: Demand
    suitable: set[str] = field(default_factory=set)
    candidates: dict[str, None] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    queue: list[tuple[Order, str]] = field(default_factory=list)
    blocked: bool = False
    hopeless: bool = False
    reserved: str | None = None
    message: tuple[int, float, str] | None = None

    @property
    def head(self) -> Waiting | None:
        """The pod whose turn it is."""
        while self.queue and self.queue[0][1] not in self.waiting:
            heapq.heappop(self.queue)
        return self.waiting[self.queue[0][1]] if self.queue else None

    def see(self, node: NodeRoom) -> None:
        """The node is new, or changed."""
        self.forget(node.name)
        if fit.mismatch(self.demand, node) is None:
            self.suitable.add(node.name)
            self.candidates[node.name] = None
        self.hopeless = False

    def forget(self, name: str) -> None:
        """The node is gone."""
        self.suitable.discard(name)
        self.candidates.pop(name, None)


class Board:
    """All nodes with what is used of them, and the waiting pods."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeRoom] = {}
        self._kinds: dict[Hashable, Kind] = {}
        self._waiting: dict[str, Waiting] = {}
        self._bound: dict[str, tuple[str, Mapping[str, int]]] = {}
        self._on_node: dict[str, set[str]] = {}
        self._reserved: dict[str, Kind] = {}
        self._ready: list[tuple[Order, int, Kind]] = []
        self._arrivals = itertools.count()
        self._version = 0
        self._now = 0.0

    # -- nodes ---------------------------------------------------------------------------------

    def set_node(self, node: NodeRoom) -> None:
        """A node is there, or is not as it was."""
        for uid in self._on_node.get(node.name, ()):
            node.take(self._bound[uid][1])
        self.nodes[node.name] = node
        self._version += 1
        self._release(node.name)
        for kind in self._kinds.values():
            kind.see(node)
            self._unblock(kind)

    def remove_node(self, name: str) -> None:
        """A node is gone; the pods on it are still counted, should it come back."""
        if self.nodes.pop(name, None) is None:
            return
        self._version += 1
        self._release(name)
        for kind in self._kinds.values():
            kind.forget(name)

    # -- pods that have a node -----------------------------------------------------------------

    def occupy(self, uid: str, node: str, requests: Mapping[str, int]) -> None:
        """A pod is on a node and takes its amounts there."""
        pod = self._waiting.get(uid)
        self.withdraw(uid)
        if pod is not None and pod.kind.reserved == node:
            self._release(node)
        if uid in self._bound:
            return
        self._bound[uid] = (node, requests)
        self._on_node.setdefault(node, set()).add(uid)
        self._version += 1
        if node in self.nodes:
            self.nodes[node].take(requests)

    def is_bound(self, uid: str) -> bool:
        """Whether a pod takes its amounts on a node."""
        return uid in self._bound

    def vacate(self, uid: str) -> bool:
        """A pod has ended or is gone; tells whether that made room."""
        name, requests = self._bound.pop(uid, ("", {}))
        if not name:
            return False
        self._on_node[name].discard(uid)
        if not self._on_node[name]:
            del self._on_node[name]
        self._version += 1
        node = self.nodes.get(name)
        if node is None:
            return False
        node.give_back(requests)
        for kind in self._kinds.values():
            if name in kind.suitable and node.has_room(kind.demand.requests):
                kind.candidates[name] = None
                self._unblock(kind)
        return True

    # -- pods that wait ------------------------------------------------------------------------

    def kind(self, key: Hashable) -> Kind | None:
        """The kind of pods known under that key."""
        return self._kinds.get(key)

    def new_kind(self, key: Hashable, demand: Demand) -> Kind:
        """Get to know a kind of pods."""
        if len(self._kinds) > _IDLE_KINDS_KEPT:
            for idle in [kind for kind in self._kinds.values() if not kind.waiting]:
                del self._kinds[idle.key]
        made = self._kinds[key] = Kind(key, demand)
        for node in self.nodes.values():
            made.see(node)
        return made

    def enqueue(
        self,
        namespace: str,
        name: str,
        uid: str,
        kind: Kind,
        *,
        priority: int,
        created: str,
        since: float,
        overtaken: int = 0,
    ) -> Waiting:
        """A pod waits from now on; before, it was `overtaken`."""
        self._kinds.setdefault(kind.key, kind)
        order = (-priority, created, next(self._arrivals))
        pod = Waiting(namespace, name, uid, order, since, kind, overtaken)
        self._waiting[uid] = kind.waiting[uid] = pod
        heapq.heappush(kind.queue, (order, uid))
        if kind.head is pod:
            self._release(kind.reserved)
            kind.blocked = False
            self._offer(kind)
        return pod

    def waiting(self, uid: str) -> Waiting | None:
        """The pod, if it waits."""
        return self._waiting.get(uid)

    def withdraw(self, uid: str) -> None:
        """The pod waits no more."""
        pod = self._waiting.pop(uid, None)
        if pod is None:
            return
        kind = pod.kind
        was_head = kind.head is pod
        del kind.waiting[uid]
        if was_head:
            self._pass_on(kind)
            self._offer(kind)

    # -- decisions -----------------------------------------------------------------------------

    def next(self, now: float) -> tuple[Waiting, str] | None:
        """The next pod that can be placed, and its node; None when nobody fits anywhere."""
        self._now = now
        self._reserve()
        while self._ready:
            order, _, kind = heapq.heappop(self._ready)
            head = kind.head
            if kind.blocked or head is None or head.order != order:
                continue
            name = self._choose(head)
            if name is None:
                kind.blocked = True
                self._reserve()
                continue
            self._offer(kind)
            self._count_overtaken(head, name)
            # Take turns among equals.
            del kind.candidates[name]
            kind.candidates[name] = None
            return head, name
        return None

    def explain(self, pod: Waiting, now: float) -> str:
        """Why the pod has no node."""
        kind = pod.kind
        if kind.message is not None:
            version, made_at, text = kind.message
            recent = len(self.nodes) > _FEW_NODES and now - made_at < _MESSAGE_KEPT_S
            if version == self._version or recent:
                return text
        text = fit.message(kind.demand, self.nodes.values())
        kind.message = (self._version, now, text)
        return text

    def blocked_heads(self) -> list[Waiting]:
        """The first pod of each kind that has just been refused."""
        heads = (kind.head for kind in self._kinds.values() if kind.blocked)
        return [head for head in heads if head is not None]

    def reservations(self) -> dict[str, tuple[Waiting, str]]:
        """The pods that a node is reserved for, by uid."""
        held = ((kind.head, name) for name, kind in self._reserved.items())
        return {head.uid: (head, name) for head, name in held if head is not None}

    def next_reservation_at(self) -> float | None:
        """When the next of those that wait will have waited long enough for a node of its own."""
        ends = (head.since + PATIENCE_S for head in self.blocked_heads() if not head.kind.hopeless)
        return min((end for end in ends if end > self._now), default=None)

    def _offer(self, kind: Kind) -> None:
        head = kind.head
        if head is not None and not kind.blocked:
            heapq.heappush(self._ready, (head.order, id(kind), kind))

    def _unblock(self, kind: Kind) -> None:
        if kind.blocked:
            kind.blocked = False
            self._offer(kind)

    def _choose(self, pod: Waiting) -> str | None:
        """The idlest of the first few nodes with room."""
        kind, requests = pod.kind, pod.kind.demand.requests
        full: list[str] = []
        found: list[NodeRoom] = []
        for name in kind.candidates:
            node = self.nodes[name]
            if not node.has_room(requests):
                full.append(name)
            elif self._may_use(pod, node):
                found.append(node)
                if len(found) == _COMPARED:
                    break
        for name in full:
            del kind.candidates[name]
        return max(found, key=NodeRoom.idle_share).name if found else None

    def _may_use(self, pod: Waiting, node: NodeRoom) -> bool:
        """Whether a reservation of the node leaves the pod its room there."""
        kind = self._reserved.get(node.name)
        holder = kind.head if kind is not None else None
        if kind is None or holder is None or holder.order >= pod.order:
            return True
        return node.has_room(pod.kind.demand.requests, beside=kind.demand.requests)

    # -- reservations --------------------------------------------------------------------------

    def _count_overtaken(self, pod: Waiting, name: str) -> None:
        """The pods in front that could have used that node were overtaken once more."""
        node = self.nodes[name]
        for head in self.blocked_heads():
            kind = head.kind
            if (
                head.order < pod.order
                and name in kind.suitable
                and node.could_hold(kind.demand.requests)
            ):
                head.overtaken += 1

    def _reserve(self) -> None:
        """Give those who have waited long enough a node of their own to come."""
        for head in sorted(self.blocked_heads(), key=lambda pod: pod.order):
            kind = head.kind
            if kind.reserved or kind.hopeless:
                continue
            if self._has_waited(head):
                self._reserve_for(head)

    def _reserve_for(self, pod: Waiting) -> None:
        """The node that is closest to having room, unless one who waits longer has it."""
        kind, requests = pod.kind, pod.kind.demand.requests
        large = [
            self.nodes[name] for name in kind.suitable if self.nodes[name].could_hold(requests)
        ]
        kind.hopeless = not large
        free = [node for node in large if not self._is_held_against(pod, node.name)]
        if not free:
            return
        name = min(free, key=lambda node: (fit.missing_room(requests, node), node.name)).name
        self._release(name)
        self._reserved[name] = kind
        kind.reserved = name
        self._version += 1

    def _is_held_against(self, pod: Waiting, name: str) -> bool:
        kind = self._reserved.get(name)
        holder = kind.head if kind is not None else None
        return holder is not None and holder.order < pod.order

    def _has_waited(self, pod: Waiting) -> bool:
        """Whether it has waited long enough."""
        return pod.overtaken >= OVERTAKEN_MOST or self._now - pod.since >= PATIENCE_S

    def _pass_on(self, kind: Kind) -> None:
        """The next of the kind has the reserved node, if it has waited as long."""
        head = kind.head
        if head is None or not self._has_waited(head):
            self._release(kind.reserved)
        elif kind.reserved is not None:
            self._let_past()

    def _release(self, name: str | None) -> None:
        """The node is for everyone again."""
        kind = self._reserved.pop(name, None) if name is not None else None
        if kind is not None:
            kind.reserved = None
            self._version += 1
            self._let_past()

    def _let_past(self) -> None:
        """Those whom a reservation may have stopped are looked at again."""
        for other in self._kinds.values():
            if other.candidates:
                self._unblock(other)
