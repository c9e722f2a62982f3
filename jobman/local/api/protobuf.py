r"""Objects that kubectl sends as protocol buffers: reviews and what `kubectl create KIND` makes.

A body is `k8s\0` and a runtime.Unknown {1: {1: apiVersion, 2: kind}, 2: the object}. Only the
fields that such clients fill in are known here; others of the same kinds are refused, so that
nothing is dropped silently.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class ProtobufError(ValueError):
    """The bytes are no such message, or say something not known here."""


@dataclass(frozen=True)
class Field:
    """A field of a message: `form` is text, number, bool, quantity, bytes, a message or a map."""

    name: str
    form: Any = "text"
    many: bool = False


Message = Mapping[int, Field]


@dataclass(frozen=True)
class MapOf:
    """A map from text to values of a form."""

    form: Any


_TEXTS = MapOf("text")
_OWNER: Message = {
    1: Field("kind"),
    3: Field("name"),
    4: Field("uid"),
    5: Field("apiVersion"),
    6: Field("controller", "bool"),
    7: Field("blockOwnerDeletion", "bool"),
}
_METADATA: Message = {
    1: Field("name"),
    2: Field("generateName"),
    3: Field("namespace"),
    4: Field("selfLink"),
    5: Field("uid"),
    6: Field("resourceVersion"),
    7: Field("generation", "number"),
    8: Field("creationTimestamp", "ignored"),
    11: Field("labels", _TEXTS),
    12: Field("annotations", _TEXTS),
    13: Field("ownerReferences", _OWNER, many=True),
    14: Field("finalizers", many=True),
}
_QUANTITIES = MapOf("quantity")
_ENV: Message = {1: Field("name"), 2: Field("value")}
_RESOURCES: Message = {1: Field("limits", _QUANTITIES), 2: Field("requests", _QUANTITIES)}
_CONTAINER: Message = {
    1: Field("name"),
    2: Field("image"),
    3: Field("command", many=True),
    4: Field("args", many=True),
    5: Field("workingDir"),
    7: Field("env", _ENV, many=True),
    8: Field("resources", _RESOURCES),
    13: Field("terminationMessagePath"),
    14: Field("imagePullPolicy"),
    16: Field("stdin", "bool"),
    17: Field("stdinOnce", "bool"),
    18: Field("tty", "bool"),
    20: Field("terminationMessagePolicy"),
}
_POD_SPEC: Message = {
    2: Field("containers", _CONTAINER, many=True),
    3: Field("restartPolicy"),
    4: Field("terminationGracePeriodSeconds", "number"),
    5: Field("activeDeadlineSeconds", "number"),
    6: Field("dnsPolicy"),
    7: Field("nodeSelector", _TEXTS),
    8: Field("serviceAccountName"),
    9: Field("serviceAccount"),
    10: Field("nodeName"),
    11: Field("hostNetwork", "bool"),
    12: Field("hostPID", "bool"),
    13: Field("hostIPC", "bool"),
    14: Field("securityContext", {}),
    16: Field("hostname"),
    17: Field("subdomain"),
    19: Field("schedulerName"),
    24: Field("priorityClassName"),
    25: Field("priority", "number"),
}
_TEMPLATE: Message = {1: Field("metadata", _METADATA), 2: Field("spec", _POD_SPEC)}
_JOB_SPEC: Message = {
    1: Field("parallelism", "number"),
    2: Field("completions", "number"),
    3: Field("activeDeadlineSeconds", "number"),
    5: Field("manualSelector", "bool"),
    6: Field("template", _TEMPLATE),
    7: Field("backoffLimit", "number"),
    8: Field("ttlSecondsAfterFinished", "number"),
    9: Field("completionMode"),
    10: Field("suspend", "bool"),
}
_RESOURCE_ATTRIBUTES: Message = {
    1: Field("namespace"),
    2: Field("verb"),
    3: Field("group"),
    4: Field("version"),
    5: Field("resource"),
    6: Field("subresource"),
    7: Field("name"),
}
_ACCESS: Message = {
    1: Field("resourceAttributes", _RESOURCE_ATTRIBUTES),
    2: Field("nonResourceAttributes", {1: Field("path"), 2: Field("verb")}),
}
_RULE: Message = {
    1: Field("verbs", many=True),
    2: Field("apiGroups", many=True),
    3: Field("resources", many=True),
    4: Field("resourceNames", many=True),
    5: Field("nonResourceURLs", many=True),
}
_REQUIREMENT: Message = {1: Field("key"), 2: Field("operator"), 3: Field("values", many=True)}
_LABEL_SELECTOR: Message = {
    1: Field("matchLabels", _TEXTS),
    2: Field("matchExpressions", _REQUIREMENT, many=True),
}
_AGGREGATION: Message = {1: Field("clusterRoleSelectors", _LABEL_SELECTOR, many=True)}
_SUBJECT: Message = {
    1: Field("kind"),
    2: Field("apiGroup"),
    3: Field("name"),
    4: Field("namespace"),
}
_ROLE_REF: Message = {1: Field("apiGroup"), 2: Field("kind"), 3: Field("name")}


def _kind(spec: Message) -> Message:
    return {1: Field("metadata", _METADATA), 2: Field("spec", spec), 3: Field("status", "ignored")}


_DELETE_OPTIONS: Message = {
    1: Field("gracePeriodSeconds", "number"),
    2: Field("preconditions", {1: Field("uid"), 2: Field("resourceVersion")}),
    3: Field("orphanDependents", "bool"),
    4: Field("propagationPolicy"),
    5: Field("dryRun", many=True),
}
_BINDING: Message = {
    1: Field("metadata", _METADATA),
    2: Field("subjects", _SUBJECT, many=True),
    3: Field("roleRef", _ROLE_REF),
}
_KINDS: dict[str, Message] = {
    "SelfSubjectAccessReview": _kind(_ACCESS),
    "SelfSubjectRulesReview": _kind({1: Field("namespace")}),
    "SelfSubjectReview": {1: Field("metadata", _METADATA), 2: Field("status", "ignored")},
    "ConfigMap": {
        1: Field("metadata", _METADATA),
        2: Field("data", _TEXTS),
        3: Field("binaryData", MapOf("bytes")),
        4: Field("immutable", "bool"),
    },
    "Secret": {
        1: Field("metadata", _METADATA),
        2: Field("data", MapOf("bytes")),
        3: Field("type"),
        4: Field("stringData", _TEXTS),
        5: Field("immutable", "bool"),
    },
    "Namespace": _kind({1: Field("finalizers", many=True)}),
    "ResourceQuota": _kind({1: Field("hard", _QUANTITIES), 2: Field("scopes", many=True)}),
    "Job": _kind(_JOB_SPEC),
    "Eviction": {1: Field("metadata", _METADATA), 2: Field("deleteOptions", _DELETE_OPTIONS)},
    "DeleteOptions": _DELETE_OPTIONS,
    "ServiceAccount": {1: Field("metadata", _METADATA)},
    "PriorityClass": {
        1: Field("metadata", _METADATA),
        2: Field("value", "number"),
        3: Field("globalDefault", "bool"),
        4: Field("description"),
        5: Field("preemptionPolicy"),
    },
    "Role": {1: Field("metadata", _METADATA), 2: Field("rules", _RULE, many=True)},
    "ClusterRole": {
        1: Field("metadata", _METADATA),
        2: Field("rules", _RULE, many=True),
        3: Field("aggregationRule", _AGGREGATION),
    },
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
}


def decode(body: bytes) -> dict[str, Any]:
    """The object that a body holds. Raises ProtobufError."""
    if not body.startswith(_MAGIC):
        raise ProtobufError("the body does not begin as Kubernetes' protocol buffers do")
    unknown = _read(
        body[len(_MAGIC) :],
        {
            1: Field("typeMeta", {1: Field("apiVersion"), 2: Field("kind")}),
            2: Field("raw", "raw"),
            3: Field("contentEncoding"),
            4: Field("contentType"),
        },
    )
    about = unknown.get("typeMeta", {})
    message = _KINDS.get(about.get("kind", ""))
    if message is None:
        raise ProtobufError(f"a {about.get('kind', '')} is not taken as protocol buffers")
    content = _read(unknown.get("raw", b""), message)
    return {"kind": about["kind"], "apiVersion": about.get("apiVersion", ""), **content}


def _read(data: bytes, message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        field = message.get(number)
        if field is None:
            raise ProtobufError(f"field {number} is not known")
        if field.form == "ignored":
            continue
        if isinstance(field.form, MapOf):
            key, entry = _entry(_as_bytes(value), field.form)
            found.setdefault(field.name, {})[key] = entry
        elif field.many:
            found.setdefault(field.name, []).append(_value(value, field.form))
        else:
            found[field.name] = _value(value, field.form)
    return {name: value for name, value in found.items() if value != ""}


def _entry(data: bytes, form: MapOf) -> tuple[str, Any]:
    key, value = "", _value(b"", form.form)
    for number, content in _fields(data):
        if number == 1:
            key = _value(content, "text")
        elif number == 2:
            value = _value(content, form.form)
    return key, value


def _value(value: int | bytes, form: Any) -> Any:
    if form == "number" or form == "bool":
        if not isinstance(value, int):
            raise ProtobufError("a number was expected")
        if form == "bool":
            return bool(value)
        return value - (1 << 64) if value >= 1 << 63 else value
    data = _as_bytes(value)
    if form == "raw":
        return data
    if form == "bytes":
        return base64.b64encode(data).decode()
    if form == "quantity":
        return _read(data, {1: Field("string")}).get("string", "0")
    if form == "text":
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ProtobufError("a text is not UTF-8") from None
    return _read(data, form)


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtobufError("bytes were expected")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: each one's number and its content."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ProtobufError(f"wire type {kind} is not known")
        if place + size > len(data):
            raise ProtobufError("the message is cut off")
        yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 64:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, place
        shift += 7
    raise ProtobufError("a number is cut off")
