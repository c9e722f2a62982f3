"""What the queue costs, beside the bare requests that it needs; and capacity by itself."""

from __future__ import annotations

import concurrent.futures
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as k8s
from kubernetes import config as k8s_config

from jobman.kube.objects import Taint
from jobman.queue.capacity import Capacity
from jobman.queue.nodes import NodeView
from jobman.queue.rules import Wanted

pytestmark = pytest.mark.slow

NODES = 2_000
NAMESPACE = "bench"
GPU = "nvidia.com/gpu"
ACTIVE = "status.phase!=Succeeded,status.phase!=Failed"
PATHS = [f"/api/v1/pods?{ACTIVE}", "/apis/batch/v1/jobs", "/api/v1/nodes"]
FLAVORS = {
    "small": {"cpu": "1", "memory": "2Gi"},
    "medium": {"cpu": "2", "memory": "8Gi"},
    "small-gpu": {"cpu": "1", "memory": "4Gi", GPU: "1"},
    "large-gpu": {"cpu": "4", "memory": "16Gi", GPU: "2"},
}
BARE_GETS = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_kube_config

kubeconfig, *paths = sys.argv[1:]
configuration = Configuration()
load_kube_config(kubeconfig, client_configuration=configuration)
api = ApiClient(configuration)
headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}

def pages(path):
    path, _, selector = path.partition("?")
    first = [("limit", 500), *([("fieldSelector", selector)] if selector else [])]
    query, found = first, True
    while found:
        request = api.param_serialize(
            "GET", path, query_params=query, header_params=headers, auth_settings=["BearerToken"]
        )
        answer = api.call_api(*request[:3], _request_timeout=(5, 60)).response
        body = answer.read(decode_content=True)
        answer.release_conn()
        found = re.search(rb'"continue": ?"([^"]+)"', body[:2000])
        query = [*first, ("continue", found[1].decode())] if found else query

with ThreadPoolExecutor(3) as pool:
    list(pool.map(pages, paths))
"""


def jobman(*args: str) -> list[str]:
    return [str(Path(sys.executable).parent / "jobman"), *args]


@pytest.fixture(scope="module")
def kubeconfig(env: dict[str, str]) -> str:
    """A cluster of simulated nodes."""
    size = ("--cpu", "64", "--memory", "512Gi", "--gpus", "8", "--gpu-product", "A100")
    start = jobman("local", "start", "--simulate-nodes", str(NODES), *size)
    subprocess.run(start, env=env, check=True, stdout=subprocess.DEVNULL)
    return subprocess.check_output(jobman("local", "kubeconfig"), env=env, text=True).strip()


@pytest.mark.parametrize("pods", [10_000, 100_000])
def test_the_queue_within_1_5x_of_the_bare_gets(
    env: dict[str, str], bench: Any, kubeconfig: str, pods: int
) -> None:
    fill(kubeconfig, pods)
    ours, bare = bench.best_of(
        5 if pods < 100_000 else 3,
        lambda: bench.measure(jobman("--local", "queue", "-o", "json"), env),
        lambda: bench.measure([sys.executable, "-c", BARE_GETS, kubeconfig, *PATHS], env),
    )
    rows = json.loads(ours.out)["rows"]
    assert sum(row["running"] + row["waiting"] for row in rows) == pods
    bench.ratio(f"queue of {pods:,} pods", ours, "bare gzipped GETs", bare, most=1.5)
    assert ours.peak_mb < 150


def test_publishing_100_000_pods_stays_small(
    env: dict[str, str], bench: Any, kubeconfig: str
) -> None:
    fill(kubeconfig, 100_000)
    publish = jobman("--local", "-n", NAMESPACE, "queue", "publish", "--names")
    cost = bench.measure(publish, env)
    with client_of(kubeconfig) as api:
        core = k8s.CoreV1Api(api)
        sizes = [
            len(core.read_namespaced_config_map(name, NAMESPACE).data[name].encode())
            for name in ("jobman-queue", "jobman-queue-names")
        ]
    bench.say(f"publishing: {cost.wall_s:.1f} s, {cost.peak_mb:.0f} MB, documents of {sizes} bytes")
    assert sizes[0] < 1_000_000
    assert sizes[1] <= 900 * 1024


def fill(kubeconfig: str, pods: int) -> None:
    """Fill the cluster from a process of its own: what is measured inherits this one's size."""
    subprocess.run([sys.executable, __file__, kubeconfig, str(pods)], check=True)


