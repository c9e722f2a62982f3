"""Malformed requests: each gets Kubernetes' own refusal in bounded time, and harms nothing."""

from __future__ import annotations

import contextlib
import copy
import gc
import http.client
import json
import logging
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psutil
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plugins.api_server import ApiServer
from plugins.logged_errors import LoggedErrors

Object = dict[str, Any]

ANSWER_S = 8.0
PLAIN_CODES = (400, 404, 406, 413, 417, 500)
RSS_GROWTH_MAX = 48 * 2**20
SLOW_ROUNDS, SLOW_EXAMPLES = 8, 500
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
QUICK = settings(max_examples=60, suppress_health_check=CHECKS, database=None)
SLOW = settings(QUICK, max_examples=SLOW_EXAMPLES)

_POD_SPEC = {
    "restartPolicy": "Never",
    "containers": [
        {
            "name": "main",
            "image": "busybox",
            "command": ["true"],
            "env": [{"name": "A", "value": "1"}],
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        }
    ],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "tolerations": [{"key": "a", "operator": "Exists"}],
}
_META = {"name": "fuzz", "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": []}
NS = "/api/v1/namespaces/default"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def _object(version: str, kind: str, **rest: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": copy.deepcopy(_META), **rest}


VALID: Mapping[str, Object] = {
    "/apis/batch/v1/namespaces/default/jobs": _object(
        "batch/v1",
        "Job",
        spec={
            "completions": 2,
            "parallelism": 1,
            "completionMode": "Indexed",
            "backoffLimit": 1,
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}}]
            },
            "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]},
            "template": {"metadata": {"labels": {"x": "y"}}, "spec": _POD_SPEC},
        },
    ),
    f"{NS}/pods": _object("v1", "Pod", spec=_POD_SPEC),
    f"{NS}/configmaps": _object("v1", "ConfigMap", data={"a": "b"}, binaryData={"c": "AAAA"}),
    f"{NS}/secrets": _object("v1", "Secret", type="Opaque", data={"a": "AAAA"}),
    f"{NS}/events": _object(
        "v1", "Event", involvedObject={"kind": "Pod", "namespace": "default", "name": "p"}
    ),
    f"{NS}/resourcequotas": _object("v1", "ResourceQuota", spec={"hard": {"pods": "10000"}}),
    f"{NS}/limitranges": _object(
        "v1", "LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "100"}}]}
    ),
    f"{NS}/serviceaccounts": _object("v1", "ServiceAccount", imagePullSecrets=[{"name": "x"}]),
    f"{NS}/persistentvolumeclaims": _object(
        "v1",
        "PersistentVolumeClaim",
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    ),
    "/api/v1/namespaces": _object("v1", "Namespace"),
    "/api/v1/nodes": _object("v1", "Node", spec={"taints": [{"key": "a", "effect": "NoSchedule"}]}),
    "/apis/coordination.k8s.io/v1/namespaces/default/leases": _object(
        "coordination.k8s.io/v1", "Lease", spec={"leaseDurationSeconds": 3}
    ),
    f"{RBAC}/clusterroles": _object(
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    ),
    f"{RBAC}/namespaces/default/rolebindings": _object(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        subjects=[{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}],
    ),
    "/apis/scheduling.k8s.io/v1/priorityclasses": _object(
        "scheduling.k8s.io/v1", "PriorityClass", value=3
    ),
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}},
    },
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    },
}
COLLECTIONS = tuple(VALID)


