"""What a pod's worker knows: the pod as the API has it, and its containers as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from jobman.local.devices import Devices
from jobman.local.env import World
from jobman.local.pod_phase import is_final
from jobman.local.restart_policy import restarts_after
from jobman.local.runs import Runs
from jobman.local.supervisor import Supervisor

Object = dict[str, Any]

CONFIG_ERROR, CREATE_ERROR = "CreateContainerConfigError", "CreateContainerError"


class Pods(Protocol):
    """The kubelet's door to the API, as far as its pods go."""

    def write_status(self, pod: Object, status: Object) -> Object | None:
        """Write it and return the whole pod; None when this pod is no more."""

    def remove(self, pod: Object) -> None:
        """The pod has ended for good: take it out of the API."""

    def event(self, pod: Object, kind: str, reason: str, message: str, field: str = "") -> None:
        """Record an event about the pod, or about the container that `field` names."""

    def world(self, namespace: str) -> World:
        """What the references of a pod in `namespace` may name."""

    def claim(self, namespace: str, name: str) -> Object | None:
        """A persistent volume claim."""


@dataclass
class Host:
    """What the workers of one node share. `hurried`: steps that nobody can see are not told."""

    pods: Pods
    supervisor: Supervisor
    devices: Devices
    pod_root: Path
    claims: Path
    base_env: Mapping[str, str]
    hurried: Callable[[], bool] = field(default=lambda: False)


@dataclass
class PodState:
    """One pod.

    `waiting` has (reason, message) of containers that cannot start now; `verdict` is (reason,
    message) once the kubelet itself ends the pod; `sandbox`: its volumes are there.
    """

    pod: Object
    directory: Path
    runs: dict[str, Runs]
    waiting: dict[str, tuple[str, str]] = field(default_factory=dict)
    volumes: dict[str, Path] | None = None
    sandbox: bool = False
    gpus: tuple[int, ...] = ()
    verdict: tuple[str, str] | None = None

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.pod["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return str(self.pod["metadata"]["uid"])

    @property
    def full_name(self) -> str:
        """name_namespace(uid), as kubelets write it."""
        return f"{self.pod['metadata']['name']}_{self.namespace}({self.uid})"

    @property
    def policy(self) -> str:
        """The pod's restartPolicy."""
        return str(self.pod["spec"].get("restartPolicy", "Always"))

    @property
    def final(self) -> bool:
        """Whether its last phase has been told."""
        return is_final(self.pod)

    @property
    def init_containers(self) -> list[Object]:
        """The specs of init containers, sidecars among them."""
        return self.pod["spec"].get("initContainers") or []

    @cached_property
    def _init_names(self) -> frozenset[str]:
        return frozenset(container["name"] for container in self.init_containers)

    @property
    def containers(self) -> list[Object]:
        """The specs of all containers, init containers first."""
        return [*self.init_containers, *self.pod["spec"]["containers"]]

    @property
    def anything_runs(self) -> bool:
        """Whether a process of it lives."""
        return any(runs.running for runs in self.runs.values())

    def runs_of(self, container: Object) -> Runs:
        """The runs of a container."""
        return self.runs[container["name"]]

    def is_init(self, container: Object) -> bool:
        """Whether it is an init container."""
        return container["name"] in self._init_names

    def is_sidecar(self, container: Object) -> bool:
        """Whether it is an init container that runs beside the others."""
        return container.get("restartPolicy") == "Always" and self.is_init(container)

    def has_initialized(self, container: Object) -> bool:
        """Whether the containers after this init container may start."""
        runs = self.runs_of(container)
        if self.is_sidecar(container):
            return runs.started
        return runs.ended is not None and runs.ended.code == 0

    def should_run(self, container: Object) -> bool:
        """Whether it is to be started, or started again, as long as the pod goes on."""
        ended = self.runs_of(container).ended
        return ended is None or restarts_after(container, self.policy, ended.code)

    def is_over(self) -> bool:
        """Whether no container but sidecars will ever run again."""
        for container in self.init_containers:
            ended = self.runs_of(container).ended
            if ended is not None and ended.code != 0 and not self.should_run(container):
                return True
        mains = self.pod["spec"]["containers"]
        return all(self.runs_of(c).ended is not None and not self.should_run(c) for c in mains)

    def backing_off(self, name: str) -> bool:
        """Whether the container waits for its next restart."""
        return self.waiting.get(name, ("", ""))[0] == "CrashLoopBackOff"
