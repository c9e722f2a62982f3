"""A run on a cluster: what is made, brought home, taken up, refused, and left alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobman.errors import ApiNotFoundError, ForbiddenError, InvalidError, UsageError
from jobman.kube.client import Client
from jobman.kube.labels import RUN
from jobman.kube.resources import PODS, RESOURCEQUOTAS
from jobman.map import items, reach
from jobman.map.lease import LEASES, CancelledError, HeldError
from jobman.map.plan import Plan
from jobman.map.pods import ITEM
from jobman.map.presence import Presence
from jobman.map.progress import Progress
from jobman.map.result import Left, Leftover, Result
from jobman.map.runner import run
from jobman.map.template import Template
from jobman.values.enums import State

RUN_ID = "bcdfghjk"
GATE = "while [ ! -e {gate}/{{{{.Item}}}} ]; do sleep 0.05; done"


class Cluster:
    """Runs maps in the test's namespace, and looks at what becomes of them."""

    def __init__(self, client: Client, place: Path) -> None:
        self.client = client
        self.logs = place / "logs"
        self.gate = place / "gate"
        self.gate.mkdir()
        self.seen: list[Progress] = []
        self.notes: list[str] = []
        self.asked: list[Left] = []
        self.answer = Leftover.LEAVE

    def plan(self, script: str, count: int = 3, spec: Any = None, **more: Any) -> Plan:
        container = {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}
        rest = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1} | (spec or {})
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container], **rest}}
        found = items.Items((f"item{number}", {}) for number in range(count))
        return Plan(
            run="run",
            items=found,
            template=Template(pod, "run"),
            namespace=self.client.namespace,
            user="alice",
            log_dir=self.logs,
            **more,
        )

    def run(self, plan: Plan) -> Result:
        return run(
            self.client, plan, report=self.seen.append, ask=self._ask, note=self.notes.append
        )

    def _ask(self, left: Left) -> Leftover:
        self.asked.append(left)
        return self.answer

    @contextlib.contextmanager
    def running(self, plan: Plan) -> Iterator[list[Result]]:
        """The run in a thread; the result is there afterwards."""
        results: list[Result] = []
        thread = threading.Thread(target=lambda: results.append(self.run(plan)))
        thread.start()
        yield results
        thread.join(30)
        assert results

    def gated(self, count: int = 3, **more: Any) -> Plan:
        """Items that go on until they are let go."""
        script = f"echo {{{{.Item}}}}; {GATE.format(gate=self.gate)}; echo bye"
        return self.plan(script, count, **more)

    def let_go(self, *numbers: int) -> None:
        for number in numbers:
            (self.gate / f"item{number}").touch()

    def pods(self) -> dict[str, str]:
        """Names and uids of all pods of the namespace."""
        listing = self.client.list(PODS)
        return {pod.metadata.name: pod.metadata.uid for pod in listing.items}

    def wait(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def until_running(self, *names: str) -> None:
        def all_run() -> bool:
            pods = self.client.list(PODS).items
            return {p.metadata.name for p in pods if p.status.phase == "Running"} >= {*names}

        self.wait(all_run)

    def files(self) -> dict[str, str]:
        found = (path for path in self.logs.iterdir() if path.suffix in (".log", ".err"))
        return {path.name: path.read_text() for path in found}

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.logs / "run.json").read_text())
        return found

    def foreign(self, name: str, **metadata: Any) -> None:
        container = {"name": "main", "image": "busybox", "command": ["sleep", "100"]}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        head = {"apiVersion": "v1", "kind": "Pod"}
        metadata = {"name": name, "annotations": {ITEM: "0"}, **metadata}
        self.client.create(PODS, {**head, "metadata": metadata, "spec": spec})


@pytest.fixture
def cluster(map_client: Client, tmp_path: Path) -> Cluster:
    return Cluster(map_client, tmp_path)


def test_every_item_has_its_log_and_no_pod_is_left(cluster: Cluster) -> None:
    cluster.foreign("bystander")
    before = cluster.pods()
    result = cluster.run(cluster.plan("echo {{.Index}} {{.Item}}", 20))
    assert (result.succeeded, result.failed, result.left) == (20, 0, 0)
    assert cluster.files() == {f"run-{n}.log": f"{n} item{n}\n" for n in range(20)}
    assert cluster.pods() == before
    assert cluster.told()["attempts"] == {"1": "0-19"}
    assert cluster.seen[-1].done == 20
    assert cluster.client.list(LEASES).items == []


