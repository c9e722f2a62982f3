"""What a container may be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jobman.local.api import (
    hook_rules,
    network_rules,
    resource_rules,
    restart_rules,
    rules,
    security_rules,
)
from jobman.local.api.cause import (
    Cause,
    duplicate,
    not_found,
    not_supported,
    required,
    wrong,
)
from jobman.local.api.downward_rules import field_ref, resource_ref
from jobman.local.api.volume_rules import inside

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_NO_SOURCE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
)


def containers(
    given: list[dict[str, Any]], path: str, volumes: Collection[str], taken: set[str]
) -> Iterator[Cause]:
    """What is wrong with containers that may mount `volumes`; `taken` collects their names."""
    for index, container in enumerate(given):
        where = f"{path}[{index}]"
        yield from _container(container, where, volumes, taken)
        yield from hook_rules.hooks(container, where)
        yield from restart_rules.restarts(container, where)
    yield from network_rules.host_ports(given, path)


def init_containers(
    given: list[dict[str, Any]], path: str, volumes: Collection[str], taken: set[str]
) -> Iterator[Cause]:
    """The same of those that run one after another before the others."""
    for index, container in enumerate(given):
        where = f"{path}[{index}]"
        yield from _container(container, where, volumes, taken)
        yield from network_rules.host_ports([container], path)
        stays = container.get("restartPolicy") == "Always"
        yield from (hook_rules.hooks if stays else hook_rules.no_hooks)(container, where)
        yield from restart_rules.restarts(container, where)


def _container(
    container: Mapping[str, Any], path: str, volumes: Collection[str], taken: set[str]
) -> Iterator[Cause]:
    name, image = container.get("name", ""), container.get("image", "")
    if not name:
        yield required(f"{path}.name")
    else:
        yield from (wrong(f"{path}.name", name, text) for text in rules.dns_label(name))
    if not image:
        yield required(f"{path}.image")
    elif image != image.strip():
        yield wrong(f"{path}.image", image, "must not have leading or trailing whitespace")
    policy = container.get("terminationMessagePolicy", "File")
    if policy not in _MESSAGE_POLICIES:
        yield not_supported(f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    yield from network_rules.ports(container.get("ports", []), f"{path}.ports")
    yield from env(container.get("env", []), f"{path}.env")
    yield from _env_from(container.get("envFrom", []), f"{path}.envFrom")
    yield from _mounts(container.get("volumeMounts", []), f"{path}.volumeMounts", volumes)
    policy = container.get("imagePullPolicy", "Always")
    if policy not in _PULL_POLICIES:
        yield not_supported(f"{path}.imagePullPolicy", policy, _PULL_POLICIES)
    yield from resource_rules.container(container.get("resources", {}), f"{path}.resources")
    context = container.get("securityContext", {})
    yield from security_rules.of_container(context, f"{path}.securityContext")
    if name in taken:
        yield duplicate(f"{path}.name", name)
    taken.add(name)


def env(variables: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    """What is wrong with environment variables."""
    for index, variable in enumerate(variables):
        where, name = f"{path}[{index}]", variable.get("name", "")
        if not name:
            yield required(f"{where}.name")
        else:
            yield from (wrong(f"{where}.name", name, text) for text in rules.env_name(name))
        if "valueFrom" in variable:
            yield from _value_from(variable, f"{where}.valueFrom")


def _value_from(variable: Mapping[str, Any], path: str) -> Iterator[Cause]:
    source = variable["valueFrom"]
    given = [kind for kind in _SOURCES if kind in source]
    for kind in given:
        yield from _VALUE_SOURCES[kind](source[kind], f"{path}.{kind}")
    if not given:
        yield wrong(path, "", _NO_SOURCE)
    elif variable.get("value"):
        yield wrong(path, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield wrong(path, "", "may not have more than one field specified at a time")


def _key_ref(reference: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if not reference.get("name"):
        yield required(f"{path}.name")
    key = reference.get("key", "")
    if not key:
        yield required(f"{path}.key")
    else:
        yield from (wrong(f"{path}.key", key, text) for text in rules.config_key(key))


def _file_ref(reference: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for field in ("volumeName", "path", "key"):
        if not reference.get(field):
            yield required(f"{path}.{field}")


_VALUE_SOURCES = {
    "fieldRef": field_ref,
    "resourceFieldRef": resource_ref,
    "configMapKeyRef": _key_ref,
    "secretKeyRef": _key_ref,
    "fileKeyRef": _file_ref,
}


def _env_from(sources: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    for index, source in enumerate(sources):
        where, prefix = f"{path}[{index}]", source.get("prefix", "")
        if prefix:
            yield from (wrong(f"{where}.prefix", prefix, text) for text in rules.env_name(prefix))
        given = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in given:
            if not source[kind].get("name"):
                yield required(f"{where}.{kind}.name")
        if not given:
            yield wrong(where, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            yield wrong(where, "", "may not have more than one field specified at a time")


def _mounts(mounts: list[dict[str, Any]], path: str, volumes: Collection[str]) -> Iterator[Cause]:
    places: set[str] = set()
    for index, mount in enumerate(mounts):
        where, name = f"{path}[{index}]", mount.get("name", "")
        place = mount.get("mountPath", "")
        if not name:
            yield required(f"{where}.name")
        elif name not in volumes:
            yield not_found(f"{where}.name", name)
        if not place:
            yield required(f"{where}.mountPath")
        elif place in places:
            yield wrong(f"{where}.mountPath", place, "must be unique")
        places.add(place)
        if "subPath" in mount:
            yield from inside(mount["subPath"], f"{where}.subPath")
            if "subPathExpr" in mount:
                text = "subPathExpr and subPath are mutually exclusive"
                yield wrong(f"{where}.subPathExpr", mount["subPathExpr"], text)
