"""What a pod's volumes may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api import downward_rules, rules
from jobman.local.api.cause import Cause, duplicate, forbidden, not_supported, required, wrong
from jobman.values.quantity import parse

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_TOKEN_SECONDS_MIN = 600
_TOKEN_SECONDS_MAX = 2**32
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def volumes(given: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    """What is wrong with a pod's volumes."""
    names: set[str] = set()
    for index, volume in enumerate(given):
        where, name = f"{path}[{index}]", volume.get("name", "")
        yield from _source(volume, where)
        if not name:
            yield required(f"{where}.name")
            continue
        yield from (wrong(f"{where}.name", name, text) for text in rules.dns_label(name))
        if name in names:
            yield duplicate(f"{where}.name", name)
        names.add(name)


def _source(volume: Mapping[str, Any], path: str) -> Iterator[Cause]:
    kinds = [kind for kind in volume if kind != "name"]
    if not kinds:
        yield required(path, "must specify a volume type")
        return
    for kind in kinds[1:]:
        yield forbidden(f"{path}.{kind}", "may not specify more than 1 volume type")
    kind = kinds[0]
    check = _SOURCES.get(kind)
    if check is not None:
        yield from check(volume[kind], f"{path}.{kind}")


def _empty_dir(source: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if "sizeLimit" in source and parse(source["sizeLimit"], allow_negative=True).value < 0:
        yield forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def _config_map(source: Mapping[str, Any], path: str) -> Iterator[Cause]:
    yield from _keyed(source, path, "name")


def _secret(source: Mapping[str, Any], path: str) -> Iterator[Cause]:
    yield from _keyed(source, path, "secretName")


def _keyed(source: Mapping[str, Any], path: str, name_field: str) -> Iterator[Cause]:
    if not source.get(name_field):
        yield required(f"{path}.{name_field}")
    yield from _mode(source, path, "defaultMode")
    for index, item in enumerate(source.get("items", [])):
        yield from _item(item, f"{path}.items[{index}]")


def _item(item: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if not item.get("key"):
        yield required(f"{path}.key")
    if not item.get("path"):
        yield required(f"{path}.path")
    yield from _local_path(item.get("path", ""), f"{path}.path")
    yield from _mode(item, path, "mode")


def _mode(source: Mapping[str, Any], path: str, field: str) -> Iterator[Cause]:
    mode = source.get(field)
    if mode is not None and not 0 <= mode <= 0o777:
        yield wrong(f"{path}.{field}", mode, _MODE)


def inside(target: str, path: str) -> Iterator[Cause]:
    """What is wrong with a path that must stay below a directory."""
    if target.startswith("/"):
        yield wrong(path, target, "must be a relative path")
    yield from no_parent(target, path)


def _local_path(target: str, path: str) -> Iterator[Cause]:
    """Names that start with two dots are the kubelet's own."""
    yield from inside(target, path)
    if target.startswith("..") and not target.startswith("../"):
        yield wrong(path, target, "must not start with '..'")


def no_parent(target: str, path: str) -> Iterator[Cause]:
    """A path must not climb."""
    if ".." in target.split("/"):
        yield wrong(path, target, "must not contain '..'")


def _host_path(source: Mapping[str, Any], path: str) -> Iterator[Cause]:
    target = source.get("path", "")
    if not target:
        yield required(f"{path}.path")
    yield from no_parent(target, f"{path}.path")
    kind = source.get("type", "")
    if kind not in _HOST_PATH_TYPES:
        yield not_supported(f"{path}.type", kind, _HOST_PATH_TYPES)


def _claim(source: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if not source.get("claimName"):
        yield required(f"{path}.claimName")


def _projected(source: Mapping[str, Any], path: str) -> Iterator[Cause]:
    yield from _mode(source, path, "defaultMode")
    taken: set[str] = set()
    for index, each in enumerate(source.get("sources", [])):
        where = f"{path}.sources[{index}]"
        for kind in ("secret", "configMap"):
            if kind in each:
                yield from _keyed(each[kind], f"{where}.{kind}", "name")
                items = each[kind].get("items", [])
                yield from _same_paths(items, path, taken, each[kind].get("name", ""))
        for file in each.get("downwardAPI", {}).get("items", []):
            yield from _downward_file(file, f"{where}.downwardAPI")
            yield from _same_paths([file], path, taken, file.get("path", ""))
        if "serviceAccountToken" in each:
            yield from _token(each["serviceAccountToken"], f"{where}.serviceAccountToken", path)
        if len(each) > 1:
            text = "may not specify more than 1 volume type per source"
            yield forbidden(where, text)


def _same_paths(
    items: list[dict[str, Any]], path: str, taken: set[str], told: str
) -> Iterator[Cause]:
    """Two files of a projected volume at one path; `told` is the value that is complained of."""
    for item in items:
        target = item.get("path", "")
        if target and target in taken:
            yield wrong(path, told, "conflicting duplicate paths")
        taken.add(target)


def _token(token: Mapping[str, Any], path: str, volume_path: str) -> Iterator[Cause]:
    seconds = token.get("expirationSeconds", _TOKEN_SECONDS_MIN)
    if seconds < _TOKEN_SECONDS_MIN:
        text = "may not specify a duration less than 10 minutes"
        yield wrong(f"{path}.expirationSeconds", seconds, text)
    if seconds > _TOKEN_SECONDS_MAX:
        text = "may not specify a duration larger than 2^32 seconds"
        yield wrong(f"{path}.expirationSeconds", seconds, text)
    if not token.get("path"):
        yield required(f"{volume_path}.path")  # not below the source: so does Kubernetes
    else:
        yield from _local_path(token["path"], f"{volume_path}.path")


def _downward(source: Mapping[str, Any], path: str) -> Iterator[Cause]:
    yield from _mode(source, path, "defaultMode")
    for file in source.get("items", []):
        yield from _downward_file(file, path)


def _downward_file(file: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """A file of fields; its place in the list is not told."""
    if not file.get("path"):
        yield required(f"{path}.path")
    yield from _local_path(file.get("path", ""), f"{path}.path")
    if "fieldRef" in file:
        fields = downward_rules.FILE_FIELDS
        yield from downward_rules.field_ref(file["fieldRef"], f"{path}.fieldRef", fields)
        if "resourceFieldRef" in file:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            yield wrong(path, "resource", text)
    elif "resourceFieldRef" in file:
        where = f"{path}.resourceFieldRef"
        if not file["resourceFieldRef"].get("containerName"):
            yield required(f"{where}.containerName")
        else:
            yield from downward_rules.resource_ref(file["resourceFieldRef"], where)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from _mode(file, path, "mode")


_SOURCES = {
    "emptyDir": _empty_dir,
    "configMap": _config_map,
    "secret": _secret,
    "hostPath": _host_path,
    "persistentVolumeClaim": _claim,
    "projected": _projected,
    "downwardAPI": _downward,
}
