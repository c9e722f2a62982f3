"""The kubelet: runs the pods bound to this machine's node, one worker each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from jobman.local import layout, places, podstatus, scattered, suitability
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.container_spec import ignored_user
from jobman.local.devices import GPU_ANNOTATION, Devices, NoDevicesError, gpu_count
from jobman.local.env import DEFAULT_PATH, World
from jobman.local.moments import now
from jobman.local.places import State
from jobman.local.pod_phase import has_ended, is_final
from jobman.local.pod_start import RETRY_S
from jobman.local.pod_state import Host
from jobman.local.pod_worker import PodWorker
from jobman.local.restart_policy import RESTART_ALL, wants_all_restarted
from jobman.local.room import Rejection, Room
from jobman.local.store import StorageError
from jobman.local.stored import Change, Key
from jobman.local.supervisor import Running, Supervisor
from jobman.values.home import home

Object = dict[str, Any]

log = logging.getLogger(__name__)

_HURRIED_FROM = 10
_HURRIED_WINDOW_S = 1.0


class Recorder(Protocol):
    """Records events in the kubelet's shape."""

    def event(
        self, obj: Object, kind: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """One more occurrence of the event."""


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What every container's environment begins with: a PATH, and the owner's home."""
    return {"PATH": DEFAULT_PATH, "HOME": str(home(environ))}


class Kubelet:
    """Pods of the node `node_name`; `allocatable` is that node's."""

    def __init__(
        self,
        registry: Registry,
        *,
        state: State,
        node_name: str,
        allocatable: Mapping[str, str],
        supervisor: Supervisor,
        devices: Devices,
        recorder: Recorder,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._registry = registry
        self._state = state
        self._node_name = node_name
        self._node = suitability.ThisNode(registry.store, node_name)
        self._recorder = recorder
        self._supervisor = supervisor
        self._devices = devices
        self.room = Room(allocatable)
        self._workers: dict[str, PodWorker] = {}
        self._begun: deque[float] = deque(maxlen=_HURRIED_FROM)
        self._tasks: set[asyncio.Task[None]] = set()
        self._leftovers: list[asyncio.Task[None]] = []
        self._host = Host(
            pods=self,
            supervisor=supervisor,
            devices=devices,
            pod_root=state.pods,
            claims=state.claims,
            base_env=base_environment(environ),
            hurried=self._hurried,
        )

    async def run(self) -> None:
        """Take up the node's pods and serve them until cancelled."""
        scattered.make(self._state.pods)
        forget = self._registry.store.subscribe(self._changed, "pods", "configmaps", "secrets")
        try:
            self._take_up()
            await asyncio.get_running_loop().create_future()
        finally:
            forget()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hurried(self) -> bool:
        """Whether many pods have begun within the last moment."""
        if len(self._begun) < _HURRIED_FROM:
            return False
        return time.monotonic() - self._begun[0] < _HURRIED_WINDOW_S

    def worker(self, uid: str) -> PodWorker | None:
        """The worker of an unfinished pod."""
        return self._workers.get(uid)

    def _take_up(self) -> None:
        """All pods of the node, as an earlier daemon left them."""
        mine = [p for p in self._registry.list("pods") if self._is_mine(p)]
        active = [p for p in mine if not is_final(p)]
        for pod in active:
            annotation = pod["metadata"].get("annotations", {}).get(GPU_ANNOTATION)
            if annotation is not None and gpu_count(pod):
                self._devices.restore(pod["metadata"]["uid"], annotation)
            if pod.get("status", {}).get("startTime"):
                self.room.keep(pod)
        for pod in mine:
            if pod in active or pod["metadata"].get("deletionTimestamp"):
                self._begin(pod)
        known = {p["metadata"]["uid"] for p in mine}
        unknown = [path for path in self._state.pods.iterdir() if path.name not in known]
        self._leftovers = [self._spawn(self._clear(directory)) for directory in unknown]

    def _is_mine(self, pod: Object) -> bool:
        return bool(pod["spec"].get("nodeName") == self._node_name)

    def _changed(self, change: Change) -> None:
        resource, namespace, _ = change.record.key
        if resource != "pods":
            self._config_changed(namespace)
            return
        if change.record.node != self._node_name:
            return
        uid = change.record.uid
        worker = self._workers.get(uid)
        if change.type == "DELETED":
            if worker is not None:
                worker.gone()
            else:
                self._spawn(self._clear(self._state.pods / uid))
            return
        if worker is not None:
            worker.changed(change.record)
            return
        if has_ended(change.record) and not change.record.deleting:
            return
        pod = change.record.object()
        self._begin(pod, is_new="startTime" not in pod.get("status", {}))

    def _config_changed(self, namespace: str) -> None:
        for worker in self._workers.values():
            if worker.waits_for_config and worker.state.pod["metadata"]["namespace"] == namespace:
                worker.wake()

    # -- workers ------------------------------------------------------------------------------

    def _begin(self, pod: Object, *, is_new: bool = False) -> None:
        worker = PodWorker(self._host, pod, is_new=is_new)
        self._workers[worker.state.uid] = worker
        self._begun.append(time.monotonic())
        self._spawn(self._work(worker))

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _work(self, worker: PodWorker) -> None:
        try:
            if await self._is_admitted(worker):
                await worker.run()
        finally:
            self._workers.pop(worker.state.uid, None)
            self.room.release(worker.state.uid)
            self._devices.release(worker.state.uid)
        if worker.is_gone:
            await self._clear(self._state.pods / worker.state.uid)

    async def _is_admitted(self, worker: PodWorker) -> bool:
        """Decide once; while the decision cannot be written down, try again."""
        if gpu_count(worker.state.pod) and worker.state.uid not in self._devices.given:
            await self._gpus_known()
        while not worker.is_gone:
            try:
                return self._admit(worker)
            except (ApiError, StorageError, OSError):
                log.exception("pod %s", worker.state.full_name)
                await asyncio.sleep(RETRY_S)
        return True

    async def _gpus_known(self) -> None:
        """Until the GPUs are found, and what was left of pods that are gone uses none any more."""
        await self._devices.found.wait()
        if self._leftovers:
            await asyncio.wait(self._leftovers)

    def _admit(self, worker: PodWorker) -> bool:
        """Take the pod in and give it its devices, or fail it."""
        pod = worker.state.pod
        if pod["metadata"].get("deletionTimestamp"):
            return True
        rejection = self._refusal(pod) or self._give_gpus(worker)
        if rejection is None:
            self._warn_of_ignored(pod)
            return True
        self.event(pod, "Warning", rejection.reason, rejection.message)
        status = podstatus.rejected(pod, rejection.reason, rejection.message, now())
        self.write_status(pod, status)
        return False

    def _refusal(self, pod: Object) -> Rejection | None:
        """Why the pod is not taken in, if it is new; room is taken for one that is."""
        is_new = "startTime" not in pod.get("status", {})
        if is_new and (refusal := suitability.wrong_os(pod)):
            return refusal
        return self.room.take(pod) or (self._node.refuses(pod) if is_new else None)

    def _give_gpus(self, worker: PodWorker) -> Rejection | None:
        count = gpu_count(worker.state.pod)
        if count == 0 or not self._devices.indices:
            return None
        known = worker.state.uid in self._devices.given
        try:
            indices = self._devices.allocate(worker.state.uid, count)
        except NoDevicesError as error:
            return Rejection("UnexpectedAdmissionError", str(error))
        worker.state.gpus = indices
        if not known:
            text = ",".join(map(str, indices))
            written = self.annotate(worker.state.pod, GPU_ANNOTATION, text)
            worker.state.pod = written or worker.state.pod
        return None

    def _warn_of_ignored(self, pod: Object) -> None:
        if pod.get("status", {}).get("startTime"):
            return
        if runtime := pod["spec"].get("runtimeClassName"):
            text = f"runtimeClassName {runtime} is ignored: containers are plain processes here"
            self.event(pod, "Warning", "RuntimeClassIgnored", text)
        for kind in ("initContainers", "containers"):
            for container in pod["spec"].get(kind) or []:
                self._warn_of_container(pod, container, f"spec.{kind}{{{container['name']}}}")

    def _warn_of_container(self, pod: Object, container: Object, field: str) -> None:
        user = ignored_user(pod, container)
        if user is not None:
            text = f"runAsUser {user} is ignored: containers run as uid {os.geteuid()} here"
            self.event(pod, "Warning", "RunAsUserIgnored", text, field)
        if wants_all_restarted(container):
            text = f"{RESTART_ALL} is not done here: the container's restartPolicy decides"
            self.event(pod, "Warning", "RestartRuleIgnored", text, field)

    async def _clear(self, directory: Path) -> None:
        """A pod that is no more: end what may still run of it and delete its directory."""
        for run in directory.glob(layout.RUN_DIRECTORIES):
            found = self._supervisor.find(run)
            if isinstance(found, Running):
                found.kill()
                await found.exit
        await asyncio.to_thread(places.remove_tree, directory)

    # -- the workers' door to the API ---------------------------------------------------------

    def write_status(self, pod: Object, status: Object) -> Object | None:
        """Write the status of this very pod; the whole pod as it is then, None if it is gone."""
        return self._registry.replace_status("pods", pod, lambda told: podstatus.over(told, status))

    def annotate(self, pod: Object, key: str, value: str) -> Object | None:
        """Write one annotation."""

        def change(found: Object) -> None:
            found["metadata"].setdefault("annotations", {})[key] = value

        metadata = pod["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        record = self._registry.store.get(Key("pods", namespace, name))
        if record is None or record.uid != metadata["uid"]:
            return None
        return self._registry.modify("pods", namespace, name, change)

    def remove(self, pod: Object) -> None:
        """Take an ended pod out of the API."""
        metadata = pod["metadata"]
        options = DeleteOptions(grace_s=0, propagation=None, uid=metadata["uid"])
        with contextlib.suppress(ApiError):
            self._registry.delete("pods", metadata["namespace"], metadata["name"], options)

    def event(self, pod: Object, kind: str, reason: str, message: str, field: str = "") -> None:
        """Record an event about a pod or one of its containers."""
        self._recorder.event(pod, kind, reason, message, field_path=field)

    def world(self, namespace: str) -> World:
        """What the references of a pod in `namespace` may name."""
        find = self._registry.find
        return World(
            config_map=lambda name: find("configmaps", namespace, name),
            secret=lambda name: find("secrets", namespace, name),
            allocatable=self.room.allocatable,
        )

    def claim(self, namespace: str, name: str) -> Object | None:
        """A persistent volume claim."""
        found: Object | None = self._registry.find("persistentvolumeclaims", namespace, name)
        return found
