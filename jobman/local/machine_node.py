"""The Node object of this machine: made at the start, kept up to date, seldom written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from jobman.local import node
from jobman.local.api.registry import Registry
from jobman.local.devices import GPU_RESOURCE
from jobman.local.moments import micro_stamp
from jobman.local.node import Machine
from jobman.local.places import machine_id

Object = dict[str, Any]

LEASE_NAMESPACE = "kube-node-lease"
_LEASES = "leases.coordination.k8s.io"
_HEARTBEAT_S = 300


def _now() -> datetime:
    return datetime.now(UTC)


class MachineNode:
    """Registers the machine under the name it has had before, and says that it is well."""

    def __init__(self, registry: Registry, machine: Machine, version: str) -> None:
        self._registry = registry
        self._machine = machine
        self._version = version
        known = self._known()
        self.name: str = known["metadata"]["name"] if known else machine.name

    def _known(self) -> Object | None:
        for found in self._registry.list("nodes"):
            info = found.get("status", {}).get("nodeInfo", {})
            if info.get("machineID") == machine_id():
                return found
        return None

    @property
    def object(self) -> Object:
        """The Node as it is in the API."""
        return self._registry.get("nodes", "", self.name)

    def register(self) -> None:
        """Make the Node, or bring the one there is up to date; cordon and taints stay."""
        wanted = node.node(self._machine, self._version, _now())
        wanted["metadata"]["name"] = self.name
        if self._registry.find("nodes", "", self.name) is None:
            self._registry.create("nodes", "", wanted)
        self._update(wanted)
        self._renew_lease()

    def _update(self, wanted: Object) -> None:
        def labels(found: Object) -> None:
            kept = found["metadata"].setdefault("labels", {})
            kept.update(wanted["metadata"]["labels"])

        def status(found: Object) -> None:
            told = found.get("status", {})
            known = told.get("conditions", [])
            since = {(c.get("type"), c.get("status")): c.get("lastTransitionTime") for c in known}
            for condition in wanted["status"]["conditions"]:
                if before := since.get((condition["type"], condition["status"])):
                    condition["lastTransitionTime"] = before
            for part in ("capacity", "allocatable"):
                wanted["status"][part] |= _given_by_others(told.get(part, {}))
            found["status"] = wanted["status"]

        self._registry.modify("nodes", "", self.name, labels)
        self._registry.modify("nodes", "", self.name, status)

    async def find_gpus(self) -> tuple[int, ...]:
        """Ask nvidia-smi, which may take seconds; the indices of what there is."""
        gpus = await asyncio.to_thread(node.gpus)
        self._machine = node.with_gpus(self._machine, gpus)
        if gpus or GPU_RESOURCE in self.object.get("status", {}).get("capacity", {}):
            self.register()
        return tuple(gpu.index for gpu in gpus)

    async def run(self) -> None:
        """Renew the heartbeat: rarely, since nobody but the reader of a `describe` needs it."""
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            self.register()

    def _renew_lease(self) -> None:
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": 2 * _HEARTBEAT_S,
            "renewTime": micro_stamp(_now()),
        }

        def renew(found: Object) -> None:
            found["spec"] = spec

        if self._registry.find(_LEASES, LEASE_NAMESPACE, self.name) is None:
            self._registry.create(_LEASES, LEASE_NAMESPACE, self._lease(spec))
        else:
            self._registry.modify(_LEASES, LEASE_NAMESPACE, self.name, renew)

    def _lease(self, spec: Object) -> Object:
        node_uid = self.object["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": node_uid}
        return {
            "kind": "Lease",
            "apiVersion": "coordination.k8s.io/v1",
            "metadata": {
                "name": self.name,
                "namespace": LEASE_NAMESPACE,
                "ownerReferences": [owner],
            },
            "spec": spec,
        }


def _given_by_others(amounts: Object) -> Object:
    """The extended resources that somebody wrote on the Node: they stay, as with a kubelet."""
    return {
        name: amount for name, amount in amounts.items() if "/" in name and name != GPU_RESOURCE
    }
