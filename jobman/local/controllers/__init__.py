"""The controllers of the embedded cluster."""

from __future__ import annotations

from typing import Protocol

from jobman.local.api.registry import Registry
from jobman.local.controllers.event_expiry import EventExpiry
from jobman.local.controllers.garbage import GarbageCollector
from jobman.local.controllers.job import JobController
from jobman.local.controllers.namespaces import NamespaceController
from jobman.local.controllers.nodes import NodeController
from jobman.local.controllers.podgc import PodsOnNodes
from jobman.local.controllers.quota import QuotaController
from jobman.local.controllers.role_aggregation import RoleAggregation
from jobman.local.controllers.serviceaccounts import NamespaceDefaults
from jobman.local.controllers.ttl import TtlController


class Runs(Protocol):
    """Something that runs until it is cancelled, and finds all it needs when run again."""

    async def run(self) -> None:
        """Until cancelled."""


def all_controllers(registry: Registry, *, ca: str = "") -> list[Runs]:
    """Every controller, not yet running; `ca` is the cluster's CA, as PEM."""
    return [
        JobController(registry),
        GarbageCollector(registry),
        NamespaceController(registry),
        NamespaceDefaults(registry, ca),
        QuotaController(registry),
        RoleAggregation(registry),
        NodeController(registry),
        PodsOnNodes(registry),
        TtlController(registry),
        EventExpiry(registry),
    ]
