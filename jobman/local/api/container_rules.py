"""What a container may be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jobman.local.api import resource_rules, rules
from jobman.local.api.cause import (
    Cause,
    duplicate,
    forbidden,
    not_found,
    not_supported,
    required,
    wrong,
)
from jobman.local.api.volume_rules import inside

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_NO_SOURCE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
)
_FIELD_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_PORT_RANGE = "must be between 1 and 65535, inclusive"


def containers(
    given: list[dict[str, Any]], path: str, volumes: Collection[str], taken: set[str]
) -> Iterator[Cause]:
    """What is wrong with containers that may mount `volumes`; `taken` collects their names."""
    for index, container in enumerate(given):
        where, name = f"{path}[{index}]", container.get("name", "")
        yield from _container(container, where, volumes)
        if name in taken:
            yield duplicate(f"{where}.name", name)
        taken.add(name)


def _container(
    container: Mapping[str, Any], path: str, volumes: Collection[str]
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
    yield from _ports(container.get("ports", []), f"{path}.ports")
    yield from env(container.get("env", []), f"{path}.env")
    yield from _env_from(container.get("envFrom", []), f"{path}.envFrom")
    yield from _mounts(container.get("volumeMounts", []), f"{path}.volumeMounts", volumes)
    policy = container.get("imagePullPolicy", "Always")
    if policy not in _PULL_POLICIES:
        yield not_supported(f"{path}.imagePullPolicy", policy, _PULL_POLICIES)
    yield from resource_rules.container(container.get("resources", {}), f"{path}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            yield from _probe(container[probe], f"{path}.{probe}")


def _ports(ports: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    names: set[str] = set()
    for index, port in enumerate(ports):
        where, name = f"{path}[{index}]", port.get("name", "")
        if name:
            yield from (wrong(f"{where}.name", name, text) for text in rules.port_name(name))
            if name in names:
                yield duplicate(f"{where}.name", name)
            names.add(name)
        number = port.get("containerPort", 0)
        if not number:
            yield required(f"{where}.containerPort")
        elif not 1 <= number <= 65535:
            yield wrong(f"{where}.containerPort", number, _PORT_RANGE)
        host_port = port.get("hostPort", 0)
        if host_port and not 1 <= host_port <= 65535:
            yield wrong(f"{where}.hostPort", host_port, _PORT_RANGE)
        protocol = port.get("protocol", "TCP")
        if protocol not in _PROTOCOLS:
            yield not_supported(f"{where}.protocol", protocol, _PROTOCOLS)


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


def _field_ref(reference: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if not reference.get("apiVersion"):
        yield required(f"{path}.apiVersion")
    field = reference.get("fieldPath", "")
    if not field:
        yield required(f"{path}.fieldPath")
    elif field not in _FIELD_PATHS and not _is_map_entry(field):
        yield not_supported(f"{path}.fieldPath", field, _FIELD_PATHS)


def _is_map_entry(field: str) -> bool:
    start, _, key = field.partition("['")
    return start in ("metadata.labels", "metadata.annotations") and key.endswith("']")


def _resource_ref(reference: Mapping[str, Any], path: str) -> Iterator[Cause]:
    resource = reference.get("resource", "")
    if not resource:
        yield required(f"{path}.resource")
    elif resource not in _RESOURCES and "hugepages-" not in resource:
        yield not_supported(f"{path}.resource", resource, _RESOURCES)


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
    "fieldRef": _field_ref,
    "resourceFieldRef": _resource_ref,
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


def _probe(probe: Mapping[str, Any], path: str) -> Iterator[Cause]:
    handlers = [kind for kind in ("exec", "httpGet", "tcpSocket", "grpc") if kind in probe]
    if not handlers:
        yield required(path, "must specify a handler type")
    for kind in handlers[1:]:
        yield forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    if "exec" in handlers and not probe["exec"].get("command"):
        yield required(f"{path}.exec.command")
    for field in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ):
        if probe.get(field, 0) < 0:
            yield wrong(f"{path}.{field}", probe[field], "must be greater than or equal to 0")