def client_of(kubeconfig: str) -> k8s.ApiClient:
    """The official client, to be closed."""
    configuration = k8s.Configuration()
    k8s_config.load_kube_config(kubeconfig, client_configuration=configuration)
    return k8s.ApiClient(configuration)


def make_pods(
    kubeconfig: str, pods: int, namespace: str = NAMESPACE, *, inert: bool = False
) -> None:
    """Active pods on the simulated nodes, one in twenty without a node; `inert`: all without."""
    with client_of(kubeconfig) as api, concurrent.futures.ThreadPoolExecutor(8) as pool:
        core = k8s.CoreV1Api(api)
        if not core.list_namespace(field_selector=f"metadata.name={namespace}").items:
            core.create_namespace({"metadata": {"name": namespace}})
        there = core.list_namespaced_pod(namespace, limit=1)
        known = len(there.items) + (there.metadata.remaining_item_count or 0)
        path = f"/api/v1/namespaces/{namespace}/pods"
        list(pool.map(lambda n: one_pod(api, path, n, inert=inert), range(known, pods)))


def one_pod(api: k8s.ApiClient, path: str, number: int, *, inert: bool) -> None:
    dice = random.Random(number)
    flavor = dice.choice(list(FLAVORS))
    requests = FLAVORS[flavor]
    user = f"user{dice.randrange(40)}"
    limits = {name: amount for name, amount in requests.items() if "/" in name}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "main",
                "image": "registry.example.org/team/train:1.2.3",
                "args": ["python3", "train.py", "--epochs", "90"],
                "resources": {"requests": requests, "limits": limits},
            }
        ],
    }
    placed = number % 20 and not inert
    spec |= {"nodeName": f"simulated-{number % NODES:05d}"} if placed else {}
    spec |= {} if placed else {"schedulerName": "nobody"}
    labels = {
        "app.kubernetes.io/managed-by": "jobman",
        "jobman/user": user,
        "jobman/flavor": flavor,
    }
    notes = {"jobman/user": user, "local.jobman/run-for": "20h"}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{number}", "labels": labels, "annotations": notes},
        "spec": spec,
    }
    kinds = {"Content-Type": "application/json", "Accept": "application/json"}
    request = api.param_serialize(
        "POST",
        path,
        body=body,
        header_params=kinds,
        auth_settings=["BearerToken"],
    )
    api.call_api(*request[:4]).response.read()


def test_capacity_for_100_flavors_on_2_000_nodes_in_a_second(bench: Any) -> None:
    dice = random.Random(7)
    nodes = [a_node(number, dice) for number in range(NODES)]
    flavors = [a_flavor(number) for number in range(100)]
    start = time.perf_counter()
    capacity = Capacity(nodes)
    found = [capacity.how_many(flavor) for flavor in flavors]
    took = time.perf_counter() - start
    bench.say(f"capacity, 100 flavors on {NODES:,} nodes: {took:.2f} s (at most 1.00)")
    assert any(found)
    assert took < 1.0


def a_node(number: int, dice: random.Random) -> NodeView:
    """No two alike: names, and what is used."""
    gib = 1000 * 2**30
    return NodeView(
        name=f"n{number}",
        labels={"kubernetes.io/hostname": f"n{number}", "zone": f"z{number % 3}"},
        taints=(Taint(GPU, "present", "NoSchedule"),) if number % 2 else (),
        schedulable=number % 50 != 0,
        ready=number % 70 != 0,
        allocatable={"cpu": 64_000, "memory": 512 * gib, "pods": 110_000, GPU: 8_000},
        used={
            "cpu": dice.randrange(64_000),
            "memory": dice.randrange(512 * gib),
            "pods": dice.randrange(110) * 1000,
            GPU: dice.randrange(9) * 1000,
        },
    )


def a_flavor(number: int) -> Wanted:
    gpus = number % 5
    asked = {"cpu": 1000 * (1 + number % 16), "memory": (1 + number) * 1000 * 2**30, "pods": 1000}
    selector = {"zone": f"z{number % 3}"} if number % 4 == 0 else {}
    return Wanted(asked | ({GPU: gpus * 1000} if gpus else {}), selector, None, ())


if __name__ == "__main__":
    make_pods(sys.argv[1], int(sys.argv[2]))
