"""The queue beside `kubectl get pods -A`: on a stand-in that is as fast as a real server was, and
with `--kubeconfig FILE` on a real one."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.test_bench_queue import client_of, make_pods
from kubernetes import client as k8s
from plugins import recorded_lists
from plugins.paced_server import Answer, Asked, answer, pages, serving
from plugins.scripted_server import certificate

__all__ = ["certificate"]

pytestmark = pytest.mark.slow

PODS, NODES = 10_000, 2_000
S_PER_BYTE = 0.179 / 22_272_623
"""A real server's, 1.36 on two cores: 10,065 pods, 22 MB, packed with gzip in 0.179 s."""

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def jobman(*args: str) -> list[str]:
    return [str(Path(sys.executable).parent / "jobman"), *args]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
@pytest.mark.parametrize("bare", [True, False], ids=["bare pods", "whole pods"])
def test_the_queue_in_a_quarter_of_kubectls_time(
    env: dict[str, str],
    bench: Any,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    bare: bool,
) -> None:
    """`jobman queue` beside `kubectl get pods -A`, 10,000 pods on 2,000 nodes, on one server.

    The server is none: it sends prepared answers, shaped as a real server's, after the time that
    one took for as many bytes (S_PER_BYTE). It is as fast for kubectl's rows as for objects, which
    favours kubectl; its processor time is nobody's, as on a cluster of other machines. It says
    nothing of a network, of how a server slows down under load, or of Jobs: these pods have none.
    kubectl waits for more than a second of its own will: after the first pages it asks for five a
    second. What the queue takes is processor time of one thread, mostly: a slow machine, or one
    with other work, makes it slower and kubectl less so.
    """
    with serving(answers(bare=bare), certificate) as url:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(config_of(url, certificate[0])))
        there = {**env, "KUBECONFIG": str(kubeconfig)}
        ours, kubectl = bench.best_of(
            5,
            lambda: bench.measure(jobman("queue"), there),
            lambda: bench.measure(["kubectl", "get", "pods", "-A"], there),
        )
    assert b"500 waiting, 9500 running" in ours.out
    assert kubectl.out.count(b"\n") == 10_001
    bench.ratio("queue of 10,000 pods", ours, "kubectl get pods -A", kubectl, most=0.25)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
def test_the_queue_in_a_quarter_of_kubectls_time_on_a_real_server(
    env: dict[str, str], bench: Any, pytestconfig: pytest.Config
) -> None:
    """The same on the cluster of `--kubeconfig`, with 10,000 pods more that no scheduler takes.

    A server that shares its processors with these two slows the queue down more than kubectl,
    which waits for itself.
    """
    given = pytestconfig.getoption("--kubeconfig")
    if given is None:
        pytest.skip("a real server is needed: --kubeconfig FILE")
    there = {**env, "KUBECONFIG": str(Path(given).absolute())}
    with inert_pods(there["KUBECONFIG"]):
        ours, kubectl = bench.best_of(
            5,
            lambda: bench.measure(jobman("queue"), there),
            lambda: bench.measure(["kubectl", "get", "pods", "-A"], there),
        )
    assert kubectl.out.count(b"\n") > PODS
    bench.ratio("queue on a real server", ours, "kubectl get pods -A", kubectl, most=0.25)


@contextlib.contextmanager
def inert_pods(kubeconfig: str) -> Iterator[None]:
    """10,000 pods in a namespace of their own."""
    namespace = f"bench-{uuid.uuid4().hex[:10]}"
    try:
        make_pods(kubeconfig, PODS, namespace, inert=True)
        yield
    finally:
        with client_of(kubeconfig) as api:
            core = k8s.CoreV1Api(api)
            core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)
            core.delete_namespace(namespace)


def answers(*, bare: bool) -> dict[Asked, Answer]:
    """What both commands ask for."""
    pods = recorded_lists.pods(PODS, NODES, bare=bare)
    lists: list[tuple[str, str, list[dict[str, Any]]]] = [
        ("/api/v1/pods", "PodList", pods),
        ("/api/v1/nodes", "NodeList", recorded_lists.nodes(NODES)),
        ("/apis/batch/v1/jobs", "JobList", []),
        ("/api/v1/namespaces/default/resourcequotas", "ResourceQuotaList", []),
    ]
    found: dict[Asked, Answer] = {}
    for path, kind, items in lists:
        table = recorded_lists.table if items is pods else None
        found.update(pages(path, {"kind": kind}, items, s_per_byte=S_PER_BYTE, table=table))
    for path in ("/api", "/apis"):
        groups = recorded_lists.recorded(f"discovery{path}-aggregated")
        found[Asked("GET", path)] = answer(groups, kind=DISCOVERY)
    me = recorded_lists.recorded("auth/selfsubjectreview-alice")
    found[Asked("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews")] = answer(me)
    found[Asked("GET", "/version")] = answer(recorded_lists.recorded("discovery/version"))
    return found


def config_of(url: str, ca: Path) -> dict[str, Any]:
    """A kubeconfig."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": "me", "user": {"token": "mine"}}],
    }
