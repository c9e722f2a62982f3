"""Values at the edges of their types, in every field of every kind: taken or refused, no harm."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import Answer, ApiServer
from plugins.logged_errors import LoggedErrors

from jobman.local.api import types
from jobman.local.api.resources import RESOURCES, Resource
from jobman.local.controllers import Runs, all_controllers
from jobman.local.scheduler import Scheduler
from jobman.local.simulated import Simulator

Object = dict[str, Any]
Place = tuple[str | int, ...]

SEED = 1
WAYS = ["POST", "PUT", "merge-patch", "strategic-merge-patch", "apply"]
TABLE = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
KINDS = [resource for resource in RESOURCES if resource.stored]
NAMESPACE = "default"
EXAMPLES, KEPT = 25, 40

_INTEGERS = [0, -1, 2**31 - 1, 2**31, -(2**31), 2**53, 2**63 - 1, -(2**63), 2**63]
_TIMES = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:01Z",
    "0001-01-02T00:00:00+05:30",
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59.999999-11:59",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999999-14:00",
]
_QUANTITIES = ["0", "1n", "1e30", "1e999", "9.9E", "7.9Ei", "-1", str(2**63), "9" * 5000, "1e-30"]
_QUANTITIES += ["0." + "1" * 3000, "-9E", "1e9999"]
_TEXTS = ["", "a" * 70_000, "a\0b", "\ud800", "a\nb\n", "é漢🦆", "1" * 5000, "-", "..", "$(A)"]
_TEXTS += ["0001-01-01T00:00:00Z", "%s", "99999999999999999999", "1-" + "9" * 5000, "Complete"]
_MANY = 300
_VALUES: dict[str, list[Any]] = {
    "i": _INTEGERS,
    "l": _INTEGERS,
    "n": [*_INTEGERS, 1e308, -1e308],
    "t": _TIMES,
    "u": _TIMES,
    "q": _QUANTITIES,
    "s": _TEXTS,
    "x": [*_INTEGERS, *_TEXTS, "100%", "9" * 30 + "%"],
    "y": ["", "AAAA", "A" * 70_000],
    "b": [True, False],
    "*": [{}, {"a": 1}],
}
# What an element needs to be looked at, where it would else be refused for what it lacks.
_LEAST: dict[str, Object] = {
    "Container": {"name": "c", "image": "x"},
    "EnvVar": {"name": "A"},
    "Volume": {"name": "v"},
    "NodeSelectorRequirement": {"key": "a", "operator": "Gt", "values": ["1"]},
    "Toleration": {"key": "a", "operator": "Exists", "effect": "NoExecute"},
    "PodCondition": {"type": "Ready", "status": "True"},
    "JobCondition": {"type": "Complete", "status": "True"},
    "NodeCondition": {"type": "Ready", "status": "True"},
    "Taint": {"key": "a", "effect": "NoExecute"},
    "OwnerReference": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"},
    "LimitRangeItem": {"type": "Container"},
    "ResourceFieldSelector": {"resource": "limits.cpu"},
    "SuccessPolicyRule": {"succeededIndexes": "0"},
    "ContainerStatus": {"name": "main"},
}
_POD = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}
_SPECS: dict[str, Object] = {
    "Pod": {"spec": _POD},
    "Job": {
        "spec": {
            "completions": 1,
            "completionMode": "Indexed",
            "ttlSecondsAfterFinished": 9,
            "template": {"spec": _POD},
        }
    },
    "Event": {"involvedObject": {"kind": "Pod", "namespace": NAMESPACE, "name": "p"}},
    "ResourceQuota": {"spec": {"hard": {"count/leases.coordination.k8s.io": "1000"}}},
    "LimitRange": {"spec": {"limits": [{"type": "Container"}]}},
    "PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "Node": {"spec": {"unschedulable": True}},
    "PriorityClass": {"value": 3},
}


def base(resource: Resource, name: str) -> Object:
    """An object that is taken."""
    about = {"apiVersion": resource.group_version, "kind": resource.kind}
    if resource.kind.endswith("RoleBinding"):
        group = "rbac.authorization.k8s.io"
        about |= {"roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"}}
    return {**about, "metadata": {"name": name}, **copy.deepcopy(_SPECS.get(resource.kind, {}))}


def places(kind: types.Type, place: Place = (), within: tuple[str, ...] = ()) -> Iterator[Any]:
    """Every field that a value of the type may have, and its type."""
    if place:
        yield place, kind
    if kind.form == "struct" and kind.name not in within:
        for name, field in types.struct(kind.name).items():
            yield from places(field.type, (*place, name), (*within, kind.name))
    elif kind.element is not None:
        yield from places(kind.element, (*place, 0 if kind.form == "list" else "cpu"), within)


PLACES = {
    resource.kind: [
        (place, kind)
        for place, kind in places(types.Type("struct", name=resource.kind))
        if place[0] not in ("kind", "apiVersion") and place[-1] != "managedFields"
    ]
    for resource in KINDS
}


def least(kind: types.Type) -> Any:
    """A value of the type that says as little as it can."""
    if kind.form == "struct":
        return copy.deepcopy(_LEAST.get(kind.name, {}))
    plain = {"list": [], "map": {}, "s": "a", "b": True, "q": "1", "y": "AAAA"}
    return plain.get(kind.form, "2026-01-01T00:00:00Z" if kind.form in "tu" else 1)


def values(kind: types.Type) -> list[Any]:
    """The values at the edges of a type."""
    element = kind.element or types.ANYTHING
    if kind.form == "struct":
        return [{}]
    if kind.form == "list":
        return [[], [least(element) for _ in range(_MANY)]]
    if kind.form == "map":
        odd = ("", "a\0", "é", "a\n", "../..", "a" * 70_000)
        return [{}, {f"k{n}": least(element) for n in range(_MANY)}, dict.fromkeys(odd, "1")]
    return _VALUES[kind.form]


def put(obj: Object, kind: types.Type, place: Place, value: Any) -> Object:
    """The object with the value there, and what has to be around it."""
    at: Any = obj
    for part, then in zip(place, (*place[1:], None), strict=True):
        inner = kind.element or types.struct(kind.name)[str(part)].type
        missing = not at if part == 0 else part not in at
        if missing and part == 0:
            at.append(least(inner))
        elif missing:
            at[part] = least(inner)
        if then is None:
            at[part] = value
        at, kind = at[part], inner
    return obj


def extremes(resource: Resource, seed: int) -> Iterator[tuple[Place, Any, str]]:
    """Fields of a kind, each with a value and how it is written."""
    chance, found = random.Random(seed), PLACES[resource.kind]
    told = [each for each in found if each[0][0] == "status"]
    for number in range(EXAMPLES):
        place, kind = chance.choice(told if told and number % 2 else found)
        yield place, chance.choice(values(kind)), chance.choice(WAYS)


class Cluster:
    """A server with all that works on its objects."""

    def __init__(self, server: ApiServer, logged: list[str]) -> None:
        self.server, self.logged = server, logged
        self.made: list[tuple[Resource, str]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Start the controllers, as a daemon that starts does."""

        def start() -> None:
            registry = self.server.registry
            simulator = Simulator(registry, "here", "1")
            parts: list[Runs] = [*all_controllers(registry), simulator, Scheduler(registry)]
            self._tasks = [asyncio.ensure_future(part.run()) for part in parts]

        self.server.on_loop(start)

    def end(self) -> None:
        """Stop them; none may have ended before."""
        ended = self.server.on_loop(lambda: [task for task in self._tasks if task.done()])
        assert not ended, ended
        self.server.on_loop(lambda: [task.cancel() for task in self._tasks])

    def check(self, answer: Answer, about: object) -> None:
        """The answer is no 500, and nothing went wrong behind it."""
        assert answer.code < 500, (about, answer.body)
        logged, self.logged[:] = list(self.logged), []
        assert not logged, (about, logged)


