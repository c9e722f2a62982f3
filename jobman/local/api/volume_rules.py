"""What a pod's volumes may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api import rules
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
    yield from inside(item.get("path", ""), f"{path}.path")
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
    for index, each in enumerate(source.get("sources", [])):
        where = f"{path}.sources[{index}]"
        for kind in ("configMap", "secret"):
            if kind in each:
                yield from _keyed(each[kind], f"{where}.{kind}", "name")
        token = each.get("serviceAccountToken")
        if token is not None and not token.get("path"):
            yield required(f"{where}.serviceAccountToken.path")


_SOURCES = {
    "emptyDir": _empty_dir,
    "configMap": _config_map,
    "secret": _secret,
    "hostPath": _host_path,
    "persistentVolumeClaim": _claim,
    "projected": _projected,
}
