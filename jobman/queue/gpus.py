"""The GPUs of the nodes by kind: how many, how many free, in what blocks, and what is out. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache

import msgspec

from jobman.queue.amounts import UNIT
from jobman.queue.nodes import PRODUCT_LABELS, NodeView

IsGpu = Callable[[str], bool]


class GpuLine(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """GPUs of one kind: `total` = `inUse` + `free` + `unusable`, unless too many are held.

    `inUse` is what pods hold or have been promised. `unusable` is free and out of reach: on
    nodes that are cordoned or not ready, or reported as broken by their node. `largestFree` is
    the most that one pod can get. What pods hold is unknown (null) where they cannot be read.
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


def lines(nodes: Iterable[NodeView], is_gpu: IsGpu, *, usage_known: bool = True) -> list[GpuLine]:
    """A line per product and resource, by name."""
    there = [*nodes]
    found: defaultdict[tuple[str, str], list[NodeView]] = defaultdict(list)
    for resource in filter(is_gpu, _resources(there)):
        for node in there:
            if _installed(node, resource) > 0:
                found[product(node, resource), resource].append(node)
    return [_line(*kind, alike, usage_known=usage_known) for kind, alike in sorted(found.items())]


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


def _line(kind: str, resource: str, nodes: list[NodeView], *, usage_known: bool) -> GpuLine:
    free = [(free_gpus(node, resource), node.name) for node in nodes if node.usable]
    largest = max((left for left, _ in free), default=0)
    where = min((name for left, name in free if left == largest), default="")
    installed = sum(_installed(node, resource) for node in nodes)
    held = sum(_held(node, resource) for node in nodes)
    left = sum(there for there, _ in free)
    working = sum(node.allocatable.get(resource, 0) for node in nodes if node.usable)
    return GpuLine(
        product=kind,
        resource=resource,
        total=installed // UNIT,
        in_use=held if usage_known else None,
        free=left if usage_known else None,
        largest_free=largest if usage_known else None,
        largest_free_node=where if usage_known and largest else "",
        unusable=max(installed // UNIT - held - left, 0)
        if usage_known
        else (installed - working) // UNIT,
        nodes=len(nodes),
        nodes_cordoned=sum(not node.schedulable for node in nodes),
        nodes_not_ready=sum(not node.ready for node in nodes),
    )


def free_gpus(node: NodeView, resource: str) -> int:
    """Whole GPUs that nobody holds, on this node."""
    return max(node.free.get(resource, 0), 0) // UNIT


def _held(node: NodeView, resource: str) -> int:
    return -(-node.used.get(resource, 0) // UNIT)


def _installed(node: NodeView, resource: str) -> int:
    return max(node.capacity.get(resource, 0), node.allocatable.get(resource, 0))