@contextmanager
def running(directory: Path) -> Iterator[Cluster]:
    """A cluster with controllers, whose errors are kept."""
    kept = LoggedErrors()
    logging.getLogger().addHandler(kept)
    try:
        with ApiServer(directory) as server:
            cluster = Cluster(server, kept.texts)
            cluster.begin()
            yield cluster
    finally:
        logging.getLogger().removeHandler(kept)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("extremes")) as found:
        yield found


def collection(resource: Resource) -> str:
    """Where objects of the kind are."""
    start = f"/apis/{resource.group}/v1" if resource.group else "/api/v1"
    return f"{start}{f'/namespaces/{NAMESPACE}' if resource.namespaced else ''}/{resource.plural}"


_NUMBERS = itertools.count()
_MERGE = "application/merge-patch+json"


def write(cluster: Cluster, resource: Resource, place: Place, value: Any, way: str) -> Answer:
    """Write an object of the kind with the value in that field."""
    ask, path, name = cluster.server.ask, collection(resource), f"x{next(_NUMBERS)}"
    root, plain = types.Type("struct", name=resource.kind), base(resource, name)
    obj = put(copy.deepcopy(plain), root, place, value)
    if way == "POST" and place[0] != "status":
        return ask("POST", path, body=obj)
    assert ask("POST", path, body=plain).code == 201
    told = place[0] == "status" and resource.subresource("status")
    path += f"/{name}/status" if told else f"/{name}"
    if way in ("POST", "PUT"):
        return ask("PUT", path, body=obj)
    if way == "apply":
        kind = {"Content-Type": "application/apply-patch+yaml"}
        query = {"fieldManager": "f", "force": "true"}
        return ask("PATCH", path, query, body=json.dumps(obj).encode(), headers=kind)
    body = json.dumps(put({}, root, place, value)).encode()
    return ask("PATCH", path, body=body, headers={"Content-Type": f"application/{way}+json"})