@dataclass(frozen=True)
class Sent:
    """A request as it goes over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    token: str = "Bearer token-of-admin"

    def wire(self) -> bytes:
        """Its bytes."""
        own = dict(self.headers)
        own.setdefault("Host", "x")
        own.setdefault("Connection", "close")
        if self.token:
            own.setdefault("Authorization", self.token)
        if self.body or self.method not in ("GET", "HEAD"):
            own.setdefault("Content-Length", str(len(self.body)))
        head = [f"{self.method} {self.target} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in own.items()]
        return "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body


@dataclass
class Target:
    """The server under fire, and what it logged."""

    server: ApiServer
    logged: list[str] = field(default_factory=list)

    def fire(self, sent: Sent) -> None:
        """Send a request, check its answer, and that nothing went wrong inside."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), self._socket() as sock:
            sock.sendall(sent.wire())
            _check_answer(sock, sent)
        self.check_sane(sent)

    def raw(self, data: bytes, *, end: bool = False, read: bool = True) -> bytes:
        """Send bytes; what comes back within the time. `end` closes the sending side."""
        got = b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), self._socket() as sock:
            sock.sendall(data)
            if end:
                sock.shutdown(socket.SHUT_WR)
            while read and (more := sock.recv(65536)):
                got += more
        self.check_sane(data[:200])
        return got

    def check_sane(self, about: object) -> None:
        """A good request is answered, and no exception was logged."""
        assert self.server.ask("GET", "/readyz").text == "ok", about
        assert not self.logged, (about, self.logged)

    def clean(self) -> None:
        """Drop what the requests made."""
        for path in COLLECTIONS:
            if "reviews" in path:
                continue
            got = self.server.ask("GET", path).json
            for item in got["items"]:
                meta = item["metadata"]
                if meta["name"] not in _BUILTIN and not meta["name"].startswith("system:"):
                    self._drop(f"{path}/{quote(meta['name'], safe='')}", meta)

    def _drop(self, path: str, meta: Object) -> None:
        if meta.get("finalizers"):
            kind = {"Content-Type": "application/merge-patch+json"}
            nothing = json.dumps({"metadata": {"finalizers": None}}).encode()
            self.server.ask("PATCH", path, body=nothing, headers=kind)
        self.server.ask("DELETE", path, {"gracePeriodSeconds": 0})

    @contextlib.contextmanager
    def _socket(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.server.port), ANSWER_S) as sock:
            yield sock


_BUILTIN = {"default", "kube-system", "kube-public", "kube-node-lease", "admin", "edit", "view"} | {
    "cluster-admin",
    "kube-root-ca.crt",
}


def _check_answer(sock: socket.socket, sent: Sent) -> None:
    begun = time.monotonic()
    got = http.client.HTTPResponse(sock, method=sent.method)
    got.begin()
    if got.status < 400:
        return  # a watch goes on; what it says is no refusal
    body = got.read()
    assert time.monotonic() - begun < ANSWER_S, sent
    kind = (got.headers.get("Content-Type") or "").partition(";")[0]
    if kind == "text/plain" or not body:
        assert got.status in PLAIN_CODES or sent.method == "HEAD", (sent, got.status, body)
        assert b"Traceback" not in body, (sent, body)
        return
    status = yaml.safe_load(body) if kind == "application/yaml" else json.loads(body)
    assert (status["kind"], status["apiVersion"]) == ("Status", "v1"), (sent, body)
    assert status["code"] == got.status, (sent, body)
    assert status["status"] == "Failure", (sent, body)
    assert status.get("reason") != "InternalError", (sent, body)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    directory: Path = tmp_path_factory.mktemp("fuzz")
    kept = LoggedErrors()
    with ApiServer(directory) as server:
        logging.getLogger().addHandler(kept)
        server.ask("POST", f"{NS}/pods", body=VALID[f"{NS}/pods"])
        server.ask("POST", COLLECTIONS[0], body=VALID[COLLECTIONS[0]])
        yield Target(server, kept.texts)
        logging.getLogger().removeHandler(kept)


# What is sent ------------------------------------------------------------------------------

_TEXT = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "..",
        "a/b",
        "\0",
        "é",
        "-1",
        "1e999",
        "0x",
        "None",
        "null",
        "a" * 300,
        "A_",
        "🦆",
        "1.5Gi",
    ]
)
_LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
)
_KEYS = _TEXT | st.sampled_from(["name", "kind", "$patch", "$setElementOrder/containers", "spec"])
_JSON = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    entries = value.items() if isinstance(value, dict) else ()
    entries = enumerate(value) if isinstance(value, list) else entries
    for name, inner in entries:
        found += _places(inner, (*at, name))
    return found


def _replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    value[place[0]] = _replaced(value[place[0]], place[1:], new)
    return value


