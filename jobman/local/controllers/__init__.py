"""The controllers of the embedded cluster."""

from __future__ import annotations

from typing import Protocol

from jobman.local.api.registry import Registry
from jobman.local.controllers.event_expiry import EventExpiry
from jobman.local.controllers.garbage import GarbageCollector
from jobman.local.controllers.job import JobController
from jobman.local.controllers.namespaces import DefaultsController, NamespaceController
from jobman.local.controllers.quota import QuotaController
from jobman.local.controllers.ttl import TtlController


class Runs(Protocol):
    """Something that runs until it is cancelled, and finds all it needs when run again."""

    async def run(self) -> None:
        """Until cancelled."""


def all_controllers(registry: Registry) -> list[Runs]:
    """Every controller, not yet running."""
    return [
        JobController(registry),
        GarbageCollector(registry),
        NamespaceController(registry),
        DefaultsController(registry),
        QuotaController(registry),
        TtlController(registry),
        EventExpiry(registry),
    ]
