"""Nodes that are cordoned or not ready get the taints that say so.

A node that nobody ever reported on is unreachable after a minute. That heartbeats stop is not
watched: the nodes of this cluster live in the same process as this controller.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from jobman.local.api.registry import Registry
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.events import EventRecorder
from jobman.local.controllers.workqueue import Controller
from jobman.local.moments import stamp
from jobman.local.stored import Change, Key

Object = dict[str, Any]

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
_OWN = (UNSCHEDULABLE, NOT_READY, UNREACHABLE)
_SILENT_S = 60.0
_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class NodeController(Controller[Key]):
    """Taints follow spec.unschedulable and the Ready condition."""

    resources = ("nodes",)

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._recorder = EventRecorder(registry, "node-controller", clock=self.clock)
        self._known: set[str] = set()

    def begin(self) -> None:
        """The nodes that are there are no news."""
        self._known = {record.uid for record in self.registry.store.list("nodes")}
        super().begin()

    def keys_of(self, change: Change) -> list[Key]:
        """The node."""
        if change.type == "DELETED":
            self._known.discard(change.record.uid)
            return []
        return [change.record.key]

    async def sync(self, key: Key) -> float | None:
        """Set the taints that are due, or say when to look again."""
        record = self.registry.store.get(key)
        if record is None:
            return None
        node = record.object()
        if record.uid not in self._known:
            self._known.add(record.uid)
            text = f"Node {key.name} event: Registered Node {key.name} in Controller"
            self._recorder.event(node, "Normal", "RegisteredNode", text)
        now = self.clock.now()
        left_s = _silent_for_s(node, now)
        if left_s is not None and left_s <= 0:
            self.registry.modify(*key, lambda found: _give_up(found, now))
            left_s = None
        self.registry.modify(*key, lambda found: _taint(found, now))
        return left_s


def _silent_for_s(node: Object, now: datetime) -> float | None:
    """The seconds until a node that has told nothing yet is given up; None if it has."""
    if _ready(node) is not None:
        return None
    born = datetime.fromisoformat(node["metadata"]["creationTimestamp"])
    return (born + timedelta(seconds=_SILENT_S) - now).total_seconds()


def _ready(node: Object) -> str | None:
    conditions = node.get("status", {}).get("conditions", [])
    return next((c.get("status") for c in conditions if c.get("type") == "Ready"), None)


def _give_up(node: Object, now: datetime) -> None:
    status = node.setdefault("status", {})
    status["conditions"] = [
        {
            "type": kind,
            "status": "Unknown",
            "lastHeartbeatTime": node["metadata"]["creationTimestamp"],
            "lastTransitionTime": stamp(now),
            "reason": "NodeStatusNeverUpdated",
            "message": "Kubelet never posted node status.",
        }
        for kind in _CONDITIONS
    ]


def _taint(node: Object, now: datetime) -> None:
    """The node's own taints stay, in their order; ours are as they are due."""
    spec = node.setdefault("spec", {})
    before = spec.get("taints", [])
    due = _due(node)
    kept = [t for t in before if t.get("key") not in _OWN or _name(t) in due]
    there = {_name(taint) for taint in kept}
    kept += [
        {"key": key, "effect": effect, "timeAdded": stamp(now)}
        for key, effect in due
        if (key, effect) not in there
    ]
    if kept:
        spec["taints"] = kept
    else:
        spec.pop("taints", None)


def _name(taint: Object) -> tuple[str, str]:
    return taint.get("key", ""), taint.get("effect", "")


def _due(node: Object) -> list[tuple[str, str]]:
    found = [(UNSCHEDULABLE, "NoSchedule")] if node.get("spec", {}).get("unschedulable") else []
    trouble = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(_ready(node) or "")
    if trouble:
        found += [(trouble, "NoSchedule"), (trouble, "NoExecute")]
    return found
