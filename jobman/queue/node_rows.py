"""What `jobman nodes` shows: each node, or the nodes of one kind of GPU together. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from jobman.queue import gpus
from jobman.queue.amounts import UNIT
from jobman.queue.claims import Claim, IsGpu
from jobman.queue.compact import text
from jobman.queue.nodes import NodeView
from jobman.queue.snapshot import Snapshot


class Holder(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A pod that holds GPUs; `user` is null of one that jobman did not make."""

    namespace: str
    pod: str
    user: str | None
    gpus: int


class NodeRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One node, as `jobman nodes -o json` prints it.

    `gpuProduct` is null of a node without GPUs. `gpusUsed`, `gpusFree`, `cpuFree` and `memoryFree`
    are null where the pods cannot be read; of a node that is cordoned or not ready nothing is free.
    `holders` is null unless `-v` asked for them and they are known.
    """

    name: str
    state: str
    gpu_product: str | None
    gpus: int
    gpus_used: int | None
    gpus_free: int | None
    cpu: str
    cpu_free: str | None
    memory: str
    memory_free: str | None
    taints: list[str]
    holders: list[Holder] | None


class ProductRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The nodes of one kind of GPU, as `jobman nodes --by gpu -o json` prints them.

    `gpuProduct` is null for the nodes without GPUs. `gpus` = `gpusUsed` + `gpusFree` +
    `gpusUnusable`, unless too many are held.
    """

    gpu_product: str | None
    nodes: int
    nodes_ready: int
    nodes_cordoned: int
    gpus: int
    gpus_used: int | None
    gpus_free: int | None
    gpus_unusable: int
    largest_free: int | None
    cpu: str
    cpu_free: str | None
    memory: str
    memory_free: str | None


def rows(snapshot: Snapshot, is_gpu: IsGpu) -> list[NodeRow]:
    """A row per node, by name."""
    nodes = sorted(snapshot.nodes or (), key=lambda node: node.name)
    return [_row(node, is_gpu, snapshot) for node in nodes]


def _row(node: NodeView, is_gpu: IsGpu, snapshot: Snapshot) -> NodeRow:
    usage_known, holders = snapshot.usage_known, snapshot.holders
    sums = gpus.counts(_gpus([node], is_gpu))
    return NodeRow(
        name=node.name,
        state=state(node),
        gpu_product=_product(node, is_gpu),
        gpus=sums.total,
        gpus_used=sums.held if usage_known else None,
        gpus_free=sums.free if usage_known else None,
        cpu=_sum([node], "cpu"),
        cpu_free=_left([node], "cpu") if usage_known else None,
        memory=_sum([node], "memory"),
        memory_free=_left([node], "memory") if usage_known else None,
        taints=[
            f"{taint.key}={taint.value}:{taint.effect}"
            if taint.value
            else f"{taint.key}:{taint.effect}"
            for taint in node.taints
        ],
        holders=None if holders is None else _holders(holders.get(node.name, ())),
    )


def state(node: NodeView) -> str:
    """In kubectl's words: Ready, NotReady, and SchedulingDisabled of a cordoned one."""
    ready = "Ready" if node.ready else "NotReady"
    return ready if node.schedulable else f"{ready},SchedulingDisabled"


def by_product(snapshot: Snapshot, is_gpu: IsGpu) -> list[ProductRow]:
    """A row per kind of GPU, by name; the nodes without come last."""
    groups: defaultdict[str | None, list[NodeView]] = defaultdict(list)
    for node in snapshot.nodes or ():
        groups[_product(node, is_gpu)].append(node)
    ordered = sorted(groups.items(), key=lambda item: (item[0] is None, item[0] or ""))
    return [_product_row(kind, nodes, is_gpu, snapshot) for kind, nodes in ordered]


def _product_row(
    product: str | None, nodes: Sequence[NodeView], is_gpu: IsGpu, snapshot: Snapshot
) -> ProductRow:
    found = [*_gpus(nodes, is_gpu)]
    sums, usage_known = gpus.counts(found), snapshot.usage_known
    largest, _ = gpus.largest_block(found, tolerations_final=snapshot.tolerations_final)
    return ProductRow(
        gpu_product=product,
        nodes=len(nodes),
        nodes_ready=sum(node.ready for node in nodes),
        nodes_cordoned=sum(not node.schedulable for node in nodes),
        gpus=sums.total,
        gpus_used=sums.held if usage_known else None,
        gpus_free=sums.free if usage_known else None,
        gpus_unusable=sums.unusable(usage_known=usage_known),
        largest_free=largest if usage_known else None,
        cpu=_sum(nodes, "cpu"),
        cpu_free=_left(nodes, "cpu") if usage_known else None,
        memory=_sum(nodes, "memory"),
        memory_free=_left(nodes, "memory") if usage_known else None,
    )


def _product(node: NodeView, is_gpu: IsGpu) -> str | None:
    kinds = dict.fromkeys(gpus.product(node, name) for name in gpus.gpu_resources(node, is_gpu))
    return ", ".join(kinds) or None


def _gpus(nodes: Iterable[NodeView], is_gpu: IsGpu) -> Iterator[tuple[NodeView, str]]:
    """Each node with each GPU resource that it has."""
    for node in nodes:
        for name in gpus.gpu_resources(node, is_gpu):
            yield node, name


def _sum(nodes: Iterable[NodeView], resource: str) -> str:
    return _text(resource, sum(node.allocatable.get(resource, 0) for node in nodes))


def _left(nodes: Iterable[NodeView], resource: str) -> str:
    usable = [node for node in nodes if node.usable]
    return _text(resource, sum(max(node.free.get(resource, 0), 0) for node in usable))


def _text(resource: str, amount: int) -> str:
    """Memory to the Mi, for what is free is seldom a round number."""
    if resource != "memory":
        return text(resource, amount)
    step = UNIT * 2**20
    return text(resource, amount // step * step)


def _holders(claims: Iterable[Claim]) -> list[Holder]:
    """The biggest first."""
    found = [
        Holder(
            namespace=claim.namespace,
            pod=claim.name,
            user=claim.user,
            gpus=-(-claim.shape.gpu_total // UNIT),
        )
        for claim in claims
    ]
    return sorted(found, key=lambda each: (-each.gpus, each.namespace, each.pod))
