"""Events about objects, in the two shapes that Kubernetes' parts write, and their end.

Nobody waits for an event: one that cannot be written is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from jobman.local.api.metadata import now
from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError
from jobman.values.duration import parse_rfc3339

Object = dict[str, Any]

KEPT_S = 3600.0
_REPEATS_KNOWN = 4096


class EventRecorder:
    """Writes events as kubelets and controllers do: a repeated one is counted."""

    def __init__(self, registry: Registry, component: str, host: str = "") -> None:
        self._registry = registry
        self._component = component
        self._host = host
        self._written: OrderedDict[tuple[str, ...], tuple[str, str]] = OrderedDict()

    def event(
        self, obj: Object, kind: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """Record that something happened to `obj`; `kind` is Normal or Warning."""
        key = (obj["metadata"]["uid"], field_path, kind, reason, message)
        with contextlib.suppress(ApiError):
            if not self._counted(key):
                self._write(key, obj)

    def _counted(self, key: tuple[str, ...]) -> bool:
        place = self._written.get(key)
        if place is None or self._registry.find("events", *place) is None:
            return False

        def count(event: Object) -> None:
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = now()

        self._written.move_to_end(key)
        self._registry.modify("events", *place, count)
        return True

    def _write(self, key: tuple[str, ...], obj: Object) -> None:
        _, field_path, kind, reason, message = key
        source = {"component": self._component} | ({"host": self._host} if self._host else {})
        event = {
            **_head(obj, field_path),
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
        made = self._registry.create("events", _namespace(obj), event)
        self._written[key] = (made["metadata"]["namespace"], made["metadata"]["name"])
        if len(self._written) > _REPEATS_KNOWN:
            self._written.popitem(last=False)


class SchedulerRecorder:
    """Writes events as the scheduler does: no counts, an eventTime to the microsecond."""

    def __init__(self, registry: Registry, instance: str) -> None:
        self._registry = registry
        self._instance = instance

    def event(self, pod: Object, kind: str, reason: str, action: str, message: str) -> None:
        """Record what was done with a pod."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        event = {
            **_head(pod, ""),
            "reason": reason,
            "message": message,
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "type": kind,
            "eventTime": moment,
            "action": action,
            "reportingComponent": "default-scheduler",
            "reportingInstance": self._instance,
        }
        with contextlib.suppress(ApiError):
            self._registry.create("events", _namespace(pod), event)


class EventExpiry:
    """Takes events away an hour after they happened last."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def run(self) -> None:
        """Sleep until the oldest is due, until cancelled."""
        while True:
            await asyncio.sleep(max(self._expire(datetime.now(UTC)), 60.0))

    def _expire(self, moment: datetime) -> float:
        """Remove what is over; the seconds until the next one is."""
        next_s = KEPT_S
        for event in self._registry.list("events"):
            left = KEPT_S - (moment - _last(event)).total_seconds()
            if left <= 0:
                about = event["metadata"]
                self._registry.delete("events", about["namespace"], about["name"])
            else:
                next_s = min(next_s, left)
        return next_s


def _last(event: Object) -> datetime:
    text = event.get("lastTimestamp") or event.get("eventTime")
    return parse_rfc3339(text or event["metadata"]["creationTimestamp"])


def _head(obj: Object, field_path: str) -> Object:
    about = obj["metadata"]
    involved = {
        "kind": obj["kind"],
        "namespace": about.get("namespace", ""),
        "name": about["name"],
        "uid": about["uid"],
        "apiVersion": obj["apiVersion"],
        "resourceVersion": about.get("resourceVersion", ""),
    }
    if field_path:
        involved["fieldPath"] = field_path
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": f"{about['name']}.{time.time_ns():x}"},
        "involvedObject": {key: value for key, value in involved.items() if value},
    }


def _namespace(obj: Object) -> str:
    """Events about what has no namespace are in the default one."""
    return str(obj["metadata"].get("namespace") or "default")
