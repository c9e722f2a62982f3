"""What is known at one moment: groups, nodes, GPUs and quotas, and where each was read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import msgspec

from jobman.kube.objects import Node
from jobman.queue import gpus, nodes
from jobman.queue.claims import Claim, IsGpu, Shape
from jobman.queue.gpus import GpuLine
from jobman.queue.group import Group
from jobman.queue.nodes import NodeView, Nominated
from jobman.queue.quotas import Quota


class Origin(StrEnum):
    """Where a fact was read."""

    CLUSTER = "cluster"
    CONFIGMAP = "configmap"
    NAMESPACE = "namespace"
    NOWHERE = "nowhere"


class Source(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Where a fact (`pods`, `jobs`, `nodes`, `quotas`) comes from and of when it is.

    `where` is the ConfigMap as namespace/name, or the namespace. `missing` says what therefore
    cannot be known.
    """

    fact: str
    origin: Origin
    at: datetime | None
    where: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Snapshot:
    """`nodes` None: not known. `usage_known` False: the nodes are, what is free on them is not.

    `holders` are the pods on each node that hold GPUs; None: not asked for, or not known.
    `tolerations_final`: the cluster adds no toleration to pods.
    """

    at: datetime
    groups: Sequence[Group] = ()
    nodes: Sequence[NodeView] | None = None
    usage_known: bool = True
    gpus: Sequence[GpuLine] = ()
    holders: Mapping[str, Sequence[Claim]] | None = None
    quotas: Sequence[Quota] = ()
    sources: Sequence[Source] = ()
    notes: Sequence[str] = ()
    tolerations_final: bool = False

    @property
    def of_whole_cluster(self) -> bool:
        """Whether all pods, Jobs and nodes were read."""
        facts = [source for source in self.sources if source.fact != "quotas"]
        return bool(facts) and all(source.origin is Origin.CLUSTER for source in facts)

    def as_of(self, now: datetime) -> Snapshot:
        """The same, of a cluster of which every change is seen."""
        fresh = [msgspec.structs.replace(source, at=now) for source in self.sources]
        return replace(self, at=now, sources=fresh)


@dataclass
class Usage:
    """Counts what the pods of each node use, equal pods together."""

    _pods: dict[tuple[str, Shape], int] = field(default_factory=dict)
    _nominated: dict[str, list[Nominated]] = field(default_factory=dict)

    def add(self, node: str, shape: Shape) -> None:
        """A pod on a node."""
        key = node, shape
        self._pods[key] = self._pods.get(key, 0) + 1

    def nominate(self, claim: Claim) -> None:
        """A pod that waits, and that the scheduler keeps room for on a node."""
        wanted = claim.shape.wanted
        kept = Nominated(claim.namespace, claim.name, wanted.priority, wanted.amounts)
        self._nominated.setdefault(claim.nominated, []).append(kept)

    def nominated(self, node: str) -> Sequence[Nominated]:
        """The pods that wait and have room kept for them there."""
        return self._nominated.get(node, ())

    def by_node(self) -> Mapping[str, dict[str, int]]:
        """Amounts by node."""
        used: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (node, shape), count in self._pods.items():
            of_node = used[node]
            for name, amount in shape.wanted.amounts.items():
                of_node[name] = of_node.get(name, 0) + amount * count
        return used


def node_views(found: Iterable[Node], used: Usage) -> list[NodeView]:
    """The nodes with what their pods use."""
    by_node = used.by_node()
    return [
        nodes.view(node, by_node.get(name, {}), used.nominated(name))
        for node in found
        for name in [node.metadata.name]
    ]


def products(found: Iterable[Node], is_gpu: IsGpu) -> dict[str, str]:
    """The kind of GPU of each node that has one."""
    views = (nodes.view(node, {}) for node in found)
    return {
        node.name: gpus.product(node, resources[0])
        for node in views
        if (resources := gpus.gpu_resources(node, is_gpu))
    }
