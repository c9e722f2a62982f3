"""What was there when a recorded request came, as far as the recordings tell it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plugins import replay_node
from plugins.api_server import ApiServer
from plugins.replay_recordings import (
    KINDS,
    Object,
    Recording,
    is_ending,
    is_whole,
    items,
    key_of,
    recordings,
    version,
    versions,
)

from jobman.local.api.quota_ledger import Ledger
from jobman.local.controllers import basics
from jobman.local.mirror import CHANGES_KEPT
from jobman.local.store import Store
from jobman.local.stored import Key

_FULL_QUOTA = (
    "quota/quota-status-full",
    "quota/create-job-gpu-1",
    "quota/gpu-over-quota/create-job-201",
    "quota/create-third-job",
)
# What was there, where the request does not tell: the answers of these recordings.
GIVEN: Mapping[str, tuple[str, ...]] = {
    "auth": ("auth/create-role", "auth/create-rolebinding"),
    "auth/create-role": (),
    "auth/create-rolebinding": ("auth/create-role",),
    "quota/403-create-job-over-count-quota": _FULL_QUOTA,
    "quota/403-create-job-over-count-quota-dryRun": _FULL_QUOTA,
    "quota/403-create-pod-gpu-over-quota": ("quota/quota-status-full",),
    "quota/201-create-pod-within-quota-dryRun": ("quota/quota-status-full",),
    "quota/compute/403-pod-over-two-limits": ("quota/compute/quota-status",),
    "quota/compute/403-pod-without-requests": ("quota/compute/quota-status",),
    "quota/limitrange/403-pod-over-max": ("quota/limitrange/create",),
    "quota/limitrange/403-pod-under-min": ("quota/limitrange/create",),
    "quota/limitrange/pod-gets-defaults": ("quota/limitrange/create",),
    "priority/preemption/create-high": ("priority/create-priorityclass-rec-high",),
    "errors/200-patch-status-through-main-resource-ignored": ("errors/200-put-current",),
    "writes/finalizer/patch-remove": ("writes/finalizer/get-terminating",),
    "writes/apply-create-201": (),
    "writes/apply-conflict-409": ("writes/apply-create-201",),
    "writes/merge-patch-empty": ("writes/json-patch",),
    "writes/deletecollection-jobs-nothing-matches": (),
    "jobs/indexed-elastic/patch-completions-only": ("jobs/indexed-elastic/create",),
    "misc/namespace-delete/create-job-in-terminating-namespace-403": (
        "misc/namespace-delete/delete",
    ),
}
# The pods of which only the metadata was recorded were like this, as the selectors tell.
_FINISHED: Object = {
    "spec": {
        "nodeName": "node1",
        "restartPolicy": "Never",
        "schedulerName": "default-scheduler",
        "serviceAccountName": "default",
    },
    "status": {"phase": "Succeeded"},
}
_LATE = 10**9
# Where a refusal tells the resourceVersion that the server was at, and its oldest change.
_CURRENT = re.compile(r"current: (\d+)$")
_RECORD = re.compile(r'(?:ResourceVersion in record \(|\\"resourceVersion\\":\\")(\d+)')
_OLDEST = re.compile(r"too old resource version: \d+ \((\d+)\)$")


def arrange(server: ApiServer, recording: Recording) -> None:
    """A new store with what the recordings show to have been there."""
    server.store.close()
    server.registry.store = server.store = store = Store(Path(":memory:"))
    server.registry.quota_ledger = Ledger(store)
    basics.ensure(server.registry)
    if _is_expired(recording):
        _forget(store, recording)
    there = {key_of(KINDS[kind_of(obj)], obj): obj for obj in _state(recording)}
    for key, obj in _surroundings(recording):
        if key not in there and store.get(key) is None:
            store.create(key, obj)
    for key, obj in sorted(there.items(), key=lambda pair: version(pair[1])):
        if store.get(key) is not None:
            store.delete(key)
        store._rv = max(store.rv, version(obj) - 1)
        store.create(key, copy.deepcopy(obj))
    store._rv = max(store.rv, _moment(recording))


def feed(store: Store, recording: Recording) -> None:
    """Let happen what a watch tells."""
    for kind, obj in _told(recording):
        if kind == "ADDED" and _is_initial(recording, obj):
            continue
        key = key_of(KINDS[kind_of(obj)], obj)
        store._rv = max(store.rv, version(obj) - 1)
        if kind == "DELETED":
            store.delete(key, copy.deepcopy(obj))
        elif store.get(key) is not None:
            store.update(key, copy.deepcopy(obj))
        else:
            store.create(key, copy.deepcopy(obj))


def kind_of(obj: Object) -> tuple[str, str]:
    """apiVersion and kind."""
    return str(obj.get("apiVersion")), str(obj.get("kind"))


def _is_expired(recording: Recording) -> bool:
    lines = recording.lines or ()
    return recording.response["status"] == 410 or any(line["type"] == "ERROR" for line in lines)


def _forget(store: Store, recording: Recording) -> None:
    """More changes than are kept."""
    assert recording.resource is not None
    key = Key(recording.resource.name, "busy", "busy")
    said = " ".join(line["object"].get("message", "") for line in recording.lines or ())
    oldest = _OLDEST.search(said)
    store._rv = (int(oldest[1]) if oldest else 10_000) - 1
    obj: Object = {"metadata": {"name": "busy", "namespace": "busy"}}
    store.create(key, obj)
    for count in range(CHANGES_KEPT - 1):
        store.update(key, {**obj, "count": count})
    store.delete(key)


def _moment(recording: Recording) -> int:
    """The resourceVersion that the server was at."""
    if recording.lines is not None:
        asked = recording.asked.get("resourceVersion", "")
        if "sendInitialEvents" in recording.asked:
            return max(version(line["object"]) for line in recording.lines)
        return int(asked) if asked.isdigit() and int(asked) < 10**6 else 0
    body = recording.body
    if not isinstance(body, dict):
        return 0
    if current := _CURRENT.search(body.get("message", "")):
        return int(current[1])
    found = version(body)
    is_list = recording.named is not None and recording.named.name is None
    reads = recording.method == "GET" or (recording.method == "DELETE" and is_list)
    return found if reads else found - 1


def _surroundings(recording: Recording) -> Iterator[tuple[Key, Object]]:
    """The namespace with its service account."""
    found = recording.named
    if found is None or not found.namespace or found.namespace.startswith("no-such"):
        return
    name = found.namespace
    about: Object = {"name": name, "uid": f"of-{name}"}
    namespace: Object = {"kind": "Namespace", "apiVersion": "v1", "metadata": about}
    yield Key("namespaces", "", name), {**namespace, "status": {"phase": "Active"}}
    about = {"name": "default", "namespace": name, "uid": f"of-{name}-default"}
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": about}
    yield Key("serviceaccounts", name, "default"), account


def _state(recording: Recording) -> Iterator[Object]:
    for each in GIVEN.get(recording.id, GIVEN.get(recording.group, ())):
        yield recordings()[each].body
    if recording.id in GIVEN:
        return
    if pods := [*replay_node.pods(recording)]:
        yield from pods
        return
    found, resource = recording.named, recording.resource
    if found is None or resource is None or not resource.stored:
        return
    if recording.lines is not None:
        yield from _before_watch(recording)
    elif recording.response["status"] == 404:
        return
    elif found.name is None and recording.method in ("GET", "DELETE"):
        yield from _listed(recording)
    elif recording.method == "POST" and recording.response["status"] == 409:
        name = recording.request["body"]["metadata"]["name"]
        yield from _known(Key(resource.name, found.namespace or "", name), _LATE)
    elif found.name is not None:
        yield from _object(recording, Key(resource.name, found.namespace or "", found.name))


def _known(key: Key, limit: int) -> list[Object]:
    found = versions().before(key, limit)
    return [found] if found else []


def _object(recording: Recording, key: Key) -> list[Object]:
    """The object of the URL as it was when the request came."""
    assert recording.named is not None
    body = recording.body if isinstance(recording.body, dict) else {}
    told = _RECORD.search(str(body.get("message", "")))
    rv, is_change = (
        int(told[1]) if told else version(body),
        recording.method in ("PATCH", "PUT", "DELETE"),
    )
    if not rv:
        found = versions().alive(key)
        return [found] if found else _of_its_end(recording, key)
    if not is_change or told or "dryRun" in recording.asked:
        return _known(key, rv + 1)
    before = _known(key, rv)
    sent = recording.request.get("body")
    if recording.method == "PUT" and version(sent):
        before = [_unlike(sent, version(sent))]
    if recording.method == "DELETE" and not before:
        return [_alive(body)]
    if not before or (recording.method == "DELETE" and is_ending(before[0])):
        return _known(key, rv + 1)
    if before and "status" in body and not recording.named.subresource:
        # what the controllers wrote in between
        before[0]["status"] = body["status"]
        if _without_version(before[0]) == _without_version(body):
            return [_at(before[0], rv)]
    return before


def _without_version(obj: Object) -> Object:
    left_out = ("resourceVersion", "managedFields")
    about = {name: value for name, value in obj["metadata"].items() if name not in left_out}
    return {**obj, "metadata": about}


def _of_its_end(recording: Recording, key: Key) -> list[Object]:
    """An object of which no answer tells but its deletion's."""
    ended = versions().ended.get(key)
    if ended:
        return [_alive(ended)]
    details = recording.body.get("details", {}) if recording.method == "DELETE" else {}
    if "uid" in details:
        assert recording.resource is not None
        about = {"namespace": key.namespace, "name": key.name, "uid": details["uid"]}
        kind, group_version = recording.resource.kind, recording.resource.group_version
        return [{"kind": kind, "apiVersion": group_version, "metadata": about}]
    return []


