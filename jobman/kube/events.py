"""Events, in the two shapes that Kubernetes has of them."""

from __future__ import annotations

from datetime import datetime

from jobman.kube.meta import KubeObject, KubeStruct


class ObjectReference(KubeStruct, frozen=True):
    """What an event is about."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    field_path: str = ""


class EventSource(KubeStruct, frozen=True):
    """Who wrote an event; empty for the scheduler, which says it in reportingComponent."""

    component: str = ""
    host: str = ""


class EventSeries(KubeStruct, frozen=True):
    """How often an event of the newer shape was seen."""

    count: int | None = None
    last_observed_time: datetime | None = None


class Event(KubeObject, frozen=True):
    """An event, in either of its two shapes.

    The kubelet and the controllers set count, firstTimestamp and lastTimestamp; the scheduler
    sets eventTime alone.
    """

    type: str = ""
    reason: str = ""
    message: str = ""
    involved_object: ObjectReference = ObjectReference()
    source: EventSource = EventSource()
    reporting_component: str = ""
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None

    @property
    def first_seen(self) -> datetime | None:
        """When it happened first, whichever shape it has."""
        return self.first_timestamp or self.event_time or self.metadata.creation_timestamp

    @property
    def last_seen(self) -> datetime | None:
        """When it happened last, whichever shape it has."""
        newest = self.series.last_observed_time if self.series else None
        return newest or self.last_timestamp or self.event_time or self.metadata.creation_timestamp

    @property
    def times(self) -> int:
        """How often it happened."""
        return (self.series.count if self.series else None) or self.count or 1

    @property
    def reporter(self) -> str:
        """The component that wrote it."""
        return self.reporting_component or self.source.component
