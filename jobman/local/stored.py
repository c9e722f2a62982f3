"""Objects as the store keeps them, and their changes."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any, Literal, NamedTuple

import msgspec

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
Place = tuple[str, str]


class Key(NamedTuple):
    """Which object: `namespace` is empty for what has none."""

    resource: str
    namespace: str
    name: str


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = "0"  # noqa: N815
    deletionTimestamp: str = ""  # noqa: N815
    labels: dict[str, str] = {}


class _Spec(msgspec.Struct):
    nodeName: str = ""  # noqa: N815


class _Status(msgspec.Struct):
    phase: str = ""


class _Envelope(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


_DECODER = msgspec.json.Decoder(_Envelope)


class Record(msgspec.Struct, frozen=True, gc=False):
    """An object as it is kept: compact JSON, with what is asked of it at every change.

    `number` is its own on the disk, for as long as it is there. `deleting`: its deletion has begun;
    `node` and `phase` are those of a pod.
    """

    key: Key
    number: int
    rv: int
    uid: str
    labels: Mapping[str, str]
    body: bytes
    deleting: bool
    node: str
    phase: str

    @classmethod
    def kept(cls, key: Key, number: int, rv: int, obj: Mapping[str, Any]) -> Record:
        """The record of an object."""
        about, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
        return cls(
            key,
            number,
            rv,
            about.get("uid", ""),
            dict(about.get("labels") or {}),
            msgspec.json.encode(obj),
            "deletionTimestamp" in about,
            intern(spec.get("nodeName") or ""),
            intern(status.get("phase") or ""),
        )

    @classmethod
    def of(cls, resource: str, number: int, body: bytes) -> Record:
        """The record of an object's JSON."""
        found = _DECODER.decode(body)
        about = found.metadata
        return cls(
            Key(resource, about.namespace, about.name),
            number,
            int(about.resourceVersion),
            about.uid,
            about.labels,
            body,
            bool(about.deletionTimestamp),
            intern(found.spec.nodeName),
            intern(found.status.phase),
        )

    def object(self) -> dict[str, Any]:
        """A fresh copy of the object."""
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change; `record` of a deletion is the last state under the deletion's own `rv`."""

    type: ChangeType
    rv: int
    record: Record
    previous: Record | None


Records = list[Record]
Changes = list[Change]