def drop(cluster: Cluster, resource: Resource, name: str) -> None:
    """Delete an object, whoever holds it."""
    path = f"{collection(resource)}/{name}"
    free = json.dumps({"metadata": {"finalizers": None}}).encode()
    cluster.server.ask("PATCH", path, body=free, headers={"Content-Type": _MERGE})
    gone = cluster.server.ask("DELETE", path, {"gracePeriodSeconds": 0})
    cluster.check(gone, (resource.kind, name))


@pytest.mark.parametrize("resource", KINDS, ids=lambda resource: resource.kind)
def test_extremes_are_taken_or_refused(cluster: Cluster, resource: Resource) -> None:
    for place, value, way in extremes(resource, SEED):
        meet(cluster, resource, place, value, way)


def meet(cluster: Cluster, resource: Resource, place: Place, value: Any, way: str) -> None:
    """Write it, and look at what became of it."""
    about = (resource.kind, place, way, repr(value)[:80])
    written = write(cluster, resource, place, value, way)
    if place[-1] != "resourceVersion":  # which Kubernetes, too, refuses at a POST with a 500
        cluster.check(written, about)
    cluster.check(cluster.server.ask("GET", collection(resource), headers=TABLE), about)
    if written.code < 300 and len(cluster.made) >= KEPT:
        drop(cluster, *cluster.made.pop(0))
    if written.code < 300:
        cluster.made.append((resource, written.json["metadata"]["name"]))


def test_the_cluster_works_with_what_was_taken(cluster: Cluster) -> None:
    cluster.end()
    cluster.begin()
    path = "/apis/batch/v1/namespaces/default/jobs"
    job = {"metadata": {"name": "after"}, "spec": {"completions": 0, "template": {"spec": _POD}}}
    assert cluster.server.ask("POST", path, body=job).code == 201

    watch = f"{path}?watch=1&timeoutSeconds=9&fieldSelector=metadata.name%3Dafter"
    with cluster.server.connection() as connection:
        connection.request("GET", watch, headers={"Authorization": "Bearer token-of-admin"})
        told = iter(connection.getresponse().readline, b"")
        assert any(b'"type":"Complete"' in line for line in told)
    for resource, name in cluster.made:
        drop(cluster, resource, name)
    cluster.end()
