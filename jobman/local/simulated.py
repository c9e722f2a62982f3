"""Nodes that only say so: their pods come and go without a process, to rehearse a big cluster.

What is simulated is told by a ConfigMap in kube-system, so that it outlives the daemon. A pod's
annotations say how long it runs and how likely it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobman.local import node, podstatus
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.moments import now, stamp_ns
from jobman.local.node import Gpu, Machine
from jobman.local.pod_phase import has_ended
from jobman.local.podstatus import ContainerView, PodView
from jobman.local.stored import Change, Key, Record
from jobman.local.supervisor import Exit
from jobman.values.duration import parse_duration
from jobman.values.quantity import parse

Object = dict[str, Any]

NAMESPACE, NAME = "kube-system", "simulated-nodes"
LABEL = "local.jobman/simulated"
RUN_FOR = "local.jobman/run-for"
FAIL_CHANCE = "local.jobman/fail-chance"
PREFIX = "simulated-"
_BATCH = 50
_PODS = 110
_dice = random.Random()


@dataclass(frozen=True)
class Simulation:
    """How many nodes, and what each of them has."""

    nodes: int = 0
    cpu: str = "64"
    memory: str = "512Gi"
    gpus: int = 0
    gpu_product: str = "A100"

    @classmethod
    def of(cls, config: Object | None) -> Simulation:
        """From the ConfigMap's data; what is missing or malformed is as if it were not given."""
        data: dict[str, str] = (config or {}).get("data") or {}

        def number(key: str) -> int:
            text = data.get(key, "")
            return int(text) if text.isdecimal() else 0

        return cls(
            nodes=number("nodes"),
            cpu=data.get("cpu") or cls.cpu,
            memory=data.get("memory") or cls.memory,
            gpus=number("gpus"),
            gpu_product=data.get("gpu_product") or cls.gpu_product,
        )

    def machine(self, number: int) -> Machine:
        """One of the nodes."""
        return Machine(
            name=f"{PREFIX}{number:05d}",
            cores=parse(self.cpu).int_ceil,
            memory_bytes=parse(self.memory).int_ceil,
            disk_bytes=1 << 40,
            pods=_PODS,
            gpus=tuple(Gpu(index, self.gpu_product, 81920) for index in range(self.gpus)),
        )


