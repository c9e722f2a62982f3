"""A run against a server that is overloaded, loses answers, or has somebody else's pod."""

from __future__ import annotations

import itertools
import json
import queue
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from plugins.scripted_server import Asked, Reply, ScriptedServer

from jobman.errors import ForbiddenError, UnauthorizedError, UsageError
from jobman.kube.client import Client
from jobman.map.items import Items
from jobman.map.plan import Plan
from jobman.map.progress import Progress
from jobman.map.result import Leftover, Result
from jobman.map.runner import run
from jobman.map.template import Template

PODS = "/api/v1/namespaces/team/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/team/leases"

RAN = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z", "exitCode": 0}
ENDED = {"name": "main", "state": {"terminated": RAN}}

GONE = b"unable to retrieve container logs for containerd://1234"

Answer = Callable[[Asked], Reply]


def status(code: int, reason: str, message: str) -> Reply:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return Reply(code, body)


class Server:
    """The little that a run needs of an API server.

    `troubles` come before each creation, `refusals` before each deletion.
    """

    def __init__(self, http: ScriptedServer, names: Iterable[str]) -> None:
        self.http = http
        self.pods: dict[str, dict[str, Any]] = {}
        self.troubles: dict[str, list[Callable[[dict[str, Any]], Reply | None]]] = {}
        self.logs: dict[str, list[Reply]] = {}
        self.refusals: dict[str, Iterator[Reply]] = {}
        self._changes: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._version = 0
        http.script("GET", PODS, self._list_or_watch)
        http.script("POST", PODS, self._create)
        lease = {"metadata": {"name": "l", "uid": "l", "resourceVersion": "1"}}
        http.script("POST", LEASES, Reply(201, lease))
        for name in names:
            http.script("GET", f"{PODS}/{name}", self._get)
            http.script("DELETE", f"{PODS}/{name}", self._delete)
            http.script("GET", f"{PODS}/{name}/log", self._log)

    def trouble(self, name: str, *troubles: Callable[[dict[str, Any]], Reply | None]) -> None:
        self.troubles[name] = list(troubles)

    def close(self) -> None:
        self._changes.put(b"")

    def _list_or_watch(self, asked: Asked) -> Reply:
        if "watch" in asked.query:
            return Reply(chunks=iter(self._changes.get, b""))
        items = [] if "!=" in asked.query["labelSelector"] else list(self.pods.values())
        return Reply(200, {"metadata": {"resourceVersion": "1"}, "items": items})

    def tell(self, change: str, pod: dict[str, Any]) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        self._changes.put(json.dumps({"type": change, "object": pod}).encode() + b"\n")

    def _create(self, asked: Asked) -> Reply:
        name = asked.body["metadata"]["name"]
        troubles = self.troubles.get(name)
        reply = troubles.pop(0)(asked.body) if troubles else None
        return reply or self.accept(asked.body)

    def accept(self, pod: dict[str, Any]) -> Reply:
        name = pod["metadata"]["name"]
        if name in self.pods:
            return status(409, "AlreadyExists", f'pods "{name}" already exists')
        self._version += 1
        pod = {**pod, "status": {"phase": "Pending"}}
        pod["metadata"] = {**pod["metadata"], "uid": f"u{self._version}", "namespace": "team"}
        self.pods[name] = pod
        self.tell("ADDED", pod)
        pod["status"] = {"phase": "Succeeded", "containerStatuses": [ENDED]}
        self.tell("MODIFIED", pod)
        return Reply(201, pod)

    def _get(self, asked: Asked) -> Reply:
        pod = self.pods.get(asked.path.rpartition("/")[2])
        return Reply(200, pod) if pod else status(404, "NotFound", "no such pod")

    def _delete(self, asked: Asked) -> Reply:
        name = asked.path.rpartition("/")[2]
        if refusal := next(self.refusals.get(name, iter(())), None):
            return refusal
        pod = self.pods.pop(name)
        self.tell("DELETED", pod)
        return Reply(200, pod)

    def _log(self, asked: Asked) -> Reply:
        name = asked.path.split("/")[-2]
        replies = self.logs.get(name)
        words = f"2026-01-01T00:00:00.000000000Z {name}\n".encode()
        return replies.pop(0) if replies else Reply(200, words)


@pytest.fixture
def server(scripted_server: ScriptedServer) -> Iterator[Server]:
    made = Server(scripted_server, [f"run-{number}" for number in range(5)])
    yield made
    made.close()


