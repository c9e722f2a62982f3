"""The settings' flavors, as the queue compares them with pods. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from jobman.config.flavors import Flavor
from jobman.kube.objects import Toleration
from jobman.queue import amounts
from jobman.queue.amounts import ONE_POD
from jobman.queue.rules import Wanted
from jobman.queue.view import KnownFlavor


def known(flavors: Iterable[Flavor], *, tolerations_final: bool = False) -> list[KnownFlavor]:
    """The flavors that are not hidden; `tolerations_final`: the cluster adds no toleration."""
    return [
        KnownFlavor(flavor.name, wanted(flavor, tolerations_final=tolerations_final))
        for flavor in flavors
        if flavor.resources is not None
    ]


def wanted(flavor: Flavor, *, tolerations_final: bool = False) -> Wanted:
    """What a pod of this flavor asks of a node."""
    asked = amounts.of({**flavor.limits, **flavor.requests})
    return Wanted(
        amounts={**{name: amount for name, amount in asked.items() if amount}, **ONE_POD},
        node_selector=flavor.node_selector,
        affinity=None,
        tolerations=tuple(msgspec.convert(given, Toleration) for given in flavor.tolerations),
        limits=amounts.of(flavor.limits),
        priority_class=flavor.priority_class_name or "",
        time_limited=flavor.time_limit is not None,
        tolerations_final=tolerations_final,
    )
