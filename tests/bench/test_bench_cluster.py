"""What the embedded cluster costs, beside the bare library, the bare loop, or a bound."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from plugins.bare_http import Address, post_all

from jobman.local import certs
from jobman.local.controllers.event_expiry import KEPT_MOST
from jobman.local.places import State

pytestmark = pytest.mark.slow

CONNECTIONS = 8
PODS = 10_000
NODES = 2_000
JOBS = 1_000
# Those that tell of warnings remember 4,096 of each.
WARNED = 4_200
# Ours and the bare thing take turns, so that a machine that slows down slows both.
ROUNDS = 4

BARE_LOOP = """
import asyncio, sys

async def main():
    free = asyncio.Semaphore(2)

    async def one():
        async with free:
            assert await (await asyncio.create_subprocess_exec("true")).wait() == 0

    await asyncio.gather(*(one() for _ in range(int(sys.argv[1]))))

asyncio.run(main())
"""
BARE_SERVER = """
import ssl, sys
from pathlib import Path
from aiohttp import web

certificate, key, body = sys.argv[1:]
answer = Path(body).read_bytes()
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)

async def created(request):
    await request.read()
    return web.Response(status=201)

async def same_bytes(request):
    return web.Response(body=answer, content_type="application/json")


async def main():
    app = web.Application()
    app.router.add_post("/{path:.*}", created)
    app.router.add_get("/{path:.*}", same_bytes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    print("https://%s:%d" % runner.addresses[0][:2], flush=True)
    await asyncio.Event().wait()

import asyncio
asyncio.run(main())
"""


@dataclass(frozen=True)
class Cluster:
    """The embedded cluster of a benchmark: where its state is, and how it is reached."""

    state: Path
    address: Address

    @property
    def pid(self) -> int:
        return int(json.loads((self.state / "daemon.json").read_text())["pid"])

    def pids(self) -> list[int]:
        """The daemon and its zygote."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def cpu_s(self) -> float:
        stats = (Path(f"/proc/{pid}/schedstat").read_text() for pid in self.pids())
        return sum(int(stat.split()[0]) for stat in stats) / 1e9

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        async def asked() -> Any:
            async with self.address.connection() as connection:
                return await connection.ask(method, path, value)

        return asyncio.run(asked())

    def namespace(self, name: str) -> str:
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return f"/namespaces/{name}"

    def post(self, path: str, bodies: Iterable[bytes], *, at_once: int = CONNECTIONS) -> None:
        """POST them all."""
        asyncio.run(post_all(self.address, path, bodies, at_once=at_once))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cluster]]:
    """Starts embedded clusters, each in a state directory of its own."""
    states: list[dict[str, str]] = []

    def start(*options: str) -> Cluster:
        home = tmp_path_factory.mktemp("cluster")
        env = {"PATH": os.environ["PATH"], "HOME": str(home)}
        env["JOBMAN_LOCAL_STATE"] = str(home / "state")
        states.append(env)
        local(env, "start", *options)
        return Cluster(home / "state", Address.of_cluster(home / "state"))

    yield start
    for env in states:
        local(env, "reset", "-y")


def local(env: dict[str, str], *args: str) -> None:
    command = [sys.executable, "-m", "jobman", "local", *args]
    subprocess.run(command, env=env, check=True, capture_output=True)


@pytest.fixture(scope="module")
def plain(cluster: Callable[..., Cluster]) -> Cluster:
    """A cluster with the machine's own node alone."""
    return cluster()


@pytest.fixture(scope="module")
def simulated(cluster: Callable[..., Cluster]) -> Cluster:
    """A cluster of 2,000 simulated nodes."""
    return cluster("--simulate-nodes", str(NODES))


def test_an_idle_cluster_takes_next_to_no_cpu(plain: Cluster, bench: Any) -> None:
    time.sleep(3)
    before = plain.cpu_s()
    assert before > 0, "the kernel does not count"
    time.sleep(20)
    used = (plain.cpu_s() - before) / 20 * 100
    bench.say(f"idle: {used:.2f} % of a CPU (at most 0.50 %)")
    assert used < 0.5


