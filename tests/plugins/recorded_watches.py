"""Recorded watch streams of a real server, decoded as jobman decodes them, in the order of time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from jobman.kube.objects import Event, Job, Pod

RECORDINGS = Path(__file__).parents[1] / "contract" / "recordings"
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
    lines = sorted(_lines(RECORDINGS / scenario), key=lambda line: line[0])
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


def _lines(scenario: Path) -> Iterator[tuple[float, str, str, Any]]:
    for stem, kind in KINDS.items():
        file = scenario / f"{stem}.json"
        specs: dict[str, Any] = {}
        for line in json.loads(file.read_text())["response"]["lines"] if file.exists() else ():
            if "json" not in line:
                continue
            obj = line["json"]["object"]
            if obj.get("spec") == "@same":
                obj["spec"] = specs[obj["metadata"]["uid"]]
            specs[obj["metadata"]["uid"]] = obj.get("spec")
            yield line["t"], kind, line["json"]["type"], obj


def items(recording: str) -> list[Any]:
    """The items of a recorded LIST, as dicts."""
    found = json.loads((RECORDINGS / f"{recording}.json").read_text())
    return list(found["response"]["body"]["items"])