@pytest.fixture
def carry_out(
    server: Server, make_client: Callable[..., Client], tmp_path: Path
) -> Callable[..., Result]:
    """Run three items against the server."""

    def carry_out(
        seen: list[Progress] | None = None,
        note: Callable[[str], None] = lambda _: None,
        **more: Any,
    ) -> Result:
        pod = {"kind": "Pod", "apiVersion": "v1", "spec": {"containers": [{"name": "main"}]}}
        plan = Plan(
            run="run",
            items=Items((str(number), {}) for number in range(3)),
            template=Template(pod, "run"),
            namespace="team",
            user="alice",
            log_dir=tmp_path / "logs",
            **more,
        )
        return run(
            make_client(server.http),
            plan,
            report=(seen if seen is not None else []).append,
            ask=lambda _: Leftover.LEAVE,
            note=note,
        )

    return carry_out


def attempts(place: Path) -> Any:
    return json.loads((place / "logs" / "run.json").read_text())["attempts"]


def created(server: Server, name: str) -> int:
    asked = server.http.asked("POST", PODS)
    return sum(request.body["metadata"]["name"] == name for request in asked)


def test_requests_of_an_item(server: Server, carry_out: Callable[..., Result]) -> None:
    assert carry_out().succeeded == 3
    about_pods = [r for r in server.http.requests if r.path.startswith(f"{PODS}/run-")]
    assert len(about_pods) + len(server.http.asked("POST", PODS)) == 3 * 3
    assert len(server.http.asked("GET", PODS)) == 3


