"""Which other flavors would fit now, the job staying as it is in all else. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs

from jobman.config.flavors import Flavor, is_gpu
from jobman.kube.objects import Toleration
from jobman.queue.flavors import wanted as flavor_wanted
from jobman.queue.nodes import NodeView
from jobman.queue.rules import Wanted, why_not
from jobman.why import words

_SUGGESTED = 3


def own_rules(wanted: Wanted, flavor: Mapping[str, Any]) -> Wanted:
    """What the pod asks without the rules for nodes that its flavor, as JSON, brought along."""
    went = flavor.get("nodeSelector")
    brought = went if isinstance(went, dict) else {}
    selector = wanted.node_selector.items()
    gone = _tolerations(flavor.get("tolerations"))
    return structs.replace(
        wanted,
        node_selector={key: value for key, value in selector if brought.get(key) != value},
        tolerations=tuple(each for each in wanted.tolerations if each not in gone),
    )


def _tolerations(given: Any) -> list[Toleration]:
    try:
        return msgspec.convert(given or [], list[Toleration])
    except msgspec.ValidationError:
        return []


def fitting(own: Wanted, nodes: Sequence[NodeView], flavors: Sequence[Flavor]) -> list[str]:
    """Flavors of the same kind (with GPUs, or without) that fit now; the biggest first.

    `own` is what the job asks without the rules for nodes of its flavor.
    """
    has_gpus = any(is_gpu(name) for name in own.amounts)
    found = []
    for flavor in flavors:
        if flavor.resources is None or bool(flavor.gpu_count) != has_gpus:
            continue
        tried = _with(own, flavor)
        if tried.amounts == own.amounts:
            continue
        taking = [node.name for node in nodes if not why_not(tried, node)]
        if taking:
            found.append((flavor.gpu_count, tried.amounts.get("cpu", 0), flavor.name, taking))
    found.sort(reverse=True)
    return [
        f"flavor {name} fits now on {words.nodes(taking)}"
        for _, _, name, taking in found[:_SUGGESTED]
    ]


def _with(own: Wanted, flavor: Flavor) -> Wanted:
    """The job with that flavor; its own node labels outrank the flavor's, as at submit."""
    of_it = flavor_wanted(flavor)
    return structs.replace(
        own,
        amounts=of_it.amounts,
        node_selector={**of_it.node_selector, **own.node_selector},
        tolerations=(*own.tolerations, *of_it.tolerations),
    )
