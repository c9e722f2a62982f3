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
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobman.local import node, pod_deadline, podstatus, rehearsal
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.control import ARRANGED
from jobman.local.controllers.events import EventRecorder
from jobman.local.moments import now, stamp_ns
from jobman.local.node import Gpu, Machine
from jobman.local.pod_phase import has_ended, is_final
from jobman.local.podstatus import ContainerView, PodView
from jobman.local.stored import Change, Key, Record
from jobman.local.supervisor import Exit
from jobman.values.duration import parse_rfc3339
from jobman.values.quantity import parse

Object = dict[str, Any]

NAMESPACE, NAME = "kube-system", "simulated-nodes"
LABEL = "local.jobman/simulated"
PREFIX = "simulated-"
_BATCH = 50
_PODS = 110
_MOST_DIGITS = 5
_TERMINATED = 143
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
            return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0

        def amount(key: str, default: str) -> str:
            try:
                return str(parse(data.get(key) or default))
            except ValueError:
                return default

        return cls(
            nodes=number("nodes"),
            cpu=amount("cpu", cls.cpu),
            memory=amount("memory", cls.memory),
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


@dataclass
class _Run:
    """One pod's run: since when, and when it is looked at again."""

    began_ns: int
    due: float = 0.0


class Simulator:
    """Keeps the simulated nodes as they are asked for, and lets their pods come and go."""

    def __init__(self, registry: Registry, machine_node: str, version: str) -> None:
        self._registry = registry
        self._recorder = EventRecorder(registry, "simulator")
        self._machine_node = machine_node
        self._version = version
        self._new: deque[Key] = deque()
        self._ends: list[tuple[float, Key]] = []
        self._running: dict[str, _Run] = {}
        self._writing = False
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
            if record.node.startswith(PREFIX):
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
            if (key.namespace, key.name) == (NAMESPACE, NAME) and not self._writing:
                self._asked = True
                self._woken.set()
        elif change.type == "DELETED":
            self._running.pop(change.record.uid, None)
        elif self._is_news(change.record):
            self._new.append(key)
            self._woken.set()

    def _is_news(self, record: Record) -> bool:
        if self._writing or not record.node.startswith(PREFIX):
            return False
        return record.deleting or not has_ended(record)

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
        if not self._asked:
            self._tell_arranged()

    def _tell_arranged(self) -> None:
        def tell(config: Object) -> None:
            config["metadata"].setdefault("annotations", {})[ARRANGED] = "true"

        if self._registry.find("configmaps", NAMESPACE, NAME) is not None:
            self._writing = True
            try:
                self._registry.modify("configmaps", NAMESPACE, NAME, tell)
            finally:
                self._writing = False

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
            labels = old["metadata"]["labels"]
            kept = {key: labels[key] for key in labels if not key.startswith(node.GPU_LABELS)}
            old["metadata"]["labels"] = kept | made["metadata"]["labels"]
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
            if not annotations:
                del found["metadata"]["annotations"]

        if self._registry.find("nodes", "", self._machine_node) is not None:
            self._registry.modify("nodes", "", self._machine_node, change)

    # -- pods ---------------------------------------------------------------------------------

    def _begin_some(self) -> None:
        for _ in range(min(len(self._new), _BATCH)):
            self._look(self._new.popleft())

    def _end_some(self) -> None:
        now = time.time()
        for _ in range(_BATCH):
            if not self._ends or self._ends[0][0] > now:
                return
            self._look(heapq.heappop(self._ends)[1])

    def _look(self, key: Key) -> None:
        """Do what is to be done with a pod now, and note when to look again."""
        pod = self._registry.find(*key)
        if pod is None or not pod["spec"].get("nodeName", "").startswith(PREFIX):
            return  # of that name there may be another one by now
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            self._remove(metadata)
            return
        if is_final(pod):
            self._running.pop(metadata["uid"], None)
            return
        run = self._running.get(metadata["uid"]) or self._begin(pod)
        ends_at = run.began_ns / 1e9 + rehearsal.run_for_s(metadata.get("annotations", {}))
        if ends_at > time.time():
            pod = self._tell(pod, run, {"running": {"startedAt": stamp_ns(run.began_ns)}})
        deadline = pod_deadline.at(pod)
        due = ends_at if deadline is None else min(ends_at, deadline)
        if due > time.time():
            self._look_again(key, run, due)
        else:
            self._end(pod, run, overdue=due != ends_at)

    def _begin(self, pod: Object) -> _Run:
        """Note its run; what its annotations say wrong is told once, where that begins."""
        metadata, began_ns = pod["metadata"], _began_ns(pod)
        if began_ns is None:
            for problem in rehearsal.problems(metadata.get("annotations", {})):
                self._recorder.event(pod, "Warning", "InvalidAnnotation", problem)
        run = self._running[metadata["uid"]] = _Run(began_ns or time.time_ns())
        return run

    def _look_again(self, key: Key, run: _Run, due: float) -> None:
        if run.due != due:
            run.due = due
            heapq.heappush(self._ends, (due, key))

    def _end(self, pod: Object, run: _Run, *, overdue: bool) -> None:
        metadata = pod["metadata"]
        failed = _dice.random() < rehearsal.fail_chance(metadata.get("annotations", {}))
        code = _TERMINATED if overdue else int(failed)
        ended = Exit(code, run.began_ns, time.time_ns())
        shown = podstatus.container_id(metadata["uid"], "simulated", 0)
        verdict = pod_deadline.EXCEEDED if overdue else None
        self._tell(pod, run, podstatus.terminated(ended, shown), stopped=True, verdict=verdict)
        self._running.pop(metadata["uid"], None)

    def _tell(
        self,
        pod: Object,
        run: _Run,
        state: Object,
        *,
        stopped: bool = False,
        verdict: tuple[str, str] | None = None,
    ) -> Object:
        """All containers of the pod are in one state; init containers are done."""
        began = Exit(0, run.began_ns, run.began_ns)
        done = podstatus.terminated(began, "local://simulated")
        views = tuple(_views(pod, state, done))
        view = PodView(views, sandbox=True, with_address=True, stopped=stopped, verdict=verdict)
        status = podstatus.status(pod, view, now())
        self._writing = True
        try:
            written = self._registry.replace_status(
                "pods", pod, lambda told: podstatus.over(told, status)
            )
        finally:
            self._writing = False
        return written or pod

    def _remove(self, metadata: Object) -> None:
        options = DeleteOptions(grace_s=0, propagation=None, uid=metadata["uid"])
        try:
            self._registry.delete("pods", metadata["namespace"], metadata["name"], options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _began_ns(pod: Object) -> int | None:
    """When its run began, if an earlier daemon has told."""
    for told in pod.get("status", {}).get("containerStatuses", []):
        if since := told.get("state", {}).get("running", {}).get("startedAt"):
            return int(parse_rfc3339(since).timestamp() * 1e9)
    return None


def _views(pod: Object, state: Object, done: Object) -> Iterator[ContainerView]:
    for container in pod["spec"].get("initContainers") or []:
        goes_on = container.get("restartPolicy") == "Always"
        yield ContainerView(container["name"], container, state if goes_on else done, init=True)
    for container in pod["spec"]["containers"]:
        shown = podstatus.container_id(pod["metadata"]["uid"], container["name"], 0)
        yield ContainerView(container["name"], container, state, container_id=shown)
