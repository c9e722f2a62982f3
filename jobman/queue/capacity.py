"""How many more pods of one kind would fit now. Pure.

Nodes that are alike are judged once: of two thousand nodes few differ in what the rules look at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from jobman.queue.amounts import Amounts
from jobman.queue.nodes import NodeView, counted_for
from jobman.queue.rules import Wanted, against, keys_looked_at

_Traits = tuple[object, ...]


def how_many(wanted: Wanted, nodes: Iterable[NodeView]) -> int:
    """How many such pods could start now, on all nodes together."""
    return Capacity(nodes).how_many(wanted)


def how_many_on(asked: Amounts, free: Amounts) -> int:
    """How many times `asked` goes into what is free on one node."""
    return min(
        (max(free.get(name, 0), 0) // amount for name, amount in asked.items() if amount > 0),
        default=0,
    )


class Capacity:
    """Nodes, put in order for many questions."""

    def __init__(self, nodes: Iterable[NodeView]) -> None:
        self._nodes = [*nodes]
        self._alike: dict[frozenset[str], list[Sequence[NodeView]]] = {}
        self._free: dict[tuple[int, tuple[str, ...]], Counter[tuple[int, ...]]] = {}
        self._has_nominated = any(node.nominated for node in self._nodes)
        self._by_priority: dict[int, Capacity] = {}

    def how_many(self, wanted: Wanted) -> int:
        """How many such pods could start now; a pod that asks for nothing: none."""
        if self._has_nominated:
            return self._counted_for(wanted.priority).how_many(wanted)
        asked = {name: amount for name, amount in wanted.amounts.items() if amount > 0}
        if not asked:
            return 0
        return sum(
            self._in_group(asked, group)
            for group in self._groups(wanted)
            if not against(wanted, group[0])
        )

    def _counted_for(self, priority: int) -> Capacity:
        """The same as it is for pods of this priority."""
        if priority not in self._by_priority:
            self._by_priority[priority] = Capacity(counted_for(priority, self._nodes))
        return self._by_priority[priority]

    def _groups(self, wanted: Wanted) -> Sequence[Sequence[NodeView]]:
        """The nodes, those together that the rules cannot tell apart."""
        keys = keys_looked_at(wanted)
        if keys is None:
            return [[node] for node in self._nodes]
        if keys not in self._alike:
            groups: defaultdict[_Traits, list[NodeView]] = defaultdict(list)
            for node in self._nodes:
                groups[_traits(node, keys)].append(node)
            self._alike[keys] = [*groups.values()]
        return self._alike[keys]

    def _in_group(self, asked: Amounts, group: Sequence[NodeView]) -> int:
        names = tuple(sorted(asked))
        key = id(group), names
        if len(group) == 1:
            return how_many_on(asked, group[0].free)
        if key not in self._free:
            self._free[key] = Counter(
                tuple(node.free.get(name, 0) for name in names) for node in group
            )
        amounts = [asked[name] for name in names]
        return sum(
            count * max(min(map(int.__floordiv__, free, amounts)), 0)
            for free, count in self._free[key].items()
        )


def _traits(node: NodeView, keys: frozenset[str]) -> _Traits:
    labels = tuple((key, node.labels.get(key)) for key in sorted(keys))
    taints = tuple((taint.key, taint.value, taint.effect) for taint in node.taints)
    return node.schedulable, node.ready, taints, labels