def _pointer(place: tuple[Any, ...]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def _nested(depth: int, kind: str) -> bytes:
    if kind == "list":
        return b"[" * depth + b"]" * depth
    if kind == "open":
        return b'{"a":' * depth
    if kind == "object":
        return b'{"spec":' * depth + b"1" + b"}" * depth
    return b"a: &a [x]\nb: " + b"[" * depth + b"*a" + b"]" * depth


_SEGMENTS = st.sampled_from(
    [
        "..",
        ".",
        "%2f",
        "%2e%2e",
        "%00",
        "a%2fb",
        "%",
        "%zz",
        "%ff",
        "é",
        "a" * 300,
        "x",
        "fuzz",
        "//",
        "log",
        "exec",
        "status",
        "watch",
        "namespaces",
        "finalize",
        "eviction",
        "binding",
    ]
) | st.text(max_size=6).map(lambda text: quote(text.encode("utf-8", "replace"), safe=""))
_QUERY_NAMES = st.sampled_from(
    [
        "limit",
        "continue",
        "resourceVersion",
        "resourceVersionMatch",
        "timeoutSeconds",
        "watch",
        "fieldValidation",
        "dryRun",
        "labelSelector",
        "fieldSelector",
        "pretty",
        "fieldManager",
        "sendInitialEvents",
        "allowWatchBookmarks",
        "gracePeriodSeconds",
        "propagationPolicy",
        "orphanDependents",
        "container",
        "tailLines",
        "sinceTime",
        "sinceSeconds",
        "limitBytes",
        "follow",
        "previous",
        "timestamps",
        "stdin",
        "stdout",
        "tty",
        "command",
        "force",
    ]
)
_QUERY_VALUES = _TEXT | st.sampled_from(
    [
        "true",
        "1",
        "0",
        "-1",
        "99999999999999999999",
        "All",
        "Strict",
        "a=b",
        "a in (b",
        "!a,,",
        "a>b",
        "a>99999999999999999999",
        "metadata.name=x",
        "spec.nodeName!=",
        "status.phase=\\",
        "eyJydiI6MX0",
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhL2IifQ",
        "W10",
        "Orphan",
        "eyJydiI6MWU5OTksInN0YXJ0IjoieCJ9",
        "2026-01-01T00:00:00Z",
        "9999-99-99T00:00:00Z",
        "²",
        "eyJydiI6LTUsInN0YXJ0IjoieCJ9",
        "NotOlderThan",
        "Exact",
        "٣",
        "1" * 5000,
        "�",
    ]
)
_QUERY = st.lists(st.tuples(_QUERY_NAMES, _QUERY_VALUES), max_size=3).map(
    lambda pairs: urlencode([(k, v.encode("utf-8", "surrogatepass")) for k, v in pairs])
)
_TYPES = st.sampled_from(
    [
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "text/html",
        "application/json; charset=latin-9",
        "application/json;;",
        "",
        "é",
        "multipart/form-data",
        "application/json;q=a;b",
        "application/x-www-form-urlencoded",
        ";",
        "/",
    ]
)
_PATCH_TYPES = st.sampled_from(
    [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/apply-patch+yaml",
        "application/strategic-merge-patch+json",
    ]
)
_ACCEPTS = st.sampled_from(
    [
        "",
        "*/*",
        "application/json",
        "application/yaml",
        "text/plain",
        "application/json;as=Table",
        "application/json;as=Table;g=meta.k8s.io;v=v1",
        "a/b;as",
        ";;,,",
        "é",
        "application/*;q=x",
        "application/json;as=PartialObjectMetadataList",
        "application/vnd.kubernetes.protobuf",
    ]
)
_TOKENS = st.sampled_from(
    ["Bearer token-of-admin"] * 6
    + ["", "Bearer", "Bearer ", "bearer x", "Basic Og==", "Basic %%", "Digest a=b", "Bearer é"]
    + ["Bearer token-of-bob", "Bearer " + "a" * 5000, "Negotiate", "Bearer token-of-admin extra"]
)
_BODIES = (
    st.binary(max_size=40)
    | st.binary(max_size=60).map(lambda data: b"k8s\0" + data)
    | _JSON.map(lambda value: json.dumps(value).encode())
    | st.sampled_from([b"", b"{", b'{"a":1}{', b'{"a":NaN}', b'{"a":1,"a":2}', b"\xff\xfe{}"])
    | st.sampled_from([b"a: b: c", b"&a [*a]", b"!!python/object:x {}", b"a: 2026-99-99", b"? [a]"])
    | st.sampled_from([b"--- 1\n--- 2", b"{? {a: b} : c}", b"<<: 1", b"a: !!binary x", b"\t"])
    | st.builds(
        _nested,
        st.sampled_from([50, 500, 20_000]),
        st.sampled_from(["list", "open", "object", "y"]),
    )
)


@st.composite
def wrong_objects(draw: st.DrawFn) -> Sent:
    """An object with a wrong value in it, created or put in another's place."""
    path = draw(st.sampled_from(COLLECTIONS))
    obj = copy.deepcopy(VALID[path])
    for _ in range(draw(st.integers(1, 3))):
        places = _places(obj)
        obj = _replaced(obj, places[draw(st.integers(0, len(places) - 1))], draw(_JSON))
    method = draw(st.sampled_from(["POST", "POST", "PUT"]))
    kind = draw(st.sampled_from(["application/json", "application/yaml"]))
    if method == "PUT":
        path += draw(st.sampled_from(["/fuzz", "/fuzz/status", "/fuzz/finalize"]))
    text = json.dumps(obj, ensure_ascii=draw(st.booleans()))
    headers = (("Content-Type", kind), ("Accept", draw(_ACCEPTS)))
    return Sent(method, f"{path}?{draw(_QUERY)}", headers, text.encode("utf-8", "surrogatepass"))


@st.composite
def wrong_patches(draw: st.DrawFn) -> Sent:
    """A patch of any kind that does not fit."""
    path = draw(st.sampled_from(COLLECTIONS[:-2]))
    obj = copy.deepcopy(VALID[path])
    kind = draw(_PATCH_TYPES)
    places = _places(obj)
    if "json-patch" in kind:
        pointers = st.sampled_from([_pointer(p) for p in places]) | st.sampled_from(
            [
                "",
                "/",
                "/spec/-",
                "a",
                "/~2",
                "/spec/template/spec/containers/99",
                "/metadata/-1",
                "/spec/template/spec/containers/²",
                "/spec/containers/" + "9" * 5000,
            ]
        )
        operation = st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
            optional={"path": pointers | _JSON, "from": pointers | _JSON, "value": _JSON},
        )
        value: Any = draw(st.lists(operation | _JSON, max_size=4) | _JSON)
    else:
        directive = st.fixed_dictionaries(
            {},
            optional={
                "$patch": st.sampled_from(["delete", "replace", "merge", "x"]) | _JSON,
                "$retainKeys": _JSON,
                "$setElementOrder/containers": _JSON,
                "$deleteFromPrimitiveList/finalizers": _JSON,
                "name": _JSON,
            },
        )
        new = draw(_JSON | directive | st.lists(directive, max_size=2))
        value = _replaced(obj, places[draw(st.integers(0, len(places) - 1))], new)
    name = draw(st.sampled_from(["fuzz", "fuzz", "other", "fuzz/status", "%00"]))
    query = draw(_QUERY) + draw(st.sampled_from(["", "&fieldManager=f&force=true"]))
    body = json.dumps(value).encode()
    return Sent("PATCH", f"{path}/{name}?{query}", (("Content-Type", kind),), body)


