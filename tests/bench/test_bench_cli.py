"""What the command line costs, beside what its imports or its requests cost alone."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as k8s
from kubernetes import config as k8s_config
from kubernetes import watch as k8s_watch

pytestmark = pytest.mark.slow

JOBS = 10_000
NAMESPACE = "bench"
PATHS = [
    f"/{root}/namespaces/{NAMESPACE}/{kind}"
    for root, kind in (("apis/batch/v1", "jobs"), ("api/v1", "pods"))
]
BARE_GETS = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_kube_config

kubeconfig, selector, *paths = sys.argv[1:]
configuration = Configuration()
load_kube_config(kubeconfig, client_configuration=configuration)
api = ApiClient(configuration)
headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}

def pages(path):
    query, found = [("limit", 500), ("labelSelector", selector)], True
    while found:
        request = api.param_serialize(
            "GET", path, query_params=query, header_params=headers, auth_settings=["BearerToken"]
        )
        body = api.call_api(*request[:3], _request_timeout=(5, 60)).read()
        found = re.search(rb'"continue":"([^"]+)"', body[:1000])
        query = [*query[:2], ("continue", found[1].decode())] if found else query

with ThreadPoolExecutor(2) as pool:
    list(pool.map(pages, paths))
"""


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-c", code, *args]


def jobman(*args: str) -> list[str]:
    return [str(Path(sys.executable).parent / "jobman"), *args]


def test_help_within_3x_of_importing_typer(env: dict[str, str], bench: Any) -> None:
    ours, typer = bench.best_of(
        7,
        lambda: bench.measure(jobman("--help"), env),
        lambda: bench.measure(python("import typer"), env),
    )
    bench.ratio("jobman --help", ours, "import typer", typer, most=3.0)


def test_list_of_20_within_2_5x_of_importing_kubernetes(env: dict[str, str], bench: Any) -> None:
    for number in range(20):
        submit = jobman("--local", "submit", "-j", f"listed-{number}", "--", "true")
        subprocess.run(submit, env=env, check=True, stdout=subprocess.DEVNULL)
    ours, config = bench.best_of(
        7,
        lambda: bench.measure(jobman("--local", "list"), env),
        lambda: bench.measure(python("import kubernetes.config"), env),
    )
    assert ours.out.count(b"\n") == 21
    bench.ratio("jobman list of 20", ours, "import kubernetes.config", config, most=2.5)


def test_list_of_10_000_jobs_within_1_5x_of_the_bare_gets(env: dict[str, str], bench: Any) -> None:
    subprocess.run(jobman("local", "start"), env=env, check=True)
    kubeconfig = subprocess.check_output(jobman("local", "kubeconfig"), env=env, text=True).strip()
    server_dry_run = jobman("--local", "submit", "--server-dry-run", "-o", "json", "--", "true")
    labels = json.loads(subprocess.check_output(server_dry_run, env=env))["metadata"]["labels"]
    fill(kubeconfig, labels)
    selector = f"app.kubernetes.io/managed-by=jobman,jobman/user={labels['jobman/user']}"
    ours, bare = bench.best_of(
        3,
        lambda: bench.measure(jobman("--local", "-n", NAMESPACE, "list", "-o", "json"), env),
        lambda: bench.measure(python(BARE_GETS, kubeconfig, selector, *PATHS), env),
    )
    assert sum(row["active"] for row in json.loads(ours.out)) == JOBS
    bench.ratio("list -o json of 10,000 jobs", ours, "bare gzipped GETs", bare, most=1.5)
    assert ours.peak_mb < 150


def fill(kubeconfig: str, labels: dict[str, str]) -> None:
    """Fill the cluster from a process of its own: what is measured inherits this one's size."""
    subprocess.run([sys.executable, __file__, kubeconfig, json.dumps(labels)], check=True)


def make_jobs(kubeconfig: str, labels: dict[str, str]) -> None:
    """10,000 Jobs, each with one Pod that no scheduler takes."""
    configuration = k8s.Configuration()
    k8s_config.load_kube_config(kubeconfig, client_configuration=configuration)
    with k8s.ApiClient(configuration) as api, concurrent.futures.ThreadPoolExecutor(8) as pool:
        core, batch = k8s.CoreV1Api(api), k8s.BatchV1Api(api)
        core.create_namespace({"metadata": {"name": NAMESPACE}})
        list(pool.map(lambda n: one_job(batch, f"job-{n:05d}", labels), range(JOBS)))
        there = core.list_namespaced_pod(NAMESPACE, limit=1)
        made = 1 + (there.metadata.remaining_item_count or 0)
        version = there.metadata.resource_version
        changes = k8s_watch.Watch().stream(
            core.list_namespaced_pod, NAMESPACE, resource_version=version, timeout_seconds=300
        )
        while made < JOBS:
            made += next(changes)["type"] == "ADDED"


def one_job(batch: Any, name: str, labels: dict[str, str]) -> None:
    container = {"name": "main", "image": "busybox", "args": ["true"]}
    spec = {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    metadata = {"name": name, "labels": labels}
    batch.create_namespaced_job(NAMESPACE, {"metadata": metadata, "spec": {"template": template}})


def test_submit_to_first_log_line(env: dict[str, str], bench: Any) -> None:
    follow = jobman("--local", "submit", "--follow", "--", "echo", "here")
    subprocess.run(follow, env=env, check=True, stdout=subprocess.DEVNULL)
    costs = [bench.measure(follow, env) for _ in range(7)]
    beyond = min(cost.wall_s - cost.cpu_s for cost in costs)
    bench.say(f"submit --follow: {beyond:.2f} s beyond the process's own time (at most 0.50)")
    assert beyond < 0.5


if __name__ == "__main__":
    make_jobs(sys.argv[1], json.loads(sys.argv[2]))