def test_an_overloaded_server_is_waited_for(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    busy = Reply(429, b"Too many requests\n", {"Retry-After": "1", "Content-Type": "text/plain"})
    server.trouble("run-1", *[lambda _: busy] * 5)
    seen: list[Progress] = []
    assert carry_out(seen).succeeded == 3
    assert attempts(tmp_path) == {"1": "0-2"}
    assert any("Too many requests" in progress.waiting_for for progress in seen)


def test_a_creation_whose_answer_was_lost_is_not_done_twice(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    def lose(pod: dict[str, Any]) -> Reply:
        server.accept(pod)
        return Reply(cut=True)

    server.trouble("run-1", lose)
    assert carry_out().succeeded == 3
    assert attempts(tmp_path) == {"1": "0-2"}


def test_a_pod_of_an_earlier_runner_that_comes_late_is_adopted(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    def met(pod: dict[str, Any]) -> Reply:
        annotations = {**pod["metadata"]["annotations"], "jobman/submission": "abc-1-0"}
        server.accept({**pod, "metadata": {**pod["metadata"], "annotations": annotations}})
        return status(409, "AlreadyExists", 'pods "run-1" already exists')

    server.trouble("run-1", met)
    assert carry_out().succeeded == 3
    assert attempts(tmp_path) == {"1": "0,2"}


def test_a_foreign_pod_that_comes_meanwhile_stops_the_run(
    server: Server, carry_out: Callable[..., Result]
) -> None:
    def met(pod: dict[str, Any]) -> Reply:
        metadata = {"name": "run-1", "uid": "foreign", "namespace": "team", "labels": {}}
        server.pods["run-1"] = {"metadata": metadata, "spec": {}, "status": {}}
        return status(409, "AlreadyExists", 'pods "run-1" already exists')

    server.trouble("run-1", met)
    with pytest.raises(UsageError, match="pod run-1 exists in namespace team and is not of this"):
        carry_out()
    assert server.pods["run-1"]["metadata"]["uid"] == "foreign"
    assert server.http.asked("DELETE", f"{PODS}/run-1") == []


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (
            status(403, "Forbidden", 'pods "run-1" is forbidden: violates PodSecurity'),
            ForbiddenError,
        ),
        (status(401, "Unauthorized", "Unauthorized"), UnauthorizedError),
    ],
)
def test_other_refusals_stop_it(
    server: Server,
    carry_out: Callable[..., Result],
    tmp_path: Path,
    refusal: Reply,
    error: type[Exception],
) -> None:
    server.trouble("run-1", *[lambda _: refusal] * 3)
    with pytest.raises(error):
        carry_out(max_pending=1)
    assert attempts(tmp_path) == {"1": "0"}


def test_pods_that_go_on_when_another_is_refused_are_told(
    server: Server, carry_out: Callable[..., Result]
) -> None:
    all_asked = Barrier(3, timeout=60)

    def stays(pod: dict[str, Any]) -> Reply:
        made = {**pod, "metadata": {**pod["metadata"], "uid": "u", "namespace": "team"}}
        all_asked.wait()
        return Reply(201, made)

    def refused(_: object) -> Reply:
        all_asked.wait()
        return status(403, "Forbidden", 'pods "run-2" is forbidden: violates PodSecurity')

    server.trouble("run-0", stays)
    server.trouble("run-1", stays)
    server.trouble("run-2", refused)
    notes: list[str] = []
    with pytest.raises(ForbiddenError):
        carry_out(max_pending=3, note=notes.append)
    (told,) = notes
    assert told.startswith("2 pods go on (run-0, run-1); ")
    assert "jobman cancel map-" in told


def test_a_log_that_does_not_come_is_asked_for_again(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    down = status(500, "InternalError", "no preferred addresses found")
    server.logs["run-1"] = [down] * 5
    assert carry_out().succeeded == 3
    assert (tmp_path / "logs" / "run-1.log").read_text() == "run-1\n"


def test_a_log_that_its_node_has_lost_is_a_failure(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    server.logs["run-1"] = [Reply(200, GONE)]
    result = carry_out()
    assert (result.succeeded, result.failed) == (2, 1)
    assert "is gone from its node" in (tmp_path / "logs" / "run-1.err").read_text()
    assert server.pods == {}


def test_a_log_that_lacks_its_head_says_so(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    """A megabyte in a second, and before that a minute of which nothing is left."""
    line = f"2026-01-01T00:01:00.500000000Z {'x' * 1023}\n".encode()
    server.logs["run-1"] = [Reply(200, line * 1024)]
    assert carry_out().succeeded == 3
    place = tmp_path / "logs"
    head, *rest = (place / "run-1.log").read_text().splitlines()
    why = "the log of pod run-1 is incomplete: its beginning may have been rotated away on its node"
    assert head == f"[jobman: {why}]"
    assert rest == ["x" * 1023] * 1024
    assert (place / "run-2.log").read_text() == "run-2\n"
    assert json.loads((place / "run.json").read_text())["incompleteLogs"] == ["run-1.log"]


DENIED = status(400, "BadRequest", 'admission webhook "keep" denied the request')


@pytest.mark.parametrize(
    ("logs", "ends"),
    [
        pytest.param([], (3, 0), id="a success"),
        pytest.param([Reply(200, GONE)], (2, 1), id="a log that is gone"),
    ],
)
def test_a_pod_that_may_not_be_deleted_changes_no_outcome(
    server: Server,
    carry_out: Callable[..., Result],
    tmp_path: Path,
    logs: list[Reply],
    ends: tuple[int, int],
) -> None:
    server.refusals["run-1"] = itertools.repeat(DENIED)
    server.logs["run-1"] = logs

    def files() -> dict[str, float]:
        found = (path for path in (tmp_path / "logs").iterdir() if path.stem == "run-1")
        return {path.name: path.stat().st_mtime_ns for path in found}

    first = carry_out()
    assert ((first.succeeded, first.failed), server.pods.keys()) == (ends, {"run-1"})
    assert (first.staying.count, "webhook" in first.staying.why) == (1, True)
    before = files()
    again = carry_out()
    assert ((again.succeeded, again.failed), again.staying.count) == (ends, 1)
    assert (files(), len(before), created(server, "run-1")) == (before, 1, 1)
    assert len(server.http.asked("DELETE", f"{PODS}/run-1")) == 2
    server.refusals.clear()
    last = carry_out()
    assert ((last.succeeded, last.failed), last.staying.count, server.pods) == (ends, 0, {})


def test_a_pod_that_is_not_deleted_at_first_is_deleted_later(
    server: Server, carry_out: Callable[..., Result]
) -> None:
    slow = status(500, "InternalError", "etcdserver: request timed out")
    server.refusals["run-1"] = iter([slow] * 5)
    result = carry_out()
    assert (result.succeeded, result.staying.count, server.pods) == (3, 0, {})


def test_without_the_right_to_delete_the_run_ends_and_the_outcome_stays(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    server.refusals["run-0"] = itertools.repeat(status(403, "Forbidden", "pods is forbidden"))
    with pytest.raises(ForbiddenError):
        carry_out(max_pending=1)
    told = json.loads((tmp_path / "logs" / "run.json").read_text())
    assert told["totals"]["succeeded"] >= 1
    assert (tmp_path / "logs" / "run-0.log").exists()


def test_logs_that_may_not_be_read_end_the_run(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    refusal = status(403, "Forbidden", "pods/log is forbidden")
    server.logs["run-1"] = [refusal]
    with pytest.raises(ForbiddenError):
        carry_out()
    assert carry_out().succeeded == 3


def test_logs_that_cannot_be_written_end_the_run(
    server: Server, carry_out: Callable[..., Result], tmp_path: Path
) -> None:
    def put_in_the_way(_: dict[str, Any]) -> None:
        (tmp_path / "logs" / "run-1.log").mkdir()

    server.trouble("run-1", put_in_the_way)
    with pytest.raises(IsADirectoryError):
        carry_out()


def test_without_the_right_to_leases_it_runs_all_the_same(
    server: Server, carry_out: Callable[..., Result]
) -> None:
    refusal = status(403, "Forbidden", "leases is forbidden")
    server.http.script("POST", LEASES, refusal)
    assert carry_out().succeeded == 3
