"""The jobs of one namespace behind a scripted server: lists, watches, logs, deletes.

A test changes the objects; what jobman asks is answered from them, watches included.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from plugins.scripted_server import Asked, Reply, ScriptedServer

NAMESPACE = "team"
USER = "alice"
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
BATCH = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
MANAGED = {"app.kubernetes.io/managed-by": "jobman"}

Object = dict[str, Any]


def ago(seconds: float) -> str:
    """A timestamp that many seconds before NOW."""
    moment = NOW - timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if seconds % 1 else "%Y-%m-%dT%H:%M:%SZ")


def a_job(name: str, *, user: str | None = USER, age_s: float = 600, **more: Any) -> Object:
    """A Job as jobman makes it; `user` None: as anybody else makes it."""
    labels = MANAGED | {"jobman/user": user, "jobman/flavor": "small"} if user else {}
    marks = {"jobman/user": user, "jobman/submitted-at": ago(age_s + 0.25)} if user else {}
    meta = {"name": name, "labels": labels, "annotations": marks, "creationTimestamp": ago(age_s)}
    container = {"name": "main", "image": "busybox:1.36", "args": ["echo", "$$HOME"]}
    template = {"spec": {"containers": [container | more.pop("container", {})]}}
    spec = {"backoffLimit": 0, "template": template} | more.pop("spec", {})
    meta |= more.pop("meta", {})
    return {"metadata": meta, "spec": spec, "status": more.pop("status", {})}


def a_pod(job: str, name: str | None = None, *, age_s: float = 590, **status: Any) -> Object:
    """A pod of the job, on node n1, that has not started yet unless `status` says so."""
    labels = MANAGED | {"jobman/user": USER, "batch.kubernetes.io/job-name": job}
    owner = {"kind": "Job", "name": job, "uid": f"uid-{job}", "controller": True}
    meta = {"name": name or f"{job}-x", "labels": labels, "ownerReferences": [owner]}
    meta["creationTimestamp"] = ago(age_s)
    spec = {"restartPolicy": "Never", "nodeName": "n1", "containers": [{"name": "main"}]}
    return {"metadata": meta, "spec": spec, "status": status or {"phase": "Pending"}}


def creating() -> Object:
    """The status of a pod whose container is being made."""
    return _status("Pending", {"waiting": {"reason": "ContainerCreating"}})


def running(*, started: str = ago(500)) -> Object:
    """The status of a pod whose container runs."""
    return _status("Running", {"running": {"startedAt": started}})


def exited(code: int, reason: str | None = None, *, ran_s: int = 60) -> Object:
    """The status of a pod whose container has just ended; its phase still lags."""
    times = {"startedAt": ago(500), "finishedAt": ago(500 - ran_s)}
    reason = reason or ("Error" if code else "Completed")
    return _status("Running", {"terminated": {"exitCode": code, "reason": reason, **times}})


def stuck(reason: str, message: str = "") -> Object:
    """The status of a pod whose container waits."""
    return _status("Pending", {"waiting": {"reason": reason, "message": message}})


def _status(phase: str, state: Object) -> Object:
    return {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]}


class Collection:
    """Objects by name, with the changes that watches replay."""

    def __init__(self, world: JobWorld, path: str, kind: str) -> None:
        self.objects: dict[str, Object] = {}
        self.changes: list[tuple[int, str, Object]] = []
        self._world = world
        self._path = path
        self._kind = kind
        world.server.script("GET", path, self._collection)

    def put(self, obj: Object) -> Object:
        """Create or replace."""
        name = obj["metadata"]["name"]
        known = name in self.objects
        obj = copy.deepcopy(obj)
        prefix = "uid" if self._kind == "Job" else f"uid-{self._kind.lower()}"
        obj["metadata"] = {"uid": f"{prefix}-{name}", "namespace": NAMESPACE} | obj["metadata"]
        self.objects[name] = obj
        self._changed("MODIFIED" if known else "ADDED", obj)
        self._world.server.script("GET", f"{self._path}/{name}", self._one(name))
        self._world.server.script("DELETE", f"{self._path}/{name}", self._deletion(name))
        return obj

    def update(self, name: str, **parts: Any) -> None:
        """Replace parts of an object (`status=…`)."""
        self.put(self.objects[name] | parts)

    def remove(self, name: str) -> None:
        """Delete."""
        self._changed("DELETED", self.objects.pop(name))

    def _changed(self, change: str, obj: Object) -> None:
        with self._world.turned:
            self._world.version += 1
            obj["metadata"]["resourceVersion"] = str(self._world.version)
            self.changes.append((self._world.version, change, copy.deepcopy(obj)))
            self._world.turned.notify_all()

    def _one(self, name: str) -> Callable[[Asked], Reply]:
        def reply(asked: Asked) -> Reply:
            found = self.objects.get(name)
            kind = {"kind": self._kind, "apiVersion": "v1"}
            return Reply(200, kind | found) if found else _missing(f"{self._kind} {name}")

        return reply

    def _deletion(self, name: str) -> Callable[[Asked], Reply]:
        def reply(asked: Asked) -> Reply:
            if name not in self.objects:
                return _missing(f"{self._kind} {name}")
            self.remove(name)
            return Reply(200, {"kind": "Status", "status": "Success"})

        return reply

    def _collection(self, asked: Asked) -> Reply:
        if asked.query.get("watch") == "true":
            return Reply(chunks=self._watch(asked))
        items = [obj for obj in self.objects.values() if _selected(obj, asked.query)]
        meta = {"resourceVersion": str(self._world.version)}
        return Reply(200, {"kind": "List", "metadata": meta, "items": items})

    def _watch(self, asked: Asked) -> Iterator[bytes]:
        since = int(asked.query["resourceVersion"])
        while not self._world.closed:
            with self._world.turned:
                fresh = [change for change in self.changes if change[0] > since]
                if not fresh:
                    self._world.turned.wait(0.1)
            for version, change, obj in fresh:
                since = version
                if _selected(obj, asked.query):
                    yield json.dumps({"type": change, "object": obj}).encode() + b"\n"


class JobWorld:
    """`jobs`, `pods`, `events` and `leases` of the namespace; `who` is the user that asks."""

    def __init__(self, server: ScriptedServer, who: str = USER) -> None:
        self.server = server
        self.turned = threading.Condition()
        self.version = 10
        self.closed = False
        self.jobs = Collection(self, BATCH, "Job")
        self.pods = Collection(self, f"{CORE}/pods", "Pod")
        self.events = Collection(self, f"{CORE}/events", "Event")
        self.leases = Collection(self, LEASES, "Lease")
        review = {"kind": "SelfSubjectReview", "status": {"userInfo": {"username": who}}}
        server.script("POST", REVIEW, Reply(201, review))

    def log(self, pod: str, *replies: Reply | Callable[[Asked], Reply]) -> None:
        """Answer requests for the pod's log in turn."""
        self.server.script("GET", f"{CORE}/pods/{pod}/log", *replies)

    def asked_logs(self, pod: str) -> list[dict[str, str]]:
        """The queries of the requests for the pod's log."""
        return [asked.query for asked in self.server.asked("GET", f"{CORE}/pods/{pod}/log")]

    def refusal(self, job: str, message: str) -> None:
        """An event that says why the job has no pod."""
        about = {"kind": "Job", "namespace": NAMESPACE, "name": job, "uid": f"uid-{job}"}
        event = {"reason": "FailedCreate", "type": "Warning", "message": message}
        meta = {"name": f"{job}.1", "creationTimestamp": ago(10)}
        self.events.put({"metadata": meta, "involvedObject": about, **event})


def _missing(what: str) -> Reply:
    body = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
    return Reply(404, body | {"message": f"{what} not found"})


def _selected(obj: Object, query: dict[str, str]) -> bool:
    labels = obj["metadata"].get("labels") or {}
    for part in filter(None, query.get("labelSelector", "").split(",")):
        key, equals, value = part.partition("=")
        if (labels.get(key) != value) if equals else (key not in labels):
            return False
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = part.partition("=")
        found: Any = obj
        for step in path.rstrip("!").split("."):
            found = found.get(step) or {}
        if (found == value) is path.endswith("!"):
            return False
    return True


@pytest.fixture
def world(scripted_server: ScriptedServer) -> Iterator[JobWorld]:
    """An empty namespace."""
    found = JobWorld(scripted_server)
    yield found
    found.closed = True