@st.composite
def wrong_targets(draw: st.DrawFn) -> Sent:
    """Any method, path, query, content type, Accept, token and body."""
    start = draw(st.sampled_from((*COLLECTIONS, "", "/api", "/apis", "/openapi/v3", "/version")))
    more = draw(st.lists(_SEGMENTS, max_size=4))
    path = "/".join([start, *more]) or "/"
    method = draw(
        st.sampled_from(["GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"])
    )
    headers = [("Accept", draw(_ACCEPTS)), ("Content-Type", draw(_TYPES))]
    headers += draw(
        st.lists(
            st.sampled_from(
                [
                    ("Impersonate-User", "é"),
                    ("Impersonate-Group", "x"),
                    ("Impersonate-Uid", "é"),
                    ("Impersonate-Extra-%zz%ff", "é"),
                    ("If-None-Match", '"'),
                    ("Upgrade", "websocket"),
                    ("Sec-WebSocket-Protocol", "x"),
                    ("Expect", "x"),
                    ("Content-Encoding", "gzip"),
                    ("Accept-Encoding", "gzip;q=x"),
                    ("Host", "é"),
                    ("Connection", "Upgrade"),
                    ("Cookie", "="),
                    ("X-Forwarded-For", ";"),
                    ("Expect", "100-continue"),
                    ("Content-Encoding", "x"),
                    ("Range", "bytes=9-"),
                ]
            ),
            max_size=2,
        )
    )
    query = draw(_QUERY)
    body = draw(_BODIES) if method not in ("GET", "HEAD") else b""
    return Sent(method, f"{path}?{query}", tuple(headers), body, draw(_TOKENS))