class Simulator:
    """Keeps the simulated nodes as they are asked for, and lets their pods come and go."""

    def __init__(self, registry: Registry, machine_node: str, version: str) -> None:
        self._registry = registry
        self._machine_node = machine_node
        self._version = version
        self._mark = f'"nodeName":"{PREFIX}'.encode()
        self._new: deque[Key] = deque()
        self._ends: list[tuple[float, Key, str, int]] = []
        self._running: set[str] = set()
        self._asked = True
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        forget = self._registry.store.subscribe(self._changed, "pods", "configmaps")
        try:
            self._take_up()
            while True:
                await self._wait()
                if self._asked:
                    await self._arrange_nodes()
                self._begin_some()
                self._end_some()
                await self._registry.turns.next()
        finally:
            forget()

    def _take_up(self) -> None:
        self._new.clear()
        self._ends.clear()
        self._running.clear()
        self._asked = True
        for record in self._registry.store.list("pods"):
            if self._mark in record.body:
                self._new.append(record.key)

    async def _wait(self) -> None:
        """Until something is to do."""
        if self._asked or self._new:
            return
        left_s = self._ends[0][0] - time.time() if self._ends else None
        if left_s is not None and left_s <= 0:
            return
        self._woken.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._woken.wait()

    def _changed(self, change: Change) -> None:
        key = change.record.key
        if key.resource == "configmaps":
            if (key.namespace, key.name) == (NAMESPACE, NAME):
                self._asked = True
                self._woken.set()
        elif change.type != "DELETED" and self._is_news(change.record):
            self._new.append(key)
            self._woken.set()

    def _is_news(self, record: Record) -> bool:
        if self._mark not in record.body:
            return False
        if b'"deletionTimestamp"' in record.body:
            return True
        return record.uid not in self._running and not has_ended(record)

    # -- nodes --------------------------------------------------------------------------------

    async def _arrange_nodes(self) -> None:
        """Make and delete nodes until they are as asked for."""
        self._asked = False
        wanted = Simulation.of(self._registry.find("configmaps", NAMESPACE, NAME))
        machines = {m.name: m for m in map(wanted.machine, range(wanted.nodes))}
        if machines:
            self._cordon(True)  # before the first node: a pod that comes meanwhile is for them
        have = self._registry.list("nodes", selector=LABEL)
        for at, found in enumerate(have):
            if found["metadata"]["name"] not in machines:
                self._registry.delete("nodes", "", found["metadata"]["name"])
            await self._breathe(at)
        for at, machine in enumerate(machines.values()):
            self._put_node(machine)
            await self._breathe(at)
        if not machines:
            self._cordon(False)

    async def _breathe(self, at: int) -> None:
        if at % _BATCH == _BATCH - 1:
            await self._registry.turns.next()

    def _put_node(self, machine: Machine) -> None:
        made = node.node(machine, self._version, datetime.now(UTC))
        made["metadata"]["labels"][LABEL] = "true"
        made["status"]["nodeInfo"]["machineID"] = machine.name
        found = self._registry.find("nodes", "", machine.name)
        if found is None:
            self._registry.create("nodes", "", made)
            return

        def change(old: Object) -> None:
            old["status"] |= {k: made["status"][k] for k in ("capacity", "allocatable")}

        self._registry.modify("nodes", "", machine.name, change)

    def _cordon(self, simulating: bool) -> None:
        """While there are simulated nodes, no pod runs for real."""

        def change(found: Object) -> None:
            annotations = found["metadata"].setdefault("annotations", {})
            if simulating and not found["spec"].get("unschedulable"):
                found["spec"]["unschedulable"] = True
                annotations[LABEL] = "cordoned"
            elif not simulating and annotations.pop(LABEL, None):
                found["spec"].pop("unschedulable", None)

        if self._registry.find("nodes", "", self._machine_node) is not None:
            self._registry.modify("nodes", "", self._machine_node, change)

    # -- pods ---------------------------------------------------------------------------------

    def _begin_some(self) -> None:
        for _ in range(min(len(self._new), _BATCH)):
            pod = self._pod(self._new.popleft())
            if pod is not None:
                self._begin(pod)

    def _pod(self, key: Key) -> Object | None:
        return self._registry.find(*key)

    def _begin(self, pod: Object) -> None:
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            self._remove(metadata)
            return
        if pod["status"].get("phase") in ("Succeeded", "Failed"):
            self._running.discard(metadata["uid"])
            return
        self._running.add(metadata["uid"])
        seconds = _run_for_s(metadata.get("annotations", {}))
        started_ns = time.time_ns()
        if seconds > 0:
            if pod["status"].get("phase") != "Running":
                running = {"running": {"startedAt": stamp_ns(started_ns)}}
                self._tell(pod, running, stopped=False)
            key = Key("pods", metadata["namespace"], metadata["name"])
            heapq.heappush(self._ends, (time.time() + seconds, key, metadata["uid"], started_ns))
        else:
            self._end(pod, started_ns)

    def _end_some(self) -> None:
        now = time.time()
        for _ in range(_BATCH):
            if not self._ends or self._ends[0][0] > now:
                return
            _, key, uid, started_ns = heapq.heappop(self._ends)
            pod = self._pod(key)
            if pod is not None and pod["metadata"]["uid"] == uid:
                self._end(pod, started_ns)

    def _end(self, pod: Object, started_ns: int) -> None:
        metadata = pod["metadata"]
        failed = _dice.random() < _fail_chance(metadata.get("annotations", {}))
        ended = Exit(int(failed), started_ns, time.time_ns())
        shown = podstatus.container_id(metadata["uid"], "simulated", 0)
        self._tell(pod, podstatus.terminated(ended, shown), stopped=True)
        self._running.discard(metadata["uid"])

    def _tell(self, pod: Object, state: Object, *, stopped: bool) -> None:
        """All containers of the pod are in one state."""
        uid = pod["metadata"]["uid"]
        init = pod["spec"].get("initContainers") or []
        done = podstatus.terminated(Exit(0, time.time_ns(), time.time_ns()), "local://simulated")
        views = [
            *(ContainerView(c["name"], c, done, init=True) for c in init),
            *(
                ContainerView(
                    c["name"], c, state, container_id=podstatus.container_id(uid, c["name"], 0)
                )
                for c in pod["spec"]["containers"]
            ),
        ]
        view = PodView(tuple(views), sandbox=True, with_address=True, stopped=stopped)

        def change(found: Object) -> None:
            found["status"] = podstatus.status(found, view, now())

        metadata = pod["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        self._registry.modify("pods", namespace, name, change)

    def _remove(self, metadata: Object) -> None:
        options = DeleteOptions(grace_s=0, propagation=None, uid=metadata["uid"])
        try:
            self._registry.delete("pods", metadata["namespace"], metadata["name"], options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        self._running.discard(metadata["uid"])


def _run_for_s(annotations: dict[str, str]) -> float:
    try:
        return parse_duration(annotations.get(RUN_FOR, "0"))
    except ValueError:
        return 0.0


def _fail_chance(annotations: dict[str, str]) -> float:
    try:
        return float(annotations.get(FAIL_CHANCE, "0"))
    except ValueError:
        return 0.0
