"""Nodes as the queue sees them: what each has, what its pods use, whether it takes more. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
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


class NodeView(msgspec.Struct, frozen=True, dict=True):
    """A node: `schedulable` is not cordoned; `taints` are those that keep pods off."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    schedulable: bool
    ready: bool
    allocatable: Amounts
    used: Amounts
    capacity: Amounts = msgspec.field(default_factory=dict)

    @cached_property
    def free(self) -> Amounts:
        """What is left of what it has; less than nothing is negative."""
        used = self.used
        return {name: amount - used.get(name, 0) for name, amount in self.allocatable.items()}

    @property
    def usable(self) -> bool:
        """Whether it is there and takes new pods, taints aside."""
        return self.schedulable and self.ready


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


def view(node: Node, used: Amounts) -> NodeView:
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
    )


def gpu_product(node: NodeView) -> str | None:
    """The kind of GPU that the node's labels name."""
    return next((node.labels[key] for key in PRODUCT_LABELS if node.labels.get(key)), None)
