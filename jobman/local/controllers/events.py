"""Events about objects, in the two shapes that Kubernetes' parts write.

Nobody waits for an event: one that cannot be written is dropped, and floods are dammed.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from jobman.local.api.metadata import new_uid
from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError, internal, not_found
from jobman.local.controllers.clock import Clock, SystemClock
from jobman.local.moments import micro_stamp, now, stamp
from jobman.local.store import StorageError
from jobman.local.stored import Key

Object = dict[str, Any]

# As in Kubernetes: more than so many events that differ in their text alone become one,
_ALIKE_MOST = 10
_ALIKE_WITHIN_S = 600.0
# and an object that has had so many gets another one only every five minutes.
_BURST = 25
_REFILL_S = 300.0
_SERIES_WITHIN_S = 360.0
# A kubelet's eventRecordQPS and eventBurst: who has more to tell in a rush leaves out what is
# normal, as clients of a Kubernetes server that are held back do.
_NORMAL_EVERY_S, _NORMAL_BURST = 1 / 50, 100
_KNOWN_MOST = 4096

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Recent(Generic[K, V]):
    """What is known of the keys used last."""

    def __init__(self) -> None:
        self._known: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """What is known, if it still is."""
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def put(self, key: K, value: V) -> None:
        """Know it; the key that was used longest ago may be forgotten."""
        self._known[key] = value
        self._known.move_to_end(key)
        if len(self._known) > _KNOWN_MOST:
            self._known.popitem(last=False)


@dataclass
class _Alike:
    """The texts of events that are otherwise the same, since `last`."""

    texts: set[str]
    last: datetime


@dataclass
class _Allowance:
    """How many more events there may be: `most` at once, and one more each `refill_s`."""

    most: float
    refill_s: float
    left: float
    at: datetime

    def take(self, moment: datetime) -> bool:
        """Whether there may be one now."""
        refilled = (moment - self.at).total_seconds() / self.refill_s
        self.left, self.at = min(self.most, self.left + refilled), moment
        if self.left < 1:
            return False
        self.left -= 1
        return True


def _normal(clock: Clock) -> _Allowance:
    return _Allowance(_NORMAL_BURST, _NORMAL_EVERY_S, _NORMAL_BURST, clock.now())


class EventRecorder:
    """Writes events as kubelets and controllers do: a repeated one is counted."""

    def __init__(
        self,
        registry: Registry,
        component: str,
        host: str = "",
        *,
        clock: Clock | None = None,
    ) -> None:
        self._registry = registry
        self._component = component
        self._host = host
        self._clock: Clock = clock or SystemClock()
        self._written: _Recent[tuple[str, ...], tuple[str, str]] = _Recent()
        self._alike: _Recent[tuple[str, ...], _Alike] = _Recent()
        self._allowances: _Recent[str, _Allowance] = _Recent()
        self._normal = _normal(self._clock)

    def event(
        self, obj: Object, kind: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """Record that something happened to `obj`; `kind` is Normal or Warning."""
        uid = obj["metadata"]["uid"]
        if not self._is_allowed(uid, kind):
            return
        alike = (uid, field_path, kind, reason)
        if self._is_flood(alike, message):
            key: tuple[str, ...] = alike
            message = f"(combined from similar events): {message}"
        else:
            key = (*alike, message)
        with contextlib.suppress(ApiError):
            if not self._counted(key, message):
                place = self._write(obj, kind, reason, message, field_path)
                self._written.put(key, place)

    def _is_allowed(self, uid: str, kind: str) -> bool:
        moment = self._clock.now()
        if kind == "Normal" and not self._normal.take(moment):
            return False
        known = self._allowances.get(uid)
        if known is None:
            known = _Allowance(_BURST, _REFILL_S, _BURST, moment)
            self._allowances.put(uid, known)
        return known.take(moment)

    def _is_flood(self, alike: tuple[str, ...], message: str) -> bool:
        """Whether there were too many events of late that differ in nothing but the text."""
        moment = self._clock.now()
        known = self._alike.get(alike)
        if known is None or (moment - known.last).total_seconds() > _ALIKE_WITHIN_S:
            known = _Alike(set(), moment)
        known.last = moment
        if len(known.texts) < _ALIKE_MOST:
            known.texts.add(message)
        self._alike.put(alike, known)
        return message not in known.texts

    def _counted(self, key: tuple[str, ...], message: str) -> bool:
        """Count the event again, if it is there."""
        place = self._written.get(key)
        if place is None or self._registry.find("events", *place) is None:
            return False

        def count(event: Object) -> None:
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = stamp(self._clock.now())
            event["message"] = message

        self._registry.modify("events", *place, count)
        return True

    def _write(
        self, obj: Object, kind: str, reason: str, message: str, field_path: str
    ) -> tuple[str, str]:
        moment = stamp(self._clock.now())
        source = {"component": self._component} | ({"host": self._host} if self._host else {})
        event = {
            **_head(obj, field_path),
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
        return _create(self._registry, obj, event)


class SchedulerRecorder:
    """Writes events as the scheduler does: an eventTime to the microsecond, and series."""

    def __init__(self, registry: Registry, instance: str, *, clock: Clock | None = None) -> None:
        self._registry = registry
        self._instance = instance
        self._clock: Clock = clock or SystemClock()
        self._written: _Recent[tuple[str, ...], tuple[datetime, str, str]] = _Recent()
        self._normal = _normal(self._clock)

    def event(self, pod: Object, kind: str, reason: str, action: str, message: str) -> None:
        """Record what was done with a pod."""
        if kind == "Normal" and not self._normal.take(self._clock.now()):
            return
        key = (pod["metadata"]["uid"], kind, reason, message)
        with contextlib.suppress(ApiError):
            if not self._continued(key):
                place = self._write(pod, kind, reason, action, message)
                self._written.put(key, (self._clock.now(), *place))

    def _continued(self, key: tuple[str, ...]) -> bool:
        """Count the event in its series, if it is there."""
        known, moment = self._written.get(key), self._clock.now()
        if known is None or (moment - known[0]).total_seconds() > _SERIES_WITHIN_S:
            return False
        place = known[1:]
        if self._registry.find("events", *place) is None:
            return False

        def count(event: Object) -> None:
            seen = event.get("series", {}).get("count", 1)
            event["series"] = {"count": seen + 1, "lastObservedTime": micro_stamp(moment)}

        self._registry.modify("events", *place, count)
        self._written.put(key, (moment, *place))
        return True

    def _write(
        self, pod: Object, kind: str, reason: str, action: str, message: str
    ) -> tuple[str, str]:
        event = {
            **_head(pod, ""),
            "reason": reason,
            "message": message,
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "type": kind,
            "eventTime": micro_stamp(self._clock.now()),
            "action": action,
            "reportingComponent": "default-scheduler",
            "reportingInstance": self._instance,
        }
        return _create(self._registry, pod, event)


def _head(obj: Object, field_path: str) -> Object:
    """What every event begins with. Its name ends with a time, never the same one twice."""
    about = obj["metadata"]
    involved = {
        "kind": obj["kind"],
        "namespace": about.get("namespace", ""),
        "name": about["name"],
        "uid": about["uid"],
        "apiVersion": obj["apiVersion"],
        "resourceVersion": about.get("resourceVersion", ""),
        "fieldPath": field_path,
    }
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": f"{about['name']}.{_unique_ns():x}"},
        "involvedObject": {key: value for key, value in involved.items() if value},
    }


_last_ns = 0


def _unique_ns() -> int:
    global _last_ns  # noqa: PLW0603 - the one counter of this process
    _last_ns = max(time.time_ns(), _last_ns + 1)
    return _last_ns


def _create(registry: Registry, obj: Object, event: Object) -> tuple[str, str]:
    """Keep an event; its namespace and name.

    It is made here and known to be right, and there are many: it goes straight to the store.
    """
    # Events about what has no namespace are in the default one.
    namespace = obj["metadata"].get("namespace") or "default"
    name = event["metadata"]["name"]
    home = registry.store.get(Key("namespaces", "", namespace))
    if home is None or home.deleting:
        raise not_found("namespaces", "", namespace)
    event["metadata"] = {
        "name": name,
        "namespace": namespace,
        "uid": new_uid(),
        "resourceVersion": "",
        "creationTimestamp": now(),
    }
    try:
        registry.store.create(Key("events", namespace, name), event)
    except StorageError as error:
        raise internal(str(error)) from error
    return namespace, name