def test_1_000_jobs_within_3x_of_the_bare_loop(plain: Cluster, bench: Any) -> None:
    paths = [f"/apis/batch/v1{plain.namespace(f'jobs-{at}')}/jobs" for at in range(ROUNDS)]

    def ours(at: int) -> None:
        plain.post(paths[at], [job(f"job-{number}") for number in range(JOBS)], at_once=2)
        wait_complete(plain, paths[at], JOBS)

    def bare(_: int) -> None:
        subprocess.run([sys.executable, "-c", BARE_LOOP, str(JOBS)], check=True)

    times = side_by_side(ours, bare)
    for path in paths:
        check_complete(plain, path, JOBS)
    check_ratio(bench, f"{JOBS:,} Jobs, {ROUNDS} times", *times, most=3.0)


def test_pods_created_at_half_the_rate_of_bare_aiohttp(
    simulated: Cluster, bench: Any, tmp_path: Path
) -> None:
    wait_ready(simulated)
    path = "/api/v1" + simulated.namespace("pods") + "/pods"
    shares = [[pod(f"pod-{at}-{n}") for n in range(PODS // ROUNDS)] for at in range(ROUNDS)]
    with bare_server(simulated, b"{}", tmp_path) as address:
        bare = Cluster(simulated.state, address)
        times = side_by_side(
            lambda at: simulated.post(path, shares[at]), lambda at: bare.post(path, shares[at])
        )
    check_ratio(bench, f"{PODS:,} simulated pods created", *times, most=2.0)


def test_a_list_within_2x_of_the_same_bytes_from_memory(
    simulated: Cluster, bench: Any, tmp_path: Path
) -> None:
    path = "/api/v1" + simulated.namespace("listed") + "/pods"
    simulated.post(path, [pod(f"pod-{number}") for number in range(PODS)])
    body = json.dumps(simulated.ask("GET", path), separators=(",", ":")).encode()
    with bare_server(simulated, body, tmp_path) as bare:
        times = [(fetch(simulated.address, path), fetch(bare, path)) for _ in range(5)]
    ours, reference = map(min, zip(*times, strict=True))
    check_ratio(bench, f"list of {PODS:,} pods", ours, reference, most=2.0)


def test_memory_is_flat_over_20_000_jobs_with_ttl(plain: Cluster, bench: Any) -> None:
    """Flat from where the bounded memories are full: events, what is known of them, changes."""
    home = plain.namespace("gone")
    plain.post("/api/v1" + home + "/events", map(event, range(KEPT_MOST)))
    path = "/apis/batch/v1" + home + "/jobs"
    warned: dict[str, Any] = {"backoffLimit": 0, "ttlSecondsAfterFinished": 0}
    plain.post(path, [job(f"warned-{n}", "/no/such/program", **warned) for n in range(WARNED)])
    wait_gone(plain, path)
    resident = []
    for at in range(20):
        plain.post(path, [job(f"job-{at}-{n}", ttlSecondsAfterFinished=0) for n in range(1_000)])
        wait_gone(plain, path)
        resident.append(plain.resident_mb())
    full, last = max(resident[4:8]), max(resident[-4:])
    bench.say(f"memory after 5,000 to 8,000 Jobs: {full:.0f} MB, after 20,000: {last:.0f} MB")
    assert last <= 1.05 * full


def test_100_000_pods_under_2_gb(simulated: Cluster, bench: Any) -> None:
    wait_ready(simulated)
    path = "/api/v1" + simulated.namespace("many") + "/pods"
    simulated.post(path, (pod(f"pod-{number}") for number in range(100_000)))
    wait_gone(simulated, path, "?fieldSelector=status.phase!=Running")
    resident = simulated.resident_mb()
    assert simulated.ask("GET", path + "?limit=1")["metadata"]["remainingItemCount"] == 99_999
    bench.say(f"100,000 simulated pods: {resident:.0f} MB resident (under 2,000 MB)")
    assert resident < 2_000


def job(name: str, program: str = "true", **spec: Any) -> bytes:
    container = {"name": "main", "image": "none", "command": [program]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return json.dumps({"metadata": {"name": name}, "spec": {"template": template, **spec}}).encode()


def event(number: int) -> bytes:
    """As big as those that the cluster's parts write."""
    place = {"kind": "Job", "namespace": "gone", "name": f"job-{number}", "uid": str(uuid4())}
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {
        "metadata": {"name": f"job-{number}.{number:016x}", "namespace": "gone"},
        "involvedObject": {**place, "apiVersion": "batch/v1", "resourceVersion": f"{number:06}"},
        "reason": "SuccessfulCreate",
        "message": f"Created pod: job-{number}-abcde",
        "source": {"component": "job-controller"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "type": "Normal",
        "reportingComponent": "job-controller",
    }
    return json.dumps(told).encode()


def pod(name: str) -> bytes:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}
    notes = {"local.jobman/run-for": "20h"}
    return json.dumps({"metadata": {"name": name, "annotations": notes}, "spec": spec}).encode()


def side_by_side(
    ours: Callable[[int], object], bare: Callable[[int], object]
) -> tuple[float, float]:
    """Seconds that each of the two took, over all rounds."""
    taken = {ours: 0.0, bare: 0.0}
    for at in range(ROUNDS):
        for do in (ours, bare):
            start = time.perf_counter()
            do(at)
            taken[do] += time.perf_counter() - start
    return taken[ours], taken[bare]


def wait_ready(cluster: Cluster) -> None:
    """Until all nodes are there and ready."""
    deadline = time.monotonic() + 120
    while True:
        nodes = cluster.ask("GET", "/api/v1/nodes")["items"]
        conditions = [c for node in nodes for c in node["status"]["conditions"]]
        ready = sum(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        if ready == NODES + 1:
            return
        assert time.monotonic() < deadline, f"{ready} of {NODES + 1} nodes are ready"
        time.sleep(0.5)


def wait_complete(cluster: Cluster, path: str, jobs: int) -> None:
    """Until all of `job-0` … have succeeded; to follow one Job costs the cluster little."""

    async def waited() -> None:
        name = f"job-{jobs - 1}"
        while name:
            await one_complete(cluster, f"{path}?watch=true&fieldSelector=metadata.name={name}")
            async with cluster.address.connection() as connection:
                rest = f"{path}?fieldSelector=status.successful%3D0&limit=1"
                left = (await connection.ask("GET", rest))["items"]
            name = left[0]["metadata"]["name"] if left else ""

    asyncio.run(waited())


def check_complete(cluster: Cluster, path: str, jobs: int) -> None:
    """All are there, and each has run once."""
    found = [job["status"] for job in cluster.ask("GET", path)["items"]]
    assert len(found) == jobs
    assert all(status["succeeded"] == 1 and "completionTime" in status for status in found)


async def one_complete(cluster: Cluster, path: str) -> None:
    async with cluster.address.connection() as connection, asyncio.timeout(120):
        async for event in connection.watch(path):
            if "completionTime" in event["object"]["status"]:
                return


def wait_gone(cluster: Cluster, path: str, selection: str = "?limit=1") -> None:
    """Until nothing of that is left there. To look costs the cluster: do so now and then."""
    deadline = time.monotonic() + 600
    while left := cluster.ask("GET", path + selection)["items"]:
        assert time.monotonic() < deadline, f"{len(left)} are left of {path}{selection}"
        time.sleep(1)


def fetch(address: Address, path: str) -> float:
    """One GET over a new connection; the seconds from the request to the last byte."""

    async def fetched() -> float:
        async with address.connection() as connection:
            start = time.perf_counter()
            code, _ = await connection.request("GET", path)
            assert code == 200
            return time.perf_counter() - start

    return asyncio.run(fetched())


@contextlib.contextmanager
def bare_server(cluster: Cluster, body: bytes, directory: Path) -> Iterator[Address]:
    """Bare aiohttp under the cluster's own certificate."""
    kept = directory / "body"
    kept.write_bytes(body)
    pair = server_certificate(cluster.state)
    command = [sys.executable, "-c", BARE_SERVER, *map(str, pair), str(kept)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield replace(cluster.address, url=server.stdout.readline().strip())
        server.terminate()


def server_certificate(state: Path) -> tuple[Path, Path]:
    found = certs.ensure(State(state).certificates, datetime.now(UTC))
    return found.certificate, found.key


def check_ratio(bench: Any, what: str, ours: float, bare: float, *, most: float) -> None:
    bench.say(f"{what}: {ours:.2f} s, bare: {bare:.2f} s; ratio {ours / bare:.2f} (at most {most})")
    assert ours / bare <= most
