"""What every Kubernetes object has: metadata."""

from __future__ import annotations

from datetime import datetime

import msgspec


class KubeStruct(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The base of all: frozen, camelCase in JSON."""


class OwnerReference(KubeStruct, frozen=True):
    """Who owns an object, and whether it controls it."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    controller: bool = False


class ObjectMeta(KubeStruct, frozen=True):
    """What every object has."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[OwnerReference] = []

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls the object."""
        for owner in self.owner_references:
            if owner.controller:
                return owner
        return None

    def is_owned_by(self, uid: str) -> bool:
        """Whether it belongs to that very object, not to another that had its name."""
        return any(owner.uid == uid for owner in self.owner_references)


class KubeObject(KubeStruct, frozen=True):
    """An object with metadata; the items of a List carry neither kind nor apiVersion."""

    metadata: ObjectMeta


class ListMeta(KubeStruct, frozen=True):
    """Where a List stands and how it goes on."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remaining_item_count: int | None = None
