"""A container's environment and words: pure, given ways to look up ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import errno
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobman.local import env_file
from jobman.local.podstatus import HOST_IP
from jobman.values.quantity import parse

Object = dict[str, Any]
Lookup = Callable[[str], Object | None]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['([^']*)'\]")


class ContainerConfigError(Exception):
    """The container cannot be made as it is configured; the text is a kubelet's."""


class EnvFileError(ContainerConfigError):
    """An env file is not as the container needs it; nobody tells when it becomes so."""


@dataclass(frozen=True)
class World:
    """What a pod's references may name: its namespace's objects, the node's resources, volumes."""

    config_map: Lookup
    secret: Lookup
    allocatable: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, Path] = field(default_factory=dict)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Kubernetes' expansion: `$(NAME)` where NAME is known, `$$` to `$`, all else untouched."""

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return variables.get(name, match[0])

    return _REFERENCE.sub(replace, text)


def command(container: Object, variables: Mapping[str, str]) -> list[str]:
    """The words to execute: command and args, expanded."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    return [expand(word, variables) for word in words]


def variables(pod: Object, container: Object, world: World) -> dict[str, str]:
    """The variables of envFrom and env, in Kubernetes' order. Raises ContainerConfigError."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        found |= _from_source(source, world)
    for entry in container.get("env") or []:
        if (source := entry.get("valueFrom")) is not None:
            value = _value_from(source, pod, container, world)
            if value is not None:
                found[entry["name"]] = value
        else:
            found[entry["name"]] = expand(entry.get("value", ""), found)
    return found


def _from_source(source: Object, world: World) -> dict[str, str]:
    prefix = source.get("prefix", "")
    if (reference := source.get("configMapRef")) is not None:
        data = _config_map(reference, world)
    else:
        data = _secret(source["secretRef"], world)
    return {prefix + key: value for key, value in sorted((data or {}).items())}


def _config_map(reference: Object, world: World) -> dict[str, str] | None:
    name = reference.get("name", "")
    found = world.config_map(name)
    if found is not None:
        return dict(found.get("data") or {})
    if reference.get("optional"):
        return None
    raise ContainerConfigError(f'configmap "{name}" not found')


def _secret(reference: Object, world: World) -> dict[str, str] | None:
    name = reference.get("name", "")
    found = world.secret(name)
    if found is not None:
        data = found.get("data") or {}
        return {key: _decoded(value) for key, value in data.items()}
    if reference.get("optional"):
        return None
    raise ContainerConfigError(f'secret "{name}" not found')


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode("utf-8", "surrogateescape")


def _value_from(source: Object, pod: Object, container: Object, world: World) -> str | None:
    if (reference := source.get("fieldRef")) is not None:
        return field_value(pod, reference["fieldPath"])
    if (reference := source.get("resourceFieldRef")) is not None:
        return resource_value(pod, container, reference, world.allocatable)
    if (reference := source.get("configMapKeyRef")) is not None:
        return _key(_config_map(reference, world), reference, pod, "ConfigMap")
    if (reference := source.get("fileKeyRef")) is not None:
        return _file_key(reference, world.volumes)
    reference = source["secretKeyRef"]
    return _key(_secret(reference, world), reference, pod, "Secret")


def _key(data: dict[str, str] | None, reference: Object, pod: Object, kind: str) -> str | None:
    if data is None:
        return None
    key = reference["key"]
    if key in data:
        return data[key]
    if reference.get("optional"):
        return None
    where = f"{pod['metadata']['namespace']}/{reference.get('name', '')}"
    raise ContainerConfigError(f"couldn't find key {key} in {kind} {where}")


def _file_key(reference: Object, volumes: Mapping[str, Path]) -> str | None:
    """A value from an env file; an empty one is none, as for a kubelet."""
    volume = reference["volumeName"]
    if volume not in volumes:
        raise ContainerConfigError(f'cannot find the volume "{volume}" referenced by FileKeyRef')
    path = volumes[volume] / reference["path"]
    try:
        _check_inside(path, volumes[volume])
        text = path.read_text("utf-8", "surrogateescape")
        value = env_file.find(text, reference["key"])
    except FileNotFoundError as error:
        if reference.get("optional"):
            return None
        raise EnvFileError(f"couldn't parse env file: {path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise EnvFileError(f"couldn't parse env file: {path}: {error}") from error
    if value or reference.get("optional"):
        return value or None
    key = reference["key"]
    raise EnvFileError(f'environment variable key "{key}" not found in file "{path}"')


def _check_inside(path: Path, volume: Path) -> None:
    if not is_inside(path, volume):
        raise ValueError("it is not in the volume")
    if path.is_fifo():  # which would be waited for
        raise ValueError("it is no file")


def is_inside(path: Path, volume: Path) -> bool:
    """Whether `path`, through whatever links, leads to a place in the volume.

    A loop of links does not, and what is no path.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
    except ValueError:  # no path has a NUL in it
        return False
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(volume))


def field_value(pod: Object, path: str) -> str:
    """The value of a downward API field. Raises ContainerConfigError for an unknown one."""
    metadata, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.fullmatch(path):
        entries = metadata.get(match[1].removeprefix("metadata.")) or {}
        return str(entries.get(match[2], ""))
    values: dict[str, Any] = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": HOST_IP,
        "status.hostIPs": HOST_IP,
        "status.podIP": HOST_IP,
        "status.podIPs": HOST_IP,
    }
    if path in ("metadata.labels", "metadata.annotations"):
        entries = metadata.get(path.removeprefix("metadata.")) or {}
        return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(entries.items()))
    if path not in values:
        raise ContainerConfigError(f"unsupported fieldPath: {path}")
    return str(values[path])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def resource_value(
    pod: Object, container: Object, reference: Object, allocatable: Mapping[str, str]
) -> str:
    """A request or limit of a container in units of the divisor, rounded up.

    A limit that is not set is the node's allocatable, a request that is not set is 0.
    """
    name = reference.get("containerName")
    if name:
        container = _container(pod, name)
    kind, _, resource = reference["resource"].partition(".")
    amount = (container.get("resources") or {}).get(kind, {}).get(resource)
    if amount is None:
        amount = allocatable.get(resource, "0") if kind == "limits" else "0"
    divisor = parse(reference.get("divisor") or "0").value or 1
    quotient = parse(amount).value / divisor
    return str(int(quotient.to_integral_value("ROUND_CEILING")))


def _container(pod: Object, name: str) -> Object:
    spec = pod["spec"]
    containers: Sequence[Object] = [*spec["containers"], *(spec.get("initContainers") or [])]
    for container in containers:
        if container["name"] == name:
            return container
    raise ContainerConfigError(f'container "{name}" not found in pod')
