"""The scheduler: gives each pod a node, or says why it has none.

It looks at a pod when it comes, and again when something that matters changes; what it decides
by is in `placement` and `fit`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Hashable
from typing import Any

import msgspec

from jobman.local import fit
from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError
from jobman.local.controllers.events import SchedulerRecorder
from jobman.local.fit import Demand, NodeRoom
from jobman.local.moments import now, seconds_of
from jobman.local.placement import OVERTAKEN_MOST, Board, Kind, Waiting
from jobman.local.pod_phase import has_ended
from jobman.local.stored import Change, Key, Record

log = logging.getLogger(__name__)

Object = dict[str, Any]

SCHEDULER = "default-scheduler"
_RETRY_S = 1.0
_RETOLD_AFTER_S = 10.0
_NONE = msgspec.Raw(b"")


class _Claim(msgspec.Struct):
    claimName: str = ""  # noqa: N815


class _Volume(msgspec.Struct):
    persistentVolumeClaim: _Claim | None = None  # noqa: N815


class _Container(msgspec.Struct):
    resources: msgspec.Raw = _NONE
    restartPolicy: str = ""  # noqa: N815


class _Spec(msgspec.Struct):
    containers: list[_Container]
    initContainers: list[_Container] = []  # noqa: N815
    overhead: msgspec.Raw = _NONE
    nodeName: str = ""  # noqa: N815
    schedulerName: str = SCHEDULER  # noqa: N815
    schedulingGates: list[object] = []  # noqa: N815
    priority: int = 0
    preemptionPolicy: str = ""  # noqa: N815
    resources: msgspec.Raw = _NONE
    nodeSelector: msgspec.Raw = _NONE  # noqa: N815
    affinity: msgspec.Raw = _NONE
    tolerations: msgspec.Raw = _NONE
    volumes: list[_Volume] = []


class _Metadata(msgspec.Struct):
    creationTimestamp: str = ""  # noqa: N815
    deletionTimestamp: str = ""  # noqa: N815


class _Status(msgspec.Struct):
    nominatedNodeName: str = ""  # noqa: N815


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


_DECODER = msgspec.json.Decoder(_Pod)


def _key_of(spec: _Spec) -> Hashable:
    """Equal for pods that ask the same of a node."""
    return (
        tuple(bytes(c.resources) for c in spec.containers),
        tuple((bytes(c.resources), c.restartPolicy) for c in spec.initContainers),
        bytes(spec.overhead),
        bytes(spec.resources),
        bytes(spec.nodeSelector),
        bytes(spec.affinity),
        bytes(spec.tolerations),
        spec.preemptionPolicy,
    )


class Scheduler:
    """Everything is read anew at the start; after that it is told of changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._recorder = SchedulerRecorder(registry, f"{SCHEDULER}-{socket.gethostname()}")
        self._begin()

    def _begin(self) -> None:
        self._board = Board()
        self._wake = asyncio.Event()
        self._fresh: dict[str, Waiting] = {}
        self._claimless: dict[tuple[str, str], set[Key]] = {}
        self._nominated: dict[str, tuple[Key, str]] = {}
        self._alarm: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Place pods until cancelled."""
        self._begin()
        store = self._registry.store
        unsubscribe = store.subscribe(self._changed, "nodes", "pods", "persistentvolumeclaims")
        try:
            nodes, pods = store.list("nodes"), store.list("pods")
            # Pods in the order in which they were written last: about that in which they came.
            for record in (*nodes, *sorted(pods, key=lambda pod: pod.rv)):
                self._changed(Change("ADDED", record.rv, record, None))
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._place_all()
        finally:
            unsubscribe()
            self._set_alarm(None)

    async def _place_all(self) -> None:
        while True:
            found = self._board.next(time.time())
            if found is None:
                break
            self._bind(*found)
            # Requests and the other parts of the cluster have their turn in between.
            await self._registry.turns.next()
        for pod in (*self._fresh.values(), *self._board.blocked_heads()):
            self._tell(pod)
            await self._registry.turns.next()
        for key, uid, node in self._nominations():
            self._nominate(key, uid, node)
            await self._registry.turns.next()
        self._set_alarm(self._board.next_reservation_at())

    def _set_alarm(self, at: float | None) -> None:
        """Look again then, if nothing happens before."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if at is not None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(max(at - time.time(), 0), self._wake.set)

    # -- what happens ----------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        resource, namespace, name = change.record.key
        if resource == "pods":
            self._pod_changed(change)
        elif resource == "nodes":
            self._node_changed(change)
        elif change.type != "DELETED":
            for key in self._claimless.pop((namespace, name), ()):
                record = self._registry.store.get(key)
                if record is not None:
                    self._consider(record, _DECODER.decode(record.body))

    def _node_changed(self, change: Change) -> None:
        name = change.record.key.name
        if change.type == "DELETED":
            self._board.remove_node(name)
            self._wake.set()
            return
        if change.previous is not None and not _matters(change.previous, change.record):
            return
        self._board.set_node(NodeRoom.of(change.record.object()))
        self._wake.set()

    def _pod_changed(self, change: Change) -> None:
        record = change.record
        if change.type == "DELETED" or has_ended(record):
            self._withdraw(record.uid)
            self._nominated.pop(record.uid, None)
            if self._board.vacate(record.uid):
                self._wake.set()
            return
        self._nominated.pop(record.uid, None)
        if change.type == "MODIFIED" and self._board.is_bound(record.uid):
            return
        pod = _DECODER.decode(record.body)
        if pod.status.nominatedNodeName and _is_ours(pod):
            self._nominated[record.uid] = record.key, pod.status.nominatedNodeName
        if pod.spec.nodeName:
            self._fresh.pop(record.uid, None)
            self._board.occupy(
                record.uid, pod.spec.nodeName, self._kind(record, pod.spec).demand.requests
            )
        elif _is_ours(pod):
            self._consider(record, pod, now() if _was_gated(change) else None)
        else:
            self._withdraw(record.uid)

    def _consider(self, record: Record, pod: _Pod, since: str | None = None) -> None:
        """A pod that is to be placed waits: since then, or its creation; first for its claims."""
        kind, there = self._kind(record, pod.spec), self._board.waiting(record.uid)
        if there is not None and there.kind is kind:
            return
        self._withdraw(record.uid)
        for claim in _claims_of(pod.spec):
            problem = self._claim_problem(record.key.namespace, claim)
            if problem is not None:
                self._wait_for_claim(record, claim, problem)
                return
        since = since or pod.metadata.creationTimestamp
        self._fresh[record.uid] = self._board.enqueue(
            record.key.namespace,
            record.key.name,
            record.uid,
            kind,
            priority=pod.spec.priority,
            created=since,
            since=seconds_of(since),
            overtaken=OVERTAKEN_MOST if pod.status.nominatedNodeName else 0,
        )
        self._wake.set()

    def _withdraw(self, uid: str) -> None:
        self._fresh.pop(uid, None)
        if self._board.waiting(uid) is not None:
            self._board.withdraw(uid)
            self._wake.set()

    def _kind(self, record: Record, spec: _Spec) -> Kind:
        key = _key_of(spec)
        return self._board.kind(key) or self._board.new_kind(
            key, Demand.of(record.object()["spec"])
        )

    def _claim_problem(self, namespace: str, claim: str) -> str | None:
        record = self._registry.store.get(Key("persistentvolumeclaims", namespace, claim))
        if record is None:
            return fit.claim_missing(claim, len(self._board.nodes))
        if "deletionTimestamp" in record.object()["metadata"]:
            return fit.claim_ending(claim, len(self._board.nodes))
        return None

    def _wait_for_claim(self, record: Record, claim: str, problem: str) -> None:
        keys = self._claimless.setdefault((record.key.namespace, claim), set())
        if record.key not in keys:
            keys.add(record.key)
            asyncio.get_running_loop().call_soon(self._refuse, record.key, record.uid, problem)

    # -- what is done ----------------------------------------------------------------------------

    def _bind(self, pod: Waiting, node: str) -> None:
        """Write the node on the pod; what the change tells us takes the pod off the board."""

        def change(found: Object) -> None:
            found["spec"]["nodeName"] = node
            told = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
            _set_condition(found, told | {"lastTransitionTime": now()})
            found["status"].pop("nominatedNodeName", None)

        try:
            if not self._is_there(Key("pods", pod.namespace, pod.name), pod.uid):
                self._withdraw(pod.uid)
                return
            bound = self._registry.modify("pods", pod.namespace, pod.name, change)
        except ApiError as error:
            log.warning("%s/%s cannot be bound: %s", pod.namespace, pod.name, error)
            self._set_aside(pod)
            return
        text = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        self._recorder.event(bound, "Normal", "Scheduled", "Binding", text)

    def _nominations(self) -> list[tuple[Key, str, str]]:
        """Pods that do not tell yet which node is reserved for them, and it; empty: none now."""
        reserved = self._board.reservations()
        gone = [(key, uid, "") for uid, (key, _) in self._nominated.items() if uid not in reserved]
        new = [
            (Key("pods", pod.namespace, pod.name), uid, node)
            for uid, (pod, node) in reserved.items()
            if uid not in self._nominated or self._nominated[uid][1] != node
        ]
        return [*gone, *new]

    def _nominate(self, key: Key, uid: str, node: str) -> None:
        """Write the node on the pod as Kubernetes does of a node that it keeps for a pod."""

        def change(found: Object) -> None:
            status = found.setdefault("status", {})
            if node and not found["spec"].get("nodeName"):
                status["nominatedNodeName"] = node
            else:
                status.pop("nominatedNodeName", None)

        try:
            if self._is_there(key, uid):
                self._registry.modify("pods", key.namespace, key.name, change)
        except ApiError as error:
            log.warning("%s/%s: %s", key.namespace, key.name, error)

    def _set_aside(self, pod: Waiting) -> None:
        """Come back to the pod later."""
        self._withdraw(pod.uid)
        asyncio.get_running_loop().call_later(_RETRY_S, self._take_back, pod)

    def _take_back(self, pod: Waiting) -> None:
        record = self._registry.store.get(Key("pods", pod.namespace, pod.name))
        if record is not None:
            self._pod_changed(Change("MODIFIED", record.rv, record, None))

    def _tell(self, pod: Waiting) -> None:
        """Say why the pod has no node; not again and again."""
        self._fresh.pop(pod.uid, None)
        moment = time.time()
        if self._board.waiting(pod.uid) is not pod:
            return
        if pod.told_at is not None and moment - pod.told_at < _RETOLD_AFTER_S:
            return
        pod.told_at = moment
        text = self._board.explain(pod, moment)
        self._refuse(Key("pods", pod.namespace, pod.name), pod.uid, text)

    def _refuse(self, key: Key, uid: str, text: str) -> None:
        record = self._registry.store.get(key)
        if record is None or record.uid != uid:
            return
        pod = record.object()
        before = _condition(pod)
        if before.get("message") == text or pod["spec"].get("nodeName"):
            return

        def change(found: Object) -> None:
            stays = before.get("status") == "False"
            since = (stays and before.get("lastTransitionTime")) or now()
            told = {
                "type": "PodScheduled",
                "observedGeneration": found["metadata"].get("generation", 1),
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": since,
                "reason": "Unschedulable",
                "message": text,
            }
            _set_condition(found, told)

        try:
            self._registry.modify("pods", key.namespace, key.name, change)
        except ApiError as error:
            log.warning("%s/%s: %s", key.namespace, key.name, error)
            return
        self._recorder.event(pod, "Warning", "FailedScheduling", "Scheduling", text)

    def _is_there(self, key: Key, uid: str) -> bool:
        record = self._registry.store.get(key)
        return record is not None and record.uid == uid


def _claims_of(spec: _Spec) -> list[str]:
    named = (volume.persistentVolumeClaim for volume in spec.volumes)
    return [claim.claimName for claim in named if claim is not None]


def _is_ours(pod: _Pod) -> bool:
    spec = pod.spec
    return (
        spec.schedulerName == SCHEDULER
        and not spec.schedulingGates
        and not pod.metadata.deletionTimestamp
    )


def _was_gated(change: Change) -> bool:
    before = change.previous
    return before is not None and bool(_DECODER.decode(before.body).spec.schedulingGates)


def _matters(before: Record, after: Record) -> bool:
    """Whether a node is another one for the scheduler: most changes are heartbeats."""
    one, other = NodeRoom.of(before.object()), NodeRoom.of(after.object())
    return one != other


def _condition(pod: Object) -> Object:
    conditions = pod.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c.get("type") == "PodScheduled"), {})


def _set_condition(pod: Object, told: Object) -> None:
    status = pod.setdefault("status", {})
    others = [c for c in status.get("conditions", []) if c.get("type") != "PodScheduled"]
    status["conditions"] = [*others, told]