def _alive(obj: Object) -> Object:
    """An object before it was deleted, from its last version."""
    about = dict(obj["metadata"])
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        about.pop(name, None)
    added = ("foregroundDeletion", "orphan")
    about["finalizers"] = [name for name in about.pop("finalizers", ()) if name not in added]
    if "generation" in about:
        about["generation"] -= 1
    return _at({**obj, "metadata": about}, version(obj) - 1)


def _listed(recording: Recording) -> Iterator[Object]:
    """What a list shows, and what its selector or its end leaves out."""
    assert recording.named is not None
    assert recording.resource is not None
    body, namespace = recording.body, recording.named.namespace
    if recording.response["status"] >= 400:
        return
    shown = items(body) if "items" in body else _of_rows(body["rows"])
    is_part = {"labelSelector", "fieldSelector", "limit", "continue"} & recording.asked.keys()
    names = {obj["metadata"]["name"] for obj in shown}
    for obj in versions().at(recording.resource.name, namespace, version(body) or _LATE):
        if is_part or obj["metadata"]["name"] in names:
            yield obj
    for obj in shown:
        if version(obj):
            yield _whole(recording, obj)


def _of_rows(rows: list[Object]) -> list[Object]:
    """What the rows of a Table show; of some the name alone."""
    return [
        {"metadata": (row["object"] or {"metadata": {"name": row["cells"][0]}})["metadata"]}
        for row in rows
    ]


