"""From a container of a pod to what the supervisor starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobman.local import env, layout, volumes
from jobman.local.devices import gpu_environment
from jobman.local.env import ContainerConfigError, World
from jobman.local.logfile import tail_text
from jobman.local.supervisor import Exit, Spec

Object = dict[str, Any]

TERMINATION_LOG = "termination-log"
_MESSAGE_BYTES = 4096
_LOG_MESSAGE_BYTES = 2048
_LOG_MESSAGE_LINES = 80
_HOST_NAME_MOST = 63


class NoCommandError(Exception):
    """Neither command nor args: an image's own entrypoint is not known here."""


def make_spec(
    pod: Object,
    container: Object,
    *,
    world: World,
    base_env: Mapping[str, str],
    gpus: Sequence[int],
    made: Mapping[str, Path],
    run_directory: Path,
    new_root: Path,
    mount_problem: str | None,
) -> Spec:
    """What to execute and in which world.

    `made` are the pod's volumes, `run_directory` is where this run keeps its files,
    `mount_problem` says why mount paths cannot be made here. Raises ContainerConfigError and
    NoCommandError.
    """
    _check_user(pod, container)
    variables = env.variables(pod, container, replace(world, volumes=made))
    argv = env.command(container, variables)
    if not argv:
        raise NoCommandError(
            "no command specified: no image is pulled here, so command or args must be given"
        )
    targets = volumes.mounts(container, made, variables, volumes.given(pod))
    if targets and mount_problem is not None:
        raise ContainerConfigError(_cannot_mount(targets[0][1], mount_problem))
    if mount_problem is None and (targets or _names_termination_log(container, argv, variables)):
        targets.append(
            (_termination_log(run_directory), container["terminationMessagePath"], False)
        )
    own = {"HOSTNAME": _host_name(pod), **variables, **gpu_environment(pod, container, gpus)}
    return Spec(
        argv=argv,
        env={**base_env, **own},
        cwd=container.get("workingDir") or base_env.get("HOME", "/"),
        mounts=targets,
        new_root=str(new_root),
    )


def _host_name(pod: Object) -> str:
    name: str = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return name if len(name) <= _HOST_NAME_MOST else name[:_HOST_NAME_MOST].rstrip("-.")


def _check_user(pod: Object, container: Object) -> None:
    contexts = [pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}]
    merged: Object = contexts[0] | contexts[1]
    if merged.get("runAsNonRoot") and os.geteuid() == 0:
        metadata = pod["metadata"]
        whole = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        raise ContainerConfigError(
            "container has runAsNonRoot and image will run as root "
            f'(pod: "{whole}", container: {container["name"]})'
        )


def ignored_user(pod: Object, container: Object) -> int | None:
    """The runAsUser that the container asks for and does not get, if any."""
    contexts = [pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}]
    merged: Object = contexts[0] | contexts[1]
    wanted = merged.get("runAsUser")
    return wanted if wanted is not None and wanted != os.geteuid() else None


def _cannot_mount(target: str, problem: str) -> str:
    return (
        f'mountPath "{target}" cannot be made on this machine ({problem}): it needs user '
        "namespaces; on Ubuntu 23.10 and later: "
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    )


def _names_termination_log(
    container: Object, argv: Sequence[str], variables: Mapping[str, str]
) -> bool:
    """Whether the container seems to write its termination message.

    A mount namespace for every container would cost more than the container; so the file is there
    for those that name it, or its path is one of their own, or they have mounts anyway.
    """
    path = container["terminationMessagePath"]
    if path != "/dev/termination-log":
        return True
    return any(path in word for word in [*argv, *variables.values()])


def _termination_log(run_directory: Path) -> str:
    run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = run_directory / TERMINATION_LOG
    path.touch(mode=0o666)
    return str(path)


def termination_message(container: Object, run_directory: Path, ended: Exit) -> str | None:
    """The container's last words: from its file, or the end of its log where it says so."""
    try:
        with open(f"{run_directory}/{TERMINATION_LOG}", "rb") as file:  # noqa: PTH123 - at each end
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MESSAGE_BYTES))
            data = file.read(_MESSAGE_BYTES)
    except FileNotFoundError:
        data = b""
    policy = container.get("terminationMessagePolicy", "File")
    if not data and ended.code != 0 and policy == "FallbackToLogsOnError":
        data = tail_text(run_directory / layout.LOG, _LOG_MESSAGE_LINES)[-_LOG_MESSAGE_BYTES:]
    return data.decode("utf-8", "replace") or None
