"""One container of a pod, by its name."""

from __future__ import annotations

from jobman.kube.objects import ContainerStatus, Pod


def names(pod: Pod) -> list[str]:
    """The names of all containers, those that run first last."""
    spec = pod.spec
    return [container.name for container in [*spec.containers, *spec.init_containers]]


def status(pod: Pod, name: str | None) -> ContainerStatus | None:
    """The container as it is; None before the kubelet has told of it."""
    known = [*pod.status.container_statuses, *pod.status.init_container_statuses]
    return next((found for found in known if found.name == name), None)


def has_run(pod: Pod, name: str) -> bool:
    """Whether it runs or ran, so that there is a log to read."""
    found = status(pod, name)
    if found is None:
        return False
    return bool(found.state.running or found.state.terminated or found.last_state.terminated)


def restarts(pod: Pod, name: str | None) -> int:
    """How often it was started anew."""
    found = status(pod, name)
    return found.restart_count if found else 0