def _whole(recording: Recording, obj: Object) -> Object:
    """An object of an answer; what was left out there is as another answer shows it."""
    if kind_of(obj) in KINDS and is_whole(obj):
        return obj
    assert recording.named is not None
    assert recording.resource is not None
    about = {"namespace": recording.named.namespace or "", **obj["metadata"]}
    resource = recording.resource
    key = key_of(resource, {"metadata": about})
    bare = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": about}
    bare |= _FINISHED if resource.kind == "Pod" else {}
    found: Object = versions().before(key, version(obj) + 1) or bare
    return _at(found, version(obj))


def _told(recording: Recording) -> Iterator[tuple[str, Object]]:
    """The changes that a watch tells."""
    assert recording.resource is not None
    resource = recording.resource
    for line in recording.lines or ():
        obj: Any = {"apiVersion": resource.group_version, **(line.get("object") or {})}
        if line["type"] not in ("BOOKMARK", "ERROR") and kind_of(obj) in KINDS:
            yield line["type"], _whole(recording, obj)


def _is_initial(recording: Recording, obj: Object) -> bool:
    moment = _moment(recording)
    return not moment or version(obj) <= moment


def _before_watch(recording: Recording) -> Iterator[Object]:
    """What a watch begins with, and the objects whose change or end it tells first."""
    moment, seen = _moment(recording), set()
    for kind, obj in _told(recording):
        key = key_of(KINDS[kind_of(obj)], obj)
        if key in seen:
            continue
        seen.add(key)
        if kind == "ADDED" and _is_initial(recording, obj):
            yield obj
        elif kind != "ADDED":
            yield _unlike(obj, max(moment - 1, 1))


def _at(obj: Object, rv: int) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(rv)}}


def _unlike(obj: Object, rv: int) -> Object:
    """An earlier version of an object, so that what was recorded is a change."""
    about = {**obj["metadata"], "annotations": {"version": "earlier"}}
    return _at({**obj, "metadata": about}, rv)
