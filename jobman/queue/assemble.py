"""Claims and nodes -> the facts of a snapshot. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from jobman.kube.objects import Node
from jobman.queue import gpus, snapshot
from jobman.queue import group as groups
from jobman.queue.claims import Claim, IsGpu
from jobman.queue.gpus import GpuLine
from jobman.queue.group import Group, Tally
from jobman.queue.nodes import NodeView
from jobman.queue.snapshot import Usage
from jobman.values.enums import QueueBy as By


class Facts(msgspec.Struct, frozen=True):
    """`nodes` None: not known. `holders` None: not asked for."""

    groups: Sequence[Group]
    nodes: Sequence[NodeView] | None
    gpus: Sequence[GpuLine]
    holders: Mapping[str, Sequence[Claim]] | None
    notes: Sequence[str]


def facts(
    claims: Iterable[Claim],
    ask_nodes: Callable[[], Sequence[Node] | None],
    *,
    by: By,
    is_gpu: IsGpu,
    holders: bool = False,
    tolerations_final: bool = False,
) -> Facts:
    """What all claims of the cluster come to; they are taken one by one and not kept.

    Except, with `holders`, those that hold GPUs. The nodes may still be on their way: they are
    asked for when they are needed.
    """
    products = snapshot.products(ask_nodes() or (), is_gpu) if by is By.GPU else None
    tally = Tally(groups.keying(by, products))
    used = Usage()
    holding: defaultdict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim.node:
            used.add(claim.node, claim.shape)
            if holders and claim.shape.gpus:
                holding[claim.node].append(claim)
        elif claim.nominated:
            used.nominate(claim)
        if groups.counts_here(claim):
            tally.add(claim)
    nodes = ask_nodes()
    views = None if nodes is None else snapshot.node_views(nodes, used)
    return Facts(
        groups=tally.groups,
        nodes=views,
        gpus=gpus.lines(views or (), is_gpu, tolerations_final=tolerations_final),
        holders=holding if holders else None,
        notes=[*_about_devices(tally.devices_claimed), *_not_judged(tally.unjudged)],
    )


def _about_devices(pods: int) -> list[str]:
    if not pods:
        return []
    have = "1 pod has" if pods == 1 else f"{pods} pods have"
    return [f"{have} resource claims (DRA): the devices they hold or want are not counted"]


def _not_judged(found: Mapping[str, int]) -> list[str]:
    return [
        f"{words}: {'1 waiting pod asks' if pods == 1 else f'{pods} waiting pods ask'} for it, and"
        " what fits does not judge it"
        for words, pods in sorted(found.items())
    ]
