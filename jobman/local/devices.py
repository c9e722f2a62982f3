"""Which GPU belongs to whom: indices given to pods, never one to two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]

GPU_RESOURCE = "nvidia.com/gpu"
GPU_ANNOTATION = "local.jobman/gpus"


class NoDevicesError(Exception):
    """Fewer GPUs are free than the pod asks for; the text is a kubelet's."""


@dataclass
class Devices:
    """The GPUs of this machine by index, once they are `found`.

    `given` has those in use by pod uid.
    """

    indices: tuple[int, ...] = ()
    given: dict[str, tuple[int, ...]] = field(default_factory=dict)
    found: asyncio.Event = field(default_factory=asyncio.Event)

    def allocate(self, uid: str, count: int) -> tuple[int, ...]:
        """The lowest free indices, the same again for a pod that has some. NoDevicesError."""
        if uid in self.given:
            return self.given[uid]
        taken = {index for indices in self.given.values() for index in indices}
        free = [index for index in self.indices if index not in taken]
        if count > len(free):
            raise NoDevicesError(
                f"Allocate failed due to requested number of devices unavailable for "
                f"{GPU_RESOURCE}. Requested: {count}, Available: {len(free)}, which is unexpected"
            )
        self.given[uid] = tuple(free[:count])
        return self.given[uid]

    def restore(self, uid: str, annotation: str) -> None:
        """Take note of what an earlier daemon gave."""
        words = [word for word in annotation.split(",") if word.isdecimal()]
        self.given[uid] = tuple(int(word) for word in words)

    def release(self, uid: str) -> None:
        """The pod has ended."""
        self.given.pop(uid, None)


def gpu_count(pod: Object) -> int:
    """How many GPUs the pod's containers ask for; init containers reuse those of the others."""
    return max(start + count for start, count in _shares(pod).values())


def gpu_environment(pod: Object, container: Object, indices: Sequence[int]) -> dict[str, str]:
    """What tells CUDA which of the pod's devices are the container's; none for one without."""
    start, count = _shares(pod)[container["name"]]
    return {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, indices[start : start + count])),
    }


def _shares(pod: Object) -> dict[str, tuple[int, int]]:
    """By container: the first of the pod's GPUs that is its own, and how many are.

    Sidecars have theirs for as long as the pod runs, init containers only until the next begins.
    """
    shares: dict[str, tuple[int, int]] = {}
    start = 0
    for container in pod["spec"].get("initContainers") or []:
        shares[container["name"]] = start, _count(container)
        if container.get("restartPolicy") == "Always":
            start += _count(container)
    for container in pod["spec"]["containers"]:
        shares[container["name"]] = start, _count(container)
        start += _count(container)
    return shares


def _count(container: Object) -> int:
    resources = container.get("resources") or {}
    for kind in ("limits", "requests"):
        if GPU_RESOURCE in (resources.get(kind) or {}):
            return int(resources[kind][GPU_RESOURCE])
    return 0