def test_failures_are_told_apart_and_only_run_again_when_asked(cluster: Cluster) -> None:
    plan = cluster.plan("echo try; case {{.Index}} in 1) echo oh; exit 3;; esac")
    assert cluster.run(plan).failed == 1
    assert cluster.files()["run-1.err"] == "try\noh\n"
    again = cluster.run(plan)
    assert (again.succeeded, again.failed) == (2, 1)
    assert cluster.told()["attempts"] == {"1": "0-2"}
    cluster.run(replace(plan, retry_reasons=frozenset({"OOMKilled"})))
    assert "nothing failed of OOMKilled; there are: Error(exit 3) (1)" in cluster.notes
    assert cluster.told()["attempts"] == {"1": "0-2"}
    cluster.run(replace(plan, retry_failed=True))
    assert cluster.told()["attempts"] == {"1": "0,2", "2": "1"}
    cluster.run(replace(plan, retry_reasons=frozenset({"Error(exit 3)"})))
    assert cluster.told()["attempts"] == {"1": "0,2", "3": "1"}
    (failure,) = Path(cluster.logs / "failed.csv").read_text().splitlines()[1:]
    assert failure.startswith("1,run-1,item1,Error(exit 3),3,")
    assert failure.endswith(",oh")


def test_everything_is_run_again_when_asked(cluster: Cluster) -> None:
    plan = cluster.plan("echo $(date +%N)")
    cluster.run(plan)
    before = cluster.files()
    cluster.run(replace(plan, rerun=True))
    after = cluster.files()
    assert before.keys() == after.keys()
    assert not before.items() & after.items()


def test_bounds_are_kept(cluster: Cluster) -> None:
    plan = cluster.gated(6, max_running=3, max_pending=2)
    with cluster.running(plan) as results:
        cluster.until_running("run-0", "run-1", "run-2")
        assert len(cluster.pods()) == 3
        cluster.let_go(*range(6))
    assert results[0].succeeded == 6
    assert max(p.pending for p in cluster.seen) <= 2
    assert max(p.pending + p.running for p in cluster.seen) <= 3


def test_a_pod_that_vanishes_is_run_again_but_not_for_ever(cluster: Cluster) -> None:
    with cluster.running(cluster.gated(2, retries=1)) as results:
        for _ in range(2):
            cluster.until_running("run-0", "run-1")
            uid = cluster.pods()["run-0"]
            cluster.client.delete(PODS, "run-0", grace_s=0)
            cluster.wait(lambda uid=uid: cluster.pods().get("run-0") != uid)
        cluster.let_go(1)
    assert (results[0].succeeded, results[0].failed) == (1, 1)
    assert cluster.told()["attempts"] == {"1": "1", "2": "0"}
    assert "the pod was deleted before its log was read" in cluster.files()["run-0.err"]
    assert cluster.pods() == {}


def test_a_streamed_log_outlives_its_pod(cluster: Cluster) -> None:
    plan = cluster.gated(1, retries=0, stream_logs=True)
    with cluster.running(plan):
        cluster.until_running("run-0")
        cluster.wait(lambda: streamed(cluster) == ["item0\n"])
        cluster.client.delete(PODS, "run-0", grace_s=0)
    assert cluster.files()["run-0.err"].startswith("item0\npod run-0 failed: Deleted\n")


def streamed(cluster: Cluster) -> list[str]:
    return [path.read_text() for path in (cluster.logs / ".partial").glob("*/0.1")]


def test_a_streamed_log_is_whole(cluster: Cluster) -> None:
    with cluster.running(cluster.gated(2, stream_logs=True)):
        cluster.until_running("run-0", "run-1")
        cluster.let_go(0, 1)
    assert cluster.files() == {f"run-{n}.log": f"item{n}\nbye\n" for n in range(2)}


def test_foreign_pods_of_an_items_name_stop_it_before_anything_is_made(cluster: Cluster) -> None:
    cluster.foreign("run-2", labels={RUN: "another"})
    before = cluster.pods()
    with pytest.raises(UsageError, match="are not of this run: run-2"):
        cluster.run(cluster.plan("true"))
    assert cluster.pods() == before


def test_a_run_that_never_began_makes_room_for_another(cluster: Cluster) -> None:
    with pytest.raises(InvalidError):
        cluster.run(cluster.plan("true", 2, spec={"nodeSelector": {"a": "b c"}}))
    assert cluster.run(cluster.plan("true", 3)).all_succeeded
    told = cluster.told()
    assert (told["source"]["count"], told["attempts"]) == (3, {"1": "0-2"})
    assert "nodeSelector" not in told["template"]["spec"]


