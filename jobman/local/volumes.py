"""A pod's volumes as files and directories of this machine."""

from __future__ import annotations

import base64
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobman.local.env import (
    ContainerConfigError,
    Lookup,
    World,
    expand,
    field_value,
    is_inside,
    missing,
    resource_value,
)

Object = dict[str, Any]

_GIVEN = frozenset({"configMap", "secret", "downwardAPI", "projected"})
_HOST_PATH_TESTS: dict[str, Callable[[int], bool]] = {
    "Directory": stat.S_ISDIR,
    "File": stat.S_ISREG,
    "Socket": stat.S_ISSOCK,
    "CharDevice": stat.S_ISCHR,
    "BlockDevice": stat.S_ISBLK,
}


class MountError(Exception):
    """A volume cannot be made (yet); `volume` names it, the text is a kubelet's."""

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(message)
        self.volume = volume


@dataclass(frozen=True)
class VolumeMaker:
    """Makes volumes: `directory` is the pod's own, `claims` holds the claims' directories."""

    directory: Path
    claims: Path
    world: World
    claim: Lookup

    def make(self, pod: Object) -> dict[str, Path]:
        """Every volume of the pod, by name. Raises MountError."""
        return {
            volume["name"]: self._make(pod, volume) for volume in pod["spec"].get("volumes") or []
        }

    def _make(self, pod: Object, volume: Object) -> Path:
        name = str(volume["name"])
        place = self.directory / name
        try:
            host: Object | None = volume.get("hostPath")
            if host is not None:
                return _host_path(host)
            if (claim := volume.get("persistentVolumeClaim")) is not None:
                return self._claimed(claim["claimName"])
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o777 if "emptyDir" in volume else 0o755)
            self._fill(pod, volume, place)
        except ContainerConfigError as error:
            raise MountError(name, str(error)) from error
        except OSError as error:
            raise MountError(name, f"{error.filename}: {error.strerror}") from error
        except ValueError as error:  # no path has a NUL in it
            raise MountError(name, str(error)) from error
        return place

    def _claimed(self, name: str) -> Path:
        claim = self.claim(name)
        if claim is None:
            raise ContainerConfigError(f'persistentvolumeclaim "{name}" not found')
        place = claim_directory(self.claims, claim)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place

    def _fill(self, pod: Object, volume: Object, place: Path) -> None:
        if (source := volume.get("configMap")) is not None:
            self._write_config_map(source, place, source.get("defaultMode", 0o644))
        elif (source := volume.get("secret")) is not None:
            named = source | {"name": source.get("secretName", "")}
            self._write_secret(named, place, source.get("defaultMode", 0o644))
        elif (source := volume.get("downwardAPI")) is not None:
            self._write_fields(pod, source, place, source.get("defaultMode", 0o644))
        elif (source := volume.get("projected")) is not None:
            self._project(pod, source, place)
        elif "emptyDir" not in volume:
            kinds = sorted(set(volume) - {"name"}) or ["none"]
            raise ContainerConfigError(f"volumes of kind {kinds[0]} are not supported here")

    def _project(self, pod: Object, projected: Object, place: Path) -> None:
        mode = projected.get("defaultMode", 0o644)
        for entry in projected.get("sources") or []:
            if (source := entry.get("configMap")) is not None:
                self._write_config_map(source, place, mode)
            elif (source := entry.get("secret")) is not None:
                self._write_secret(source, place, mode)
            elif (source := entry.get("downwardAPI")) is not None:
                self._write_fields(pod, source, place, mode)
            else:
                kind = sorted(entry)[0] if entry else "none"
                raise ContainerConfigError(
                    f"projected sources of kind {kind} are not supported here"
                )

    def _write_config_map(self, source: Object, place: Path, mode: int) -> None:
        name = source.get("name", "")
        found = self.world.config_map(name)
        if found is None:
            _check_optional(source, f'configmap "{name}" not found')
            return
        data = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        binary = found.get("binaryData") or {}
        data |= {key: base64.b64decode(value) for key, value in binary.items()}
        _write(data, source, place, mode, "config")

    def _write_secret(self, source: Object, place: Path, mode: int) -> None:
        name = source.get("name", "")
        found = self.world.secret(name)
        if found is None:
            _check_optional(source, f'secret "{name}" not found')
            return
        data = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
        _write(data, source, place, mode, "secret")

    def _write_fields(self, pod: Object, source: Object, place: Path, mode: int) -> None:
        for item in source.get("items") or []:
            if (reference := item.get("fieldRef")) is not None:
                text = field_value(pod, reference["fieldPath"])
            else:
                allocatable = self.world.allocatable
                text = resource_value(pod, {}, item["resourceFieldRef"], allocatable)
            _put(place / item["path"], text.encode(), item.get("mode", mode))


