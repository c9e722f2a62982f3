"""Objects as the store keeps them, and their changes."""

from __future__ import annotations

from collections.abc import Mapping
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
    labels: dict[str, str] = {}


class _Envelope(msgspec.Struct):
    metadata: _Metadata


_DECODER = msgspec.json.Decoder(_Envelope)


class Record(msgspec.Struct, frozen=True, gc=False):
    """An object as it is kept: compact JSON, with what selectors and watches ask for.

    `number` is its own on the disk, for as long as it is there.
    """

    key: Key
    number: int
    rv: int
    uid: str
    labels: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, resource: str, number: int, body: bytes) -> Record:
        """The record of an object's JSON."""
        metadata = _DECODER.decode(body).metadata
        key = Key(resource, metadata.namespace, metadata.name)
        return cls(key, number, int(metadata.resourceVersion), metadata.uid, metadata.labels, body)

    @property
    def deleting(self) -> bool:
        """Whether its deletion has begun; what the bytes do not hold is not decoded."""
        return (
            b'"deletionTimestamp"' in self.body and "deletionTimestamp" in self.object()["metadata"]
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