def test_a_template_that_the_server_refuses_stops_it_at_once(cluster: Cluster) -> None:
    with pytest.raises(InvalidError, match=r"run-\d.*nodeSelector"):
        cluster.run(cluster.plan("true", 50, spec={"nodeSelector": {"a": "b c"}}))
    assert cluster.pods() == {}
    assert cluster.told()["attempts"] == {}


def test_a_full_quota_is_waited_for(cluster: Cluster) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    cluster.client.create(RESOURCEQUOTAS, {**quota, "spec": {"hard": {"pods": "2"}}})
    result = cluster.run(cluster.plan("sleep 0.1", 8))
    assert result.succeeded == 8
    assert cluster.told()["attempts"] == {"1": "0-7"}
    assert any("exceeded quota" in progress.waiting_for for progress in cluster.seen)


def test_more_than_a_quota_ever_allows_is_an_error(cluster: Cluster) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    cluster.client.create(RESOURCEQUOTAS, {**quota, "spec": {"hard": {"pods": "0"}}})
    with pytest.raises(ForbiddenError, match="exceeded quota"):
        cluster.run(cluster.plan("true"))


def test_items_that_cannot_start_fail_and_stop_a_run_without_success(cluster: Cluster) -> None:
    secret = [{"secretRef": {"name": "missing"}}]
    plan = cluster.plan("true", 60, max_pending=12)
    containers = [{**plan.template.document["spec"]["containers"][0], "envFrom": secret}]
    plan = replace(
        plan, template=Template({"kind": "Pod", "spec": {"containers": containers}}, "run")
    )
    result = cluster.run(plan)
    assert 10 <= result.failed < 60
    assert (
        "10 items in a row failed of the same cause (CreateContainerConfigError)" in result.stopped
    )
    errors = [text for name, text in cluster.files().items() if name.endswith(".err")]
    assert len(errors) == result.failed
    assert all('secret "missing" not found' in text for text in errors)
    assert (cluster.pods(), result.left) == ({}, 0)
    going_on = cluster.run(replace(plan, keep_going=True))
    assert (going_on.failed, going_on.stopped) == (60, "")


def test_a_run_of_which_nothing_is_left_was_not_stopped(cluster: Cluster) -> None:
    result = cluster.run(cluster.plan("exit 1", 10))
    assert (result.failed, result.stopped) == (10, "")


@pytest.mark.parametrize(
    ("keep", "expected"),
    [("keep_pods", {"run-0", "run-1"}), ("keep_failed_pods", {"run-1"})],
)
def test_pods_stay_when_asked(cluster: Cluster, keep: str, expected: set[str]) -> None:
    plan = replace(cluster.plan("exit {{.Index}}", 2), **{keep: True})
    cluster.run(plan)
    assert cluster.pods().keys() == expected
    before = cluster.pods()
    cluster.run(plan)
    assert cluster.pods() == before
    cluster.run(replace(plan, retry_failed=True))
    assert cluster.told()["attempts"] == {"1": "0", "2": "1"}
    cluster.run(cluster.plan("exit {{.Index}}", 2))
    assert cluster.pods() == {}


def test_a_run_is_taken_up_where_it_was_left(cluster: Cluster) -> None:
    plan = cluster.gated(3, no_wait=True)
    first = cluster.run(plan)
    assert (first.left, cluster.files()) == (3, {})
    uids = cluster.pods()
    assert cluster.told()["finishedAt"] is None
    with cluster.running(replace(plan, no_wait=False)) as results:
        cluster.wait(lambda: bool(cluster.seen) and cluster.seen[-1].running == 3)
        assert cluster.pods() == uids
        cluster.let_go(0, 1, 2)
    assert results[0].succeeded == 3
    assert cluster.told()["attempts"] == {"1": "0-2"}
    assert cluster.told()["finishedAt"]


def test_a_pod_whose_log_is_home_is_deleted_the_next_time(cluster: Cluster) -> None:
    """As a runner leaves it that is killed between saving and deleting."""
    plan = cluster.plan("exit {{.Index}}", 2)
    cluster.run(replace(plan, keep_pods=True))
    assert cluster.pods().keys() == {"run-0", "run-1"}
    result = cluster.run(plan)
    assert (result.succeeded, result.failed, cluster.pods()) == (1, 1, {})
    assert cluster.told()["attempts"] == {"1": "0-1"}


