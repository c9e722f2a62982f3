"""Nodes as the queue sees them: what each has, what its pods use, whether it takes more. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property

import msgspec

from jobman.kube.objects import Node, Pod, Taint
from jobman.queue import amounts
from jobman.queue.amounts import Amounts

PRODUCT_LABELS = (
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "gpu.intel.com/product",
    "cloud.google.com/gke-accelerator",
    "k8s.amazonaws.com/accelerator",
)
_KEEPS_PODS_OFF = ("NoSchedule", "NoExecute")
_ENDED = ("Succeeded", "Failed")


class Nominated(msgspec.Struct, frozen=True):
    """A pod without a node that the scheduler keeps room for (`status.nominatedNodeName`)."""

    namespace: str
    pod: str
    priority: int
    amounts: Amounts


class NodeView(msgspec.Struct, frozen=True, dict=True):
    """A node: `schedulable` is not cordoned; `taints` are those that keep pods off.

    `nominated` are not among what is used: who counts them is said by `counted_for`.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    schedulable: bool
    ready: bool
    allocatable: Amounts
    used: Amounts
    capacity: Amounts = msgspec.field(default_factory=dict)
    nominated: tuple[Nominated, ...] = ()

    @cached_property
    def free(self) -> Amounts:
        """What is left of what it has; less than nothing is negative."""
        used = self.used
        return {name: amount - used.get(name, 0) for name, amount in self.allocatable.items()}

    @property
    def usable(self) -> bool:
        """Whether it is there and takes new pods, taints aside."""
        return self.schedulable and self.ready

    def kept_from(self, priority: int) -> list[Nominated]:
        """Those nominated that a pod of this priority leaves their room."""
        return [each for each in self.nominated if each.priority >= priority]

    def not_kept_for(self, pods: Container[tuple[str, str]]) -> NodeView:
        """The same without what is kept for these pods (namespace and name)."""
        others = [each for each in self.nominated if (each.namespace, each.pod) not in pods]
        if len(others) == len(self.nominated):
            return self
        return msgspec.structs.replace(self, nominated=tuple(others))


def counted_for(priority: int, nodes: Sequence[NodeView]) -> Sequence[NodeView]:
    """The nodes as the scheduler counts them for a pod of this priority.

    To it, pods nominated of the same priority or a higher one are there already.
    """
    if not any(node.nominated for node in nodes):
        return nodes
    return [_with_nominated(priority, node) for node in nodes]


def _with_nominated(priority: int, node: NodeView) -> NodeView:
    used = dict(node.used)
    for each in node.kept_from(priority):
        take(used, each.amounts)
    return msgspec.structs.replace(node, used=used, nominated=())


def views(nodes: Iterable[Node], pods: Iterable[Pod]) -> list[NodeView]:
    """The nodes with what the pods bound to them use; pods that have ended use nothing."""
    used: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for pod in pods:
        if pod.spec.node_name and pod.status.phase not in _ENDED:
            take(used[pod.spec.node_name], amounts.of_pod(pod.spec))
    return [view(node, used.get(node.metadata.name, {})) for node in nodes]


def take(used: dict[str, int], more: Amounts) -> None:
    """Count `more` in with what is used."""
    for name, amount in more.items():
        used[name] = used.get(name, 0) + amount


def view(node: Node, used: Amounts, nominated: Iterable[Nominated] = ()) -> NodeView:
    """One node of which `used` is taken."""
    return NodeView(
        name=node.metadata.name,
        labels=node.metadata.labels,
        taints=tuple([taint for taint in node.spec.taints if taint.effect in _KEEPS_PODS_OFF]),
        schedulable=not node.spec.unschedulable,
        ready="True" in [c.status for c in node.status.conditions if c.type == "Ready"],
        allocatable=amounts.of(node.status.allocatable or node.status.capacity),
        used=used,
        capacity=amounts.of(node.status.capacity),
        nominated=tuple(nominated),
    )


def gpu_product(node: NodeView) -> str | None:
    """The kind of GPU that the node's labels name."""
    return next((node.labels[key] for key in PRODUCT_LABELS if node.labels.get(key)), None)
