"""A container's environment and words: pure, given ways to look up ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from jobman.local import env_file
from jobman.local.podstatus import HOST_IP
from jobman.values.quantity import parse

Object = dict[str, Any]
Lookup = Callable[[str], Object | None]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
# No program is given a word, or a variable, that is longer, nor more of either in all: what goes
# beyond is not made, and the system says of what there is that it is too long.
_WORD_MAX = 32 * os.sysconf("SC_PAGE_SIZE")
_ALL_MAX = 6 * 1024 * 1024
_ESCAPES = {char: f"\\{name}" for char, name in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)}
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
    """Kubernetes' expansion: `$(NAME)` where NAME is known, `$$` to `$`, all else untouched.

    What no program can be given is cut where it is too long.
    """
    parts: list[str] = []
    size = at = 0
    last = text.rfind(")") + 1  # a name that begins behind it never ends
    for match in _REFERENCE.finditer(text, 0, last):
        name = match[1]
        known = "$" if name is None else variables.get(name, match[0])
        parts += (text[at : match.start()], known)
        size += len(parts[-2]) + len(known)
        at = match.end()
        if size > _WORD_MAX:
            break
    return ("".join(parts) + text[at:].replace("$$", "$"))[: _WORD_MAX + 1]


def missing(text: str, variables: Mapping[str, str]) -> list[str]:
    """The names that `text` refers to and that have no value, in order."""
    names = {match[1] for match in _REFERENCE.finditer(text) if match[1] is not None}
    return sorted(name for name in names if not variables.get(name))


def command(container: Object, variables: Mapping[str, str]) -> list[str]:
    """The words to execute: command and args, expanded; no more than a program can be given."""
    words: list[str] = []
    size = 0
    for word in (*(container.get("command") or []), *(container.get("args") or [])):
        words.append(expand(word, variables))
        size += len(words[-1])
        if size > _ALL_MAX:
            break
    return words


def variables(pod: Object, container: Object, world: World) -> dict[str, str]:
    """The variables of envFrom and env, in Kubernetes' order. Raises ContainerConfigError.

    No more than a program can be given.
    """
    world = replace(world, config_map=cache(world.config_map), secret=cache(world.secret))
    found: dict[str, str] = {}
    size = 0
    for name, value in _entries(pod, container, world, found):
        found[name] = value
        size += len(name) + len(value)
        if size > _ALL_MAX:
            break
    return found


def _entries(
    pod: Object, container: Object, world: World, found: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Each variable as it is set; `found` are those before it."""
    for source in container.get("envFrom") or []:
        yield from _from_source(source, world)
    for entry in container.get("env") or []:
        if (source := entry.get("valueFrom")) is not None:
            value = _value_from(source, pod, container, world)
            if value is not None:
                yield entry["name"], value
        else:
            yield entry["name"], expand(entry.get("value", ""), found)


def _from_source(source: Object, world: World) -> Iterator[tuple[str, str]]:
    prefix = source.get("prefix", "")
    if (reference := source.get("configMapRef")) is not None:
        for key, text in sorted((_config_map(reference, world) or {}).items()):
            yield prefix + key, text
    else:
        for key, kept in sorted((_secret(source["secretRef"], world) or {}).items()):
            yield prefix + key, _decoded(kept)


def _config_map(reference: Object, world: World) -> Mapping[str, str] | None:
    return _data(world.config_map, reference, "configmap")


def _secret(reference: Object, world: World) -> Mapping[str, str] | None:
    """A Secret's data as they are kept, encoded."""
    return _data(world.secret, reference, "secret")


def _data(lookup: Lookup, reference: Object, kind: str) -> Mapping[str, str] | None:
    name = reference.get("name", "")
    found = lookup(name)
    if found is not None:
        return found.get("data") or {}
    if reference.get("optional"):
        return None
    raise ContainerConfigError(f'{kind} "{name}" not found')


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
    value = _key(_secret(reference, world), reference, pod, "Secret")
    return None if value is None else _decoded(value)


def _key(data: Mapping[str, str] | None, reference: Object, pod: Object, kind: str) -> str | None:
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
    """As Go quotes it."""
    return f'"{"".join(map(_escaped, value))}"'


def _escaped(char: str) -> str:
    if known := _ESCAPES.get(char):
        return known
    code = ord(char)
    if char.isprintable():
        return char
    return (
        f"\\x{code:02x}"
        if code < 0x80
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


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