def test_a_second_runner_is_refused(cluster: Cluster) -> None:
    plan = cluster.gated(1)
    with cluster.running(plan):
        cluster.until_running("run-0")
        with pytest.raises(HeldError):
            cluster.run(plan)
        cluster.let_go(0)
    assert cluster.files() == {"run-0.log": "item0\nbye\n"}


def test_a_cancelled_run_is_taken_up(cluster: Cluster) -> None:
    plan = cluster.gated(2)

    def find() -> Presence:
        found = reach.find(cluster.client, f"map-{RUN_ID}", now=datetime.now(UTC))
        assert found is not None
        return found

    plan = replace(plan, run=RUN_ID, template=Template(plan.template.document, RUN_ID))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(cluster.run, plan)
        cluster.until_running(f"{RUN_ID}-0", f"{RUN_ID}-1")
        assert reach.cancel(cluster.client, find(), user="bob", now=datetime.now(UTC)) == 2
        with pytest.raises(CancelledError, match="by bob"):
            running.result(30)
    cluster.wait(lambda: not cluster.pods())
    assert (find().state, find().living, find().is_over) == (State.CANCELLED, False, True)
    cluster.let_go(0, 1)
    assert cluster.run(plan).all_succeeded
    assert reach.find(cluster.client, f"map-{RUN_ID}", now=datetime.now(UTC)) is None


def test_ctrl_c_leaves_what_runs(cluster: Cluster) -> None:
    plan = cluster.gated(4, max_running=2)
    interrupt_when(cluster, "run-0", "run-1")
    result = cluster.run(plan)
    assert (result.interrupted, result.left, cluster.asked) == (True, 2, [Left(0, 2)])
    assert cluster.pods().keys() == {"run-0", "run-1"}
    cluster.let_go(*range(4))
    assert cluster.run(plan).succeeded == 4
    assert cluster.told()["attempts"] == {"1": "0-3"}


def test_ctrl_c_deletes_what_runs_when_told_to(cluster: Cluster) -> None:
    cluster.answer = Leftover.DELETE
    interrupt_when(cluster, "run-0", "run-1")
    result = cluster.run(cluster.gated(4, max_running=2))
    assert (result.interrupted, result.left) == (True, 0)
    cluster.wait(lambda: cluster.pods() == {})
    assert cluster.files() == {}


def test_ctrl_c_can_be_thought_better_of(cluster: Cluster) -> None:
    cluster.answer = Leftover.CONTINUE
    interrupt_when(cluster, "run-0", "run-1", then=lambda: cluster.let_go(0, 1))
    result = cluster.run(cluster.gated(2))
    assert (result.interrupted, result.succeeded) == (False, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_runner_that_is_sent_away_leaves_what_runs(
    cluster: Cluster, number: signal.Signals
) -> None:
    plan = cluster.gated(2)
    signal_when(cluster, number, "run-0", "run-1")
    result = cluster.run(plan)
    assert (result.stopped, result.interrupted, result.left) == ("terminated", False, 2)
    assert cluster.asked == []
    cluster.let_go(0, 1)
    assert cluster.run(plan).all_succeeded


def interrupt_when(cluster: Cluster, *names: str, then: Callable[[], None] = lambda: None) -> None:
    """Press Ctrl-C when these pods run and the runner has seen it."""

    def answered() -> None:
        cluster.wait(lambda: bool(cluster.asked))
        then()

    signal_when(cluster, signal.SIGINT, *names, then=answered)


def signal_when(
    cluster: Cluster,
    number: signal.Signals,
    *names: str,
    then: Callable[[], None] = lambda: None,
) -> None:
    def send() -> None:
        cluster.until_running(*names)
        cluster.wait(lambda: bool(cluster.seen) and cluster.seen[-1].running == len(names))
        os.kill(os.getpid(), number)
        then()

    threading.Thread(target=send, daemon=True).start()


def test_other_items_in_the_same_directory_are_refused(cluster: Cluster) -> None:
    cluster.run(cluster.plan("true", 2))
    with pytest.raises(UsageError, match="items: 2 there, 3 here"):
        cluster.run(cluster.plan("true", 3))


def test_a_namespace_that_is_not_there_is_an_error(cluster: Cluster) -> None:
    with pytest.raises(ApiNotFoundError, match="nowhere"):
        cluster.run(replace(cluster.plan("true"), namespace="nowhere"))


def test_no_items_are_done_at_once(cluster: Cluster) -> None:
    result = cluster.run(cluster.plan("true", 0))
    assert result.all_succeeded
