"""The Lease that lets one publisher write at a time.

Clocks are not compared: a lease has run out when it was seen unchanged for as long as it holds.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from jobman.errors import ApiNotFoundError, ConflictError, JobmanError
from jobman.kube.client import Client
from jobman.kube.labels import MANAGED_BY, MANAGED_BY_JOBMAN
from jobman.kube.objects import Lease
from jobman.kube.resources import LEASES


class WriterLease:
    """The right to write; `hold` takes or keeps it, `release` gives it back."""

    def __init__(
        self,
        client: Client,
        name: str,
        namespace: str,
        *,
        duration_s: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.holder = ""
        self._client = client
        self._namespace = namespace
        self._duration_s = duration_s
        self._clock = clock
        self._me = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self._seen = ("", 0.0)
        self._held_at = float("-inf")

    @property
    def valid(self) -> bool:
        """Whether nobody else can hold it at this moment."""
        return self._clock() - self._held_at < self._duration_s

    @property
    def runs_out_in_s(self) -> float:
        """Seconds until another's lease has run out, if it is not renewed."""
        return max(self._seen[1] + self._duration_s - self._clock(), 0.0)

    def hold(self) -> bool:
        """Take or renew it; False where another holds it, who is then `holder`."""
        began = self._clock()
        try:
            found = self._client.get(LEASES, self.name, namespace=self._namespace)
        except ApiNotFoundError:
            return self._written(began, self._create)
        self.holder = found.spec.holder_identity or ""
        if self.holder not in ("", self._me) and not self._has_run_out(found):
            return False
        version = found.metadata.resource_version
        return self._written(began, lambda: self._replace(version, self._me))

    def release(self) -> None:
        """Give it back; one that cannot be given back runs out by itself."""
        if not self.valid:
            return
        try:
            found = self._client.get(LEASES, self.name, namespace=self._namespace)
            if found.spec.holder_identity == self._me:
                self._replace(found.metadata.resource_version, "")
        except JobmanError:
            return
        finally:
            self._held_at = float("-inf")

    def _has_run_out(self, found: Lease) -> bool:
        version, since = self._seen
        if version != found.metadata.resource_version:
            self._seen = found.metadata.resource_version, self._clock()
            return False
        lasts = found.spec.lease_duration_seconds or self._duration_s
        return self._clock() - since >= lasts

    def _written(self, began: float, write: Callable[[], object]) -> bool:
        try:
            write()
        except (ConflictError, ApiNotFoundError):
            return False
        self._held_at, self.holder = began, self._me
        return True

    def _create(self) -> None:
        self._client.create(LEASES, self._manifest(self._me), namespace=self._namespace)

    def _replace(self, version: str, holder: str) -> None:
        manifest = self._manifest(holder, version)
        self._client.replace(LEASES, self.name, manifest, namespace=self._namespace)

    def _manifest(self, holder: str, version: str | None = None) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        metadata = {"name": self.name, "labels": {MANAGED_BY: MANAGED_BY_JOBMAN}}
        return {
            "apiVersion": LEASES.group_version,
            "kind": LEASES.kind,
            "metadata": metadata | ({"resourceVersion": version} if version else {}),
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": self._duration_s,
                "renewTime": now,
            },
        }
