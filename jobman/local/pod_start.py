"""Bringing a pod up: its volumes, then its containers as they become due."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from jobman.local import imagenames, podstatus, volumes
from jobman.local.container_spec import NoCommandError, make_spec
from jobman.local.env import ContainerConfigError, EnvFileError, Lookup
from jobman.local.pod_report import Moment, Reporter
from jobman.local.pod_state import CONFIG_ERROR, CREATE_ERROR, Host, Object, PodState
from jobman.local.runs import Runs
from jobman.local.supervisor import Spec, StartFailedError
from jobman.local.volumes import MountError, VolumeMaker

RETRY_S = 5.0
_MOUNT_RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 122.0)
_PULLED = 'Container image "{}" already present on machine and can be accessed by the pod'


class Starter:
    """Starts what is due of one pod. Each step returns the seconds until it is due again."""

    def __init__(self, host: Host, state: PodState, report: Reporter) -> None:
        self._host = host
        self._state = state
        self._report = report
        self.mount_tries = 0

    async def prepare(self) -> float | None:
        """Make the volumes; None when they are there."""
        state = self._state
        if not state.sandbox:
            self._report.publish_step()
        try:
            state.volumes = await self._volumes()
        except MountError as error:
            text = f'MountVolume.SetUp failed for volume "{error.volume}" : {error}'
            self._report.pod_event("Warning", "FailedMount", text)
            self._report.publish()
            delay_s = _MOUNT_RETRY_S[min(self.mount_tries, len(_MOUNT_RETRY_S) - 1)]
            self.mount_tries += 1
            return delay_s
        self.mount_tries = 0
        state.sandbox = True
        self._report.publish_step()
        return None

    async def _volumes(self) -> dict[str, Path]:
        """Made in a thread: a ConfigMap may have many keys, and a disk of the host's may hang."""
        pod = self._state.pod
        if not pod["spec"].get("volumes"):
            return {}
        return await asyncio.to_thread(self._volume_maker().make, pod)

    def _volume_maker(self) -> VolumeMaker:
        """What it will ask for is looked up now, in the one thread that may."""
        pods, namespace = self._host.pods, self._state.namespace
        world = pods.world(namespace)
        lookups: dict[str, Lookup] = {
            "configMap": world.config_map,
            "secret": world.secret,
            "claim": partial(pods.claim, namespace),
        }
        named = set(volumes.named(self._state.pod))
        found = {(kind, name): lookups[kind](name) for kind, name in named}
        return VolumeMaker(
            directory=self._state.directory / "volumes",
            claims=self._host.claims,
            world=replace(
                world,
                config_map=lambda name: found["configMap", name],
                secret=lambda name: found["secret", name],
            ),
            claim=lambda name: found["claim", name],
        )

    async def start_if_due(self, container: Object) -> float | None:
        """Start or restart the container if it is time."""
        runs = self._state.runs_of(container)
        if runs.running or not self._state.should_run(container):
            return None
        if runs.ended is not None:
            wait_s = runs.restart_at_ns() / 1e9 - time.time()
            if wait_s > 0:
                self._tell_backing_off(container, runs)
                return wait_s
            if self._state.backing_off(container["name"]):
                self._report.publish(Moment(crash_looping=container["name"]))
        return await self._start(container, runs)

    def _tell_backing_off(self, container: Object, runs: Runs) -> None:
        name = container["name"]
        if self._state.backing_off(name) or runs.ended is None:
            return
        delay = _go_duration(round((runs.restart_at_ns() - runs.ended.finished_ns) / 1e9))
        pod = self._state.full_name
        message = f"back-off {delay} restarting failed container={name} pod={pod}"
        self._state.waiting[name] = ("CrashLoopBackOff", message)
        text = f"Back-off restarting failed container {name} in pod {pod}"
        self._report.event(container, "Warning", "BackOff", text)

    async def _start(self, container: Object, runs: Runs) -> float | None:
        if problem := imagenames.problem(container.get("image", "")):
            if self._set_waiting(container, "InvalidImageName", problem):
                self._report.event(container, "Warning", "InspectFailed", problem)
                self._report.event(container, "Warning", "Failed", "Error: InvalidImageName")
            return None
        if runs.started or self._state.is_init(container):
            self._report.publish_step()
        try:
            spec = self._spec(container, runs)
            await runs.start(spec)
        except ContainerConfigError as error:
            self._cannot_create(container, CONFIG_ERROR, str(error))
            return RETRY_S if isinstance(error, EnvFileError) else None
        except NoCommandError as error:
            self._cannot_create(container, CREATE_ERROR, str(error))
            return None
        except (StartFailedError, OSError) as error:
            self._cannot_create(container, CREATE_ERROR, str(error))
            return RETRY_S
        self._tell_created(container)
        self._tell_started(container, runs)
        if runs.ended is None:
            return None
        if runs.ended.error is None:
            self._report.publish_step(Moment(as_running=container["name"]))
        return 0.0

    def _spec(self, container: Object, runs: Runs) -> Spec:
        return make_spec(
            self._state.pod,
            container,
            world=self._host.pods.world(self._state.namespace),
            base_env=self._host.base_env,
            gpus=self._state.gpus,
            made=self._state.volumes or {},
            run_directory=runs.next_directory,
            new_root=self._host.supervisor.new_root,
            mount_problem=self._host.supervisor.mount_problem,
        )

    def _tell_created(self, container: Object) -> None:
        reason, _ = self._state.waiting.pop(container["name"], ("", ""))
        if reason != CREATE_ERROR:
            self._tell_pulled(container)
        self._report.event(container, "Normal", "Created", "Container created")

    def _tell_pulled(self, container: Object) -> None:
        text = _PULLED.format(container.get("image", ""))
        self._report.event(container, "Normal", "Pulled", text)

    def _cannot_create(self, container: Object, reason: str, message: str) -> None:
        if self._set_waiting(container, reason, message):
            self._tell_pulled(container)
            self._report.event(container, "Warning", "Failed", f"Error: {message}")

    def _set_waiting(self, container: Object, reason: str, message: str) -> bool:
        """Whether that is news."""
        name = container["name"]
        news = self._state.waiting.get(name) != (reason, message)
        self._state.waiting[name] = (reason, message)
        return news

    def _tell_started(self, container: Object, runs: Runs) -> None:
        if runs.ended is not None and runs.ended.error is not None:
            error = podstatus.RUN_ERROR.format(runs.ended.error)
            self._report.event(container, "Warning", "Failed", f"Error: {error}")
            return
        self._report.event(container, "Normal", "Started", "Container started")


def _go_duration(seconds: int) -> str:
    """Go's way of writing a duration: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