@st.composite
def wrong_reads(draw: st.DrawFn) -> Sent:
    """Lists, watches, logs and execs with odd queries."""
    path = draw(
        st.sampled_from(COLLECTIONS[:-2])
        | st.sampled_from([f"{NS}/pods/fuzz/log", f"{NS}/pods/fuzz/exec", "/api/v1/watch/pods"])
    )
    headers = [("Accept", draw(_ACCEPTS))]
    if path.endswith("exec") and draw(st.booleans()):
        headers += [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        headers += [("Sec-WebSocket-Key", draw(st.sampled_from(["x", "dGhlIHNhbXBsZSBub25jZQ=="])))]
        headers += [("Sec-WebSocket-Version", draw(st.sampled_from(["13", "x"])))]
        protocol = draw(st.sampled_from(["v5.channel.k8s.io", "v4.channel.k8s.io", "x"]))
        headers += [("Sec-WebSocket-Protocol", protocol)]
    return Sent("GET", f"{path}?{draw(_QUERY)}", tuple(headers))


@st.composite
def wrong_deletes(draw: st.DrawFn) -> Sent:
    """DeleteOptions, evictions and bindings of any shape."""
    options: Object = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 1,
        "propagationPolicy": "Background",
        "preconditions": {"uid": "x", "resourceVersion": "1"},
        "dryRun": ["All"],
        "orphanDependents": None,
    }
    places = _places(options)
    options = _replaced(options, places[draw(st.integers(0, len(places) - 1))], draw(_JSON))
    place = draw(st.sampled_from(["", "/fuzz", "/none", "/fuzz/eviction", "/fuzz/binding"]))
    method = "POST" if place.endswith(("eviction", "binding")) else "DELETE"
    body = draw(st.just(json.dumps(options).encode()) | _BODIES)
    path = draw(st.sampled_from(COLLECTIONS[:-2]))
    return Sent(method, f"{path}{place}?{draw(_QUERY)}", (("Content-Type", draw(_TYPES)),), body)


ANYTHING = wrong_objects() | wrong_patches() | wrong_targets() | wrong_reads() | wrong_deletes()


# The properties ----------------------------------------------------------------------------


@given(sent=wrong_objects())
@QUICK
def test_wrong_objects_are_refused_as_such(target: Target, sent: Sent) -> None:
    target.fire(sent)


@given(sent=wrong_patches())
@QUICK
def test_wrong_patches_are_refused_as_such(target: Target, sent: Sent) -> None:
    target.fire(sent)


@given(sent=wrong_targets())
@QUICK
def test_odd_requests_are_answered(target: Target, sent: Sent) -> None:
    target.fire(sent)


@given(sent=wrong_reads())
@QUICK
def test_odd_queries_are_answered(target: Target, sent: Sent) -> None:
    target.fire(sent)


