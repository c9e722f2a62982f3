"""Recorded watch streams of a real server, decoded as jobman decodes them, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from plugins.replay_recordings import recordings

from jobman.kube.objects import Event, Job, Pod

MODELS: dict[str, Any] = {"Job": Job, "Pod": Pod, "Event": Event}
KINDS = {"watch-jobs": "Job", "watch-pods": "Pod", "watch-pod": "Pod", "watch-events": "Event"}
BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass
class Moment:
    """What was known of a scenario `at_s` seconds after its first write."""

    at_s: float = 0.0
    now: datetime = BEGINNING
    job: Job | None = None
    job_gone: bool = False
    pods: dict[str, Pod] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)


def moments(scenario: str) -> Iterator[Moment]:
    """The scenario's state after each line of its watches; one Moment, changed in place."""
    lines = sorted(_lines(scenario), key=lambda line: line[0])
    began = min(_created(obj) for _, _, _, obj in lines)
    moment = Moment()
    for at_s, kind, change, obj in lines:
        moment.at_s, moment.now = at_s, began + timedelta(seconds=at_s)
        _take(moment, kind, change, msgspec.convert(obj, MODELS[kind]))
        yield moment


def _take(moment: Moment, kind: str, change: str, obj: Any) -> None:
    if kind == "Job":
        moment.job, moment.job_gone = obj, change == "DELETED"
        return
    known = moment.pods if kind == "Pod" else moment.events
    known[obj.metadata.name] = obj
    if change == "DELETED":
        del known[obj.metadata.name]


def _created(obj: Any) -> datetime:
    return datetime.fromisoformat(obj["metadata"]["creationTimestamp"])


def _lines(scenario: str) -> Iterator[tuple[float, str, str, Any]]:
    for stem, kind in KINDS.items():
        watch = recordings().get(f"{scenario}/{stem}")
        if watch is not None:
            for at_s, line in zip(watch.seconds, watch.lines or (), strict=True):
                yield at_s, kind, line["type"], line["object"]


def items(recording: str) -> list[Any]:
    """The items of a recorded LIST, as dicts."""
    return list(recordings()[recording].body["items"])
