"""The GPUs of the nodes by kind: how many, how many free, in what blocks, and what is out. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache

import msgspec

from jobman.queue.amounts import UNIT
from jobman.queue.nodes import PRODUCT_LABELS, NodeView
from jobman.queue.rules import Wanted, against

IsGpu = Callable[[str], bool]


class GpuLine(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """GPUs of one kind: `total` = `inUse` + `free` + `unusable`, unless too many are held.

    `inUse` is what pods hold or have been promised. `unusable` is free and out of reach: on
    nodes that are cordoned or not ready, or reported as broken by their node. `largestFree` is
    the most that one pod without tolerations can get; where all that is free is on nodes with
    taints, the most that one pod can get there. What pods hold is unknown (null) where they cannot
    be read.
    """

    product: str
    resource: str
    total: int
    in_use: int | None
    free: int | None
    largest_free: int | None
    largest_free_node: str
    unusable: int
    nodes: int
    nodes_cordoned: int
    nodes_not_ready: int


def lines(
    nodes: Iterable[NodeView],
    is_gpu: IsGpu,
    *,
    usage_known: bool = True,
    tolerations_final: bool = False,
) -> list[GpuLine]:
    """A line per product and resource, by name.

    `tolerations_final`: the cluster adds no toleration to pods.
    """
    there = [*nodes]
    found: defaultdict[tuple[str, str], list[NodeView]] = defaultdict(list)
    for resource in filter(is_gpu, _resources(there)):
        for node in there:
            if _installed(node, resource) > 0:
                found[product(node, resource), resource].append(node)
    return [
        _line(*kind, alike, usage_known=usage_known, tolerations_final=tolerations_final)
        for kind, alike in sorted(found.items())
    ]


def _resources(nodes: Iterable[NodeView]) -> set[str]:
    """The names of all that some node has."""
    names: set[str] = set()
    for node in nodes:
        names.update(node.capacity, node.allocatable)
    return names


def gpu_resources(node: NodeView, is_gpu: IsGpu) -> list[str]:
    """The GPU resources that a node has, also such of which none works."""
    names = {**node.capacity, **node.allocatable}
    return sorted(name for name in names if is_gpu(name) and _installed(node, name) > 0)


def product(node: NodeView, resource: str) -> str:
    """The kind of GPU that the node's labels name, if it is of this vendor; else the resource."""
    for key in _labels_for(resource):
        if found := node.labels.get(key):
            return found
    return resource


@cache
def _labels_for(resource: str) -> tuple[str, ...]:
    """The labels that may name the product, its vendor's own first."""
    vendor = _domain(resource)
    own = [key for key in PRODUCT_LABELS if _domain(key) == vendor]
    return (*own, *[key for key in PRODUCT_LABELS if _domain(key) not in _VENDORS])


def _domain(name: str) -> str:
    return name.partition("/")[0]


_VENDORS = ("nvidia.com", "amd.com", "gpu.intel.com")


class Counts(msgspec.Struct, frozen=True):
    """Whole GPUs: all, those that pods hold, that can be had, and that work on usable nodes."""

    total: int
    held: int
    free: int
    working: int

    def unusable(self, *, usage_known: bool) -> int:
        """What nobody can get though nobody has it."""
        return max(self.total - (self.held + self.free if usage_known else self.working), 0)


def counts(found: Iterable[tuple[NodeView, str]]) -> Counts:
    """The sums over nodes, each with a GPU resource that it has."""
    total = held = free = working = 0
    for node, resource in found:
        total += _installed(node, resource) // UNIT
        held += _held(node, resource)
        free += _free(node, resource)
        working += node.allocatable.get(resource, 0) // UNIT if node.usable else 0
    return Counts(total, held, free, working)


def largest_block(
    found: Iterable[tuple[NodeView, str]], *, tolerations_final: bool = False
) -> tuple[int, str]:
    """The most that one pod can get, and the first node by name that has it.

    Nodes whose taints keep off pods without tolerations count only where no other has a free GPU.
    """
    free = [(left, *pair) for pair in found if (left := _free(*pair))]
    anyones = [block for block in free if _takes_anyone(*block[1:], tolerations_final)]
    blocks = [(left, node.name) for left, node, _ in anyones or free]
    return min(blocks, key=lambda block: (-block[0], block[1]), default=(0, ""))


def _takes_anyone(node: NodeView, resource: str, tolerations_final: bool) -> bool:
    """Whether no taint keeps pods off, but for one that admission makes them tolerate."""
    pod = Wanted({resource: UNIT}, {}, None, (), tolerations_final=tolerations_final)
    return not against(pod, node)


def _line(
    kind: str,
    resource: str,
    nodes: list[NodeView],
    *,
    usage_known: bool,
    tolerations_final: bool,
) -> GpuLine:
    found = [(node, resource) for node in nodes]
    sums = counts(found)
    largest, where = largest_block(found, tolerations_final=tolerations_final)
    return GpuLine(
        product=kind,
        resource=resource,
        total=sums.total,
        in_use=sums.held if usage_known else None,
        free=sums.free if usage_known else None,
        largest_free=largest if usage_known else None,
        largest_free_node=where if usage_known else "",
        unusable=sums.unusable(usage_known=usage_known),
        nodes=len(nodes),
        nodes_cordoned=sum(not node.schedulable for node in nodes),
        nodes_not_ready=sum(not node.ready for node in nodes),
    )


def _free(node: NodeView, resource: str) -> int:
    """Whole GPUs that can be had on this node."""
    return max(node.free.get(resource, 0), 0) // UNIT if node.usable else 0


def _held(node: NodeView, resource: str) -> int:
    return -(-node.used.get(resource, 0) // UNIT)


def _installed(node: NodeView, resource: str) -> int:
    return max(node.capacity.get(resource, 0), node.allocatable.get(resource, 0))
