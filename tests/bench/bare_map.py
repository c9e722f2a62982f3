"""The requests that a map cannot do without, and nothing else: the reference of its benchmark.

    python bare_map.py KUBECONFIG COUNT PREFIX

One watch; 16 threads that create, read the log of what has ended, and delete, with the official
client's own calls and no decoding of their answers.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from kubernetes import client as k8s
from kubernetes import config

THREADS = 16
MOST_LIVE = 1000


def pod(name: str, prefix: str) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox", "command": ["true"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"bare": prefix},
            "annotations": {"local.jobman/run-for": "0s"},
        },
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": {"local.jobman/simulated": "true"},
            "containers": [container],
        },
    }


class Bare:
    """All items of one map."""

    def __init__(self, kubeconfig: str, prefix: str) -> None:
        configuration = k8s.Configuration()
        config.load_kube_config(kubeconfig, client_configuration=configuration)
        configuration.connection_pool_maxsize = 64
        self.core = k8s.CoreV1Api(k8s.ApiClient(configuration))
        self.prefix = prefix
        self.todo: queue.SimpleQueue[tuple[Callable[[str], None], str]] = queue.SimpleQueue()
        self.live = threading.Semaphore(MOST_LIVE)
        self.home = threading.Semaphore(0)

    def run(self, count: int) -> None:
        for work in [self.watch, *[self.work] * THREADS]:
            threading.Thread(target=work, daemon=True).start()
        for number in range(count):
            self.live.acquire()
            self.todo.put((self.create, f"{self.prefix}-{number}"))
        for _ in range(count):
            self.home.acquire()

    def work(self) -> None:
        while True:
            do, name = self.todo.get()
            do(name)

    def create(self, name: str) -> None:
        body = pod(name, self.prefix)
        self.core.create_namespaced_pod("default", body, _preload_content=False).read()

    def finish(self, name: str) -> None:
        self.core.read_namespaced_pod_log(name, "default", _preload_content=False).read()
        self.core.delete_namespaced_pod(name, "default", _preload_content=False).read()
        self.home.release()

    def watch(self) -> None:
        selector = f"bare={self.prefix}"
        answer = self.core.list_namespaced_pod(
            "default", label_selector=selector, watch=True, _preload_content=False
        )
        over: set[str] = set()
        rest = b""
        for chunk in answer.stream(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                found = json.loads(line)["object"]
                name = found["metadata"]["name"]
                if found["status"].get("phase") == "Succeeded" and name not in over:
                    over.add(name)
                    self.live.release()
                    self.todo.put((self.finish, name))


if __name__ == "__main__":
    Bare(sys.argv[1], sys.argv[3]).run(int(sys.argv[2]))
