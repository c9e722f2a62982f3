"""What a container may be told of its pod and of its resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobman.local.api import rules
from jobman.local.api.cause import Cause, not_supported, required, wrong

_OF_ANY_POD = ("metadata.name", "metadata.namespace", "metadata.uid")
_MAPS = ("metadata.annotations", "metadata.labels")
VARIABLE_FIELDS = (
    *_OF_ANY_POD,
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
FILE_FIELDS = (*_MAPS, *_OF_ANY_POD)
_FIELDS = {
    *VARIABLE_FIELDS,
    *FILE_FIELDS,
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
}
_NOT_A_FIELD = "error converting fieldPath: field label"
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_OF_CPU = ("1m", "1")
_OF_BYTES = ("1", *(f"1{unit}" for unit in "kMGTPE"), *(f"1{unit}i" for unit in "KMGTPE"))
_BYTES = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}


def field_ref(
    reference: Mapping[str, Any], path: str, allowed: Sequence[str] = VARIABLE_FIELDS
) -> Iterator[Cause]:
    """What is wrong with a reference to one of the fields `allowed`, or to a label by its key."""
    field = reference.get("fieldPath", "")
    name, subscript, key = field.removesuffix("']").partition("['")
    if not reference.get("apiVersion"):
        yield required(f"{path}.apiVersion")
    elif not field:
        yield required(f"{path}.fieldPath")
    elif name and subscript and field.endswith("']"):
        if name not in _MAPS:
            text = f"{_NOT_A_FIELD} does not support subscript: {field}"
            yield wrong(f"{path}.fieldPath", field, text)
            return
        asked = key.lower() if name == "metadata.annotations" else key
        yield from (wrong(path, key, text) for text in rules.qualified_name(asked))
    elif field not in _FIELDS:
        yield wrong(f"{path}.fieldPath", field, f"{_NOT_A_FIELD} not supported: {field}")
    elif field not in allowed:
        yield not_supported(f"{path}.fieldPath", field, allowed)


def resource_ref(reference: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with a reference to an amount that a container asked for."""
    resource = reference.get("resource", "")
    if not resource:
        yield required(f"{path}.resource")
    elif resource not in _RESOURCES and not resource.startswith(_HUGE_PAGES):
        yield not_supported(f"{path}.resource", resource, _RESOURCES)
    else:
        yield from _divisor(resource, reference.get("divisor", "0"), path)


def _divisor(resource: str, divisor: str, path: str) -> Iterator[Cause]:
    """The units that a resource may be told in; 0 is none in particular."""
    name = resource.partition(".")[2]
    allowed = _OF_CPU if name == "cpu" else _OF_BYTES
    if divisor == "0" or divisor in allowed:
        return
    listed = "1m and 1" if name == "cpu" else ", ".join(_OF_BYTES)
    what = "cpu" if name == "cpu" else _BYTES.get(name, "hugepages")
    text = f"only divisor's values {listed} are supported with the {what} resource"
    yield wrong(f"{path}.divisor", resource, text)
