"""Pods on nodes that do not exist any more are failed, and go.

And pods leave nodes whose NoExecute taints they do not tolerate, or no longer. Pods that are
deleted before they have a node fail, too, where something still holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.controllers.clock import Clock
from jobman.local.controllers.events import EventRecorder
from jobman.local.controllers.workqueue import Controller
from jobman.local.fit import tolerated_by
from jobman.local.moments import stamp
from jobman.local.pod_phase import has_ended
from jobman.local.stored import Change, Key, Record

Object = dict[str, Any]

# A pod (its uid) and a taint (its key and value); when they were first seen together.
_Meeting = tuple[str, str, str]
_Meetings = dict[_Meeting, datetime]

# As in Kubernetes: a node that comes back soon finds its pods.
QUARANTINE_S = 40.0
# So long a deleted pod without a node may wait for whoever holds it.
UNBOUND_S = 20.0
_NO_NODE = ""


class PodsOnNodes(Controller[str]):
    """Looks at a node's pods when the node goes, or is tainted. A key is a node's name."""

    resources = ("nodes", "pods")

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        super().__init__(registry, clock=clock)
        self._recorder = EventRecorder(registry, "taint-eviction-controller", clock=self.clock)
        self._pods: dict[str, set[Key]] = {}
        self._gone_since: dict[str, datetime] = {}
        self._met_at: dict[str, _Meetings] = {}

    def begin(self) -> None:
        """Nodes that are missing are missing from now on, and taints are met now."""
        self._pods.clear()
        self._gone_since.clear()
        self._met_at.clear()
        super().begin()

    def keys_of(self, change: Change) -> list[str]:
        """A node that matters to its pods, or the node of a new pod."""
        key = change.record.key
        if key.resource == "nodes":
            return [key.name] if _concerns_pods(change) and self._pods.get(key.name) else []
        name = change.record.node
        if not name:
            return self._without_node(change)
        if change.type == "DELETED":
            self._pods.get(name, set()).discard(key)
            return []
        pods = self._pods.setdefault(name, set())
        if key in pods:
            return []
        pods.add(key)
        node = self.registry.store.get(Key("nodes", "", name))
        return [name] if node is None or b'"NoExecute"' in node.body else []

    def _without_node(self, change: Change) -> list[str]:
        """A pod that goes, and that no kubelet ever had: somebody has to end it."""
        record, pods = change.record, self._pods.setdefault(_NO_NODE, set())
        if change.type == "DELETED" or not record.deleting or has_ended(record):
            pods.discard(record.key)
            return []
        pods.add(record.key)
        return [_NO_NODE]

    async def sync(self, key: str) -> float | None:
        """Deal with the node's pods, or say when to."""
        if key == _NO_NODE:
            return self._fail_deleted()
        node = self.registry.store.get(Key("nodes", "", key))
        if node is None:
            self._met_at.pop(key, None)
            return self._collect(key)
        self._gone_since.pop(key, None)
        return self._evict(key, node)

    def _fail_deleted(self) -> float | None:
        """Fail the deleted pods without a node; their finalizers wait for an end."""
        waits = []
        for record in self._records(_NO_NODE):
            deleted_at = datetime.fromisoformat(record.object()["metadata"]["deletionTimestamp"])
            left_s = UNBOUND_S - (self.clock.now() - deleted_at).total_seconds()
            if left_s > 0:
                waits.append(left_s)
            else:
                self._modify(record, lambda pod: pod["status"].update(phase="Failed"))
        return min(waits, default=None)

    def _collect(self, name: str) -> float | None:
        """Fail the pods of a node that is gone for good."""
        now = self.clock.now()
        since = self._gone_since.setdefault(name, now)
        left_s = QUARANTINE_S - (now - since).total_seconds()
        if left_s > 0:
            return left_s
        for record in self._records(name):
            self._modify(record, lambda pod: _fail(pod, now))
            self._delete(record, DeleteOptions(grace_s=0, propagation=None, uid=record.uid))
        self._pods.pop(name, None)
        self._gone_since.pop(name, None)
        return None

    def _evict(self, name: str, node: Record) -> float | None:
        """Delete the pods that do not tolerate the node's taints; when the next one is due."""
        spec = node.object().get("spec", {})
        taints = [t for t in spec.get("taints", []) if t.get("effect") == "NoExecute"]
        records = self._records(name) if taints else []
        met_at, now = self._meet(name, records, taints), self.clock.now()
        waits = []
        for record in records:
            pod = record.object()
            stood_s = [(now - met_at[_meeting(record, t)]).total_seconds() for t in taints]
            left_s = _tolerated_for_s(pod, taints, stood_s)
            if left_s is None or "deletionTimestamp" in pod["metadata"]:
                continue
            if left_s > 0:
                waits.append(left_s)
            else:
                self._evict_pod(record, pod)
        return min(waits, default=None)

    def _meet(self, name: str, records: list[Record], taints: list[Object]) -> _Meetings:
        """Since when the node's pods and taints are together; what has gone is forgotten."""
        known, now = self._met_at.pop(name, {}), self.clock.now()
        meetings = [_meeting(record, taint) for record in records for taint in taints]
        found = {meeting: known.get(meeting, now) for meeting in meetings}
        if found:
            self._met_at[name] = found
        return found

    def _evict_pod(self, record: Record, pod: Object) -> None:
        now = self.clock.now()
        text = "Taint manager: deleting due to NoExecute taint"
        self._modify(record, lambda pod: _disrupt(pod, "DeletionByTaintManager", text, now))
        key = record.key
        deleting = f"Marking for deletion Pod {key.namespace}/{key.name}"
        self._recorder.event(pod, "Normal", "TaintManagerEviction", deleting)
        self._delete(record, DeleteOptions(propagation=None, uid=record.uid))

    def _records(self, name: str) -> list[Record]:
        """The pods of the node that have not ended."""
        found = (self.registry.store.get(key) for key in sorted(self._pods.get(name, ())))
        return [record for record in found if record and not has_ended(record)]

    def _modify(self, record: Record, change: Callable[[Object], None]) -> None:
        self.registry.modify(*record.key, change)

    def _delete(self, record: Record, options: DeleteOptions) -> None:
        try:
            self.registry.delete(*record.key, options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _concerns_pods(change: Change) -> bool:
    if change.type != "MODIFIED" or b'"NoExecute"' in change.record.body:
        return True
    return change.previous is not None and b'"NoExecute"' in change.previous.body


def _meeting(record: Record, taint: Object) -> _Meeting:
    return record.uid, taint["key"], taint.get("value", "")


def _tolerated_for_s(pod: Object, taints: list[Object], stood_s: Sequence[float]) -> float | None:
    """For how many more seconds a pod stands its node's taints; None: for ever.

    `stood_s`: for how many it has stood each of them already.
    """
    left = [
        bound_s - already_s
        for taint, already_s in zip(taints, stood_s, strict=True)
        if (bound_s := _stands_s(pod, taint)) is not None
    ]
    return min(left, default=None)


def _stands_s(pod: Object, taint: Object) -> float | None:
    """How many seconds a pod stands a taint."""
    matching = [t for t in pod["spec"].get("tolerations", []) if tolerated_by(t, taint)]
    if not matching:
        return 0.0
    return min((t["tolerationSeconds"] for t in matching if "tolerationSeconds" in t), default=None)


def _fail(pod: Object, now: datetime) -> None:
    pod["status"]["phase"] = "Failed"
    _disrupt(pod, "DeletionByPodGC", "PodGC: node no longer exists", now)


def _disrupt(pod: Object, reason: str, message: str, now: datetime) -> None:
    conditions = pod["status"].setdefault("conditions", [])
    conditions.append(
        {
            "type": "DisruptionTarget",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": stamp(now),
            "reason": reason,
            "message": message,
        }
    )