@given(sent=wrong_deletes())
@QUICK
def test_odd_deletes_are_answered(target: Target, sent: Sent) -> None:
    target.fire(sent)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(Sent("POST", "/apis/?"), id="no group"),
        pytest.param(Sent("GET", "/apis/?"), id="no group to read"),
        *(
            pytest.param(
                Sent("PATCH", f"{NS}/{place}", (("Content-Type", kind),), b'{"metadata": 3}'),
                id=f"{kind} of {place}",
            )
            for kind in ("application/merge-patch+json", "application/apply-patch+yaml")
            for place in ("pods/fuzz?fieldManager=f", "pods/none?fieldManager=f")
        ),
        pytest.param(
            Sent(
                "PATCH",
                f"{NS}/pods/fuzz?",
                (("Content-Type", "application/merge-patch+json"),),
                b'{"metadata": null}',
            ),
            id="no metadata",
        ),
    ],
)
def test_what_was_found_before(target: Target, sent: Sent) -> None:
    target.fire(sent)


@pytest.mark.slow
def test_thousands_leave_the_memory_as_it_was(target: Target) -> None:
    process, sizes = psutil.Process(), []

    def fire_round() -> None:
        # hypothesis remembers what it has tried: a run of its own each time lets go of that
        given(sent=ANYTHING)(SLOW(lambda sent: target.fire(sent)))()
        target.clean()
        gc.collect()
        sizes.append(process.memory_info().rss)

    for _ in range(SLOW_ROUNDS):
        fire_round()
    assert max(sizes[2:]) - sizes[1] < RSS_GROWTH_MAX, sizes


_POST = f"POST {NS}/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-admin\r\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS in the clear"),
        pytest.param(b"GET\r\n\r\n", id="no target"),
        pytest.param(b"GET /readyz HTTP/9.9\r\n\r\n", id="version"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"a" * 100_000 + b"\r\n\r\n", id="long header"),
        pytest.param(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", id="long path"),
        pytest.param(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n\0\0\0\r\n\r\n", id="pipelined"),
        pytest.param(f"{_POST}Content-Length: x\r\n\r\n".encode(), id="length"),
        pytest.param(f"{_POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(), id="chunks"),
        pytest.param(f"{_POST}Content-Length: 4000000\r\n\r\n".encode(), id="too large"),
    ],
)
def test_broken_http_harms_nothing(target: Target, data: bytes) -> None:
    with contextlib.suppress(ConnectionError), target._socket() as sock:
        sock.sendall(data)
        assert sock.recv(65536).startswith(b"HTTP/1.")
    target.check_sane(data[:200])


@pytest.mark.parametrize("cut", [1, 20, 90, -1])
def test_a_request_cut_in_the_middle_harms_nothing(target: Target, cut: int) -> None:
    data = f"{_POST}Content-Length: 9\r\n\r\n{{}}".encode()
    target.raw(data[:cut], end=True, read=False)


def test_a_caller_that_never_asks_is_let_go(tmp_path: Path) -> None:
    with (
        ApiServer(tmp_path, headers_s=0.2) as server,
        socket.create_connection(("127.0.0.1", server.port), ANSWER_S) as sock,
    ):
        sock.sendall(b"GET /readyz HTTP/1.1\r\nHost:")
        assert sock.recv(100) == b""


@pytest.mark.parametrize("length", ["Content-Length: 90", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_body_that_never_ends_is_cut(tmp_path: Path, method: str, length: str) -> None:
    place = f"{NS}/configmaps" if method == "POST" else f"{NS}/configmaps/x"
    head = _POST.replace(f"POST {NS}/configmaps", f"{method} {place}")
    with (
        ApiServer(tmp_path, body_s=0.2) as server,
        socket.create_connection(("127.0.0.1", server.port), ANSWER_S) as sock,
    ):
        sock.sendall(f"{head}{length}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        status = json.loads(answer.read())
    assert (answer.status, status["code"], status["reason"]) == (504, 504, "Timeout")
    assert status["message"] == "Timeout: request did not complete within the allotted timeout"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_3_mb_is_refused_as_such(target: Target, chunked: bool) -> None:
    size = 3 * 2**20 + 1
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, b" " * size) if chunked else b" " * size
    got = target.raw(f"{_POST}Connection: close\r\n{length}\r\n\r\n".encode() + body)
    head, _, told = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(told) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Request entity too large: limit is 3145728",
        "reason": "RequestEntityTooLarge",
        "code": 413,
    }