def _check_optional(source: Object, problem: str) -> None:
    if not source.get("optional"):
        raise ContainerConfigError(problem)


def _write(data: dict[str, bytes], source: Object, place: Path, mode: int, kind: str) -> None:
    items = source.get("items")
    if items is None:
        for key, content in data.items():
            _put(place / key, content, mode)
        return
    for item in items:
        if item["key"] in data:
            _put(place / item["path"], data[item["key"]], item.get("mode", mode))
        else:
            _check_optional(source, f"references non-existent {kind} key: {item['key']}")


def _put(path: Path, content: bytes, mode: int) -> None:
    """Written aside and renamed: a running container sees the old or the new.

    No key and no path of an item begins with two dots, and a key may be as long as a file's name.
    """
    _make_directories(path.parent)
    aside = path.with_name("..new")
    aside.write_bytes(content)
    aside.chmod(mode)
    aside.replace(path)


def _make_directories(path: Path, mode: int = 0o755) -> None:
    """The directory, and those missing above it, with this mode whatever the daemon's umask is."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for directory in reversed(missing):
        directory.mkdir()
        directory.chmod(mode)


def _host_path(source: Object) -> Path:
    path, kind = Path(source["path"]), str(source.get("type", ""))
    if kind in ("", "DirectoryOrCreate"):
        _make_directories(path)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch()
        path.chmod(0o644)
    test = _HOST_PATH_TESTS.get(kind.removesuffix("OrCreate"))
    if test is not None and not (path.exists() and test(path.stat().st_mode)):
        raise ContainerConfigError(
            f"hostPath type check failed: {path} is not a {_kind_word(kind)}"
        )
    return path


def _kind_word(kind: str) -> str:
    words = {"Directory": "directory", "File": "file", "Socket": "socket file"}
    words |= {"CharDevice": "character device", "BlockDevice": "block device"}
    return words[kind.removesuffix("OrCreate")]


def claim_directory(claims: Path, claim: Object) -> Path:
    """Where a claim's files are: by uid, so that a new claim of the same name starts empty."""
    return claims / str(claim["metadata"]["uid"])


def named(pod: Object) -> Iterator[tuple[str, str]]:
    """What the volumes are made of: `configMap`, `secret` or `claim`, and its name."""
    for volume in pod["spec"].get("volumes") or []:
        if (claim := volume.get("persistentVolumeClaim")) is not None:
            yield "claim", claim["claimName"]
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            if (config_map := source.get("configMap")) is not None:
                yield "configMap", config_map.get("name", "")
            if (secret := source.get("secret")) is not None:
                yield "secret", secret.get("secretName") or secret.get("name", "")


def given(pod: Object) -> frozenset[str]:
    """The volumes that nobody writes to: objects of the cluster, and claims given so."""
    return frozenset(
        volume["name"]
        for volume in pod["spec"].get("volumes") or []
        if not _GIVEN.isdisjoint(volume)
        or (volume.get("persistentVolumeClaim") or {}).get("readOnly")
    )


def mounts(
    container: Object,
    volumes: Mapping[str, Path],
    variables: Mapping[str, str],
    fixed: Collection[str] = (),
) -> list[tuple[str, str, bool]]:
    """A container's volumeMounts as (source, target, read-only); `fixed` volumes always are.

    One that shows a directory where it is anyway needs no mount and is left out.
    Raises ContainerConfigError.
    """
    found = []
    for mount in container.get("volumeMounts") or []:
        source = volumes[mount["name"]]
        if sub_path := _sub_path(mount, variables):
            source = _made_sub_path(source, sub_path, mount["name"], container.get("name", ""))
        target = "/" + mount["mountPath"].strip("/")
        read_only = bool(mount.get("readOnly")) or mount["name"] in fixed
        if str(source) != target or read_only:
            found.append((str(source), target, read_only))
    return found


def _sub_path(mount: Object, variables: Mapping[str, str]) -> str:
    expression = mount.get("subPathExpr")
    if not expression:
        return str(mount.get("subPath") or "")
    if without := missing(expression, variables):
        raise ContainerConfigError(f"missing value for {', '.join(without)}")
    return expand(expression, variables)


def _made_sub_path(volume: Path, sub_path: str, name: str, container: str) -> Path:
    """Where it is, made if it is missing."""
    if sub_path.startswith("/"):
        raise ContainerConfigError(f"error SubPath `{sub_path}` must not be an absolute path")
    if ".." in sub_path.split("/"):
        raise ContainerConfigError(
            f"unable to provision SubPath `{sub_path}`: must not contain '..'"
        )
    source = volume / sub_path
    if not is_inside(source, volume):
        text = f'failed to prepare subPath for volumeMount "{name}" of container "{container}"'
        raise ContainerConfigError(text)
    _make_directories(source, stat.S_IMODE(volume.stat().st_mode))
    return source
