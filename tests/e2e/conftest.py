"""Whole commands against a cluster: the embedded one, or any other with `--kubeconfig FILE`.

A test here reaches the cluster only through commands and the Kubernetes API, in a namespace of
its own, so that it means the same on both.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as k8s
from kubernetes import config as k8s_config
from plugins.accounts import as_account

__all__ = ["as_account"]


@dataclass(frozen=True)
class Cluster:
    """The cluster under test: `scale` stretches time limits on a slow one."""

    kubeconfig: Path
    embedded: bool
    image: str
    scale: float
    env: dict[str, str]


@dataclass(frozen=True)
class Result:
    """What a finished command left."""

    args: tuple[str, ...]
    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def talk(self) -> str:
        return self.err.decode()

    def ok(self) -> Result:
        """Itself, or a failure that shows everything."""
        assert self.code == 0, f"{self}\n--- stdout\n{self.text}\n--- stderr\n{self.talk}"
        return self

    def __str__(self) -> str:
        return f"jobman {' '.join(self.args)} -> {self.code}"


@dataclass
class Running:
    """A command that goes on, with its output as it comes."""

    process: subprocess.Popen[bytes]
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    changed: threading.Condition = field(default_factory=threading.Condition)
    threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        for stream, store in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            thread = threading.Thread(target=self._pump, args=(stream, store), daemon=True)
            thread.start()
            self.threads.append(thread)

    def _pump(self, stream: Any, store: bytearray) -> None:
        with stream:
            while chunk := stream.read1(65536):
                with self.changed:
                    store += chunk
                    self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, text: bytes, timeout_s: float = 60) -> None:
        """Return when `text` has come on either stream."""
        with self.changed:
            seen = self.changed.wait_for(lambda: text in self.out or text in self.err, timeout_s)
        assert seen, f"no {text!r} in\n--- stdout\n{self.out!r}\n--- stderr\n{self.err!r}"

    def wait_for_lines(self, more: int, timeout_s: float = 60) -> None:
        """Return when so many more lines have come on stdout."""
        with self.changed:
            wanted = self.out.count(b"\n") + more
            seen = self.changed.wait_for(lambda: self.out.count(b"\n") >= wanted, timeout_s)
        assert seen, f"no {more} lines more in {self.out!r}"

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def finish(self, timeout_s: float = 60) -> int:
        code = self.process.wait(timeout_s)
        for thread in self.threads:
            thread.join(timeout_s)
        return code


@dataclass(frozen=True)
class Jobman:
    """Runs `jobman` as a user of the cluster would, in the test's namespace."""

    cluster: Cluster
    namespace: str
    env: dict[str, str]
    cwd: Path

    def __call__(
        self,
        *args: str,
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "jobman", *args],
            input=stdin if stdin is not None else b"",
            capture_output=True,
            env=self.env | (env or {}),
            cwd=self.cwd,
            timeout=timeout_s * self.cluster.scale,
            check=False,
        )
        return Result(args, done.returncode, done.stdout, done.stderr)

    def start(self, *args: str, env: dict[str, str] | None = None) -> Running:
        """The command in the background, its output as it comes."""
        return Running(self.popen(*args, env=env))

    def popen(self, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """The command in the background."""
        return subprocess.Popen(
            [sys.executable, "-m", "jobman", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env | (env or {}),
            cwd=self.cwd,
        )

    def submit(self, *args: str) -> str:
        """Submit and return the job's name."""
        return self("submit", *args).ok().text.strip()


@pytest.fixture(scope="session")
def cluster(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("home of the user")
    given = pytestconfig.getoption("--kubeconfig")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "TERM": "dumb",
        "COLUMNS": "200",
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "error",
    }
    scale = float(pytestconfig.getoption("--timeout-scale"))
    image = pytestconfig.getoption("--image")
    if given:
        yield Cluster(Path(given).absolute(), False, image, scale, env)
        return
    env["JOBMAN_LOCAL_STATE"] = str(tmp_path_factory.mktemp("embedded cluster"))

    def local(*args: str) -> str:
        command = [sys.executable, "-m", "jobman", "local", *args]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    local("start")
    yield Cluster(Path(local("kubeconfig")), True, image, scale, env)
    local("reset", "-y")


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[k8s.ApiClient]:
    """The official client, to arrange and to look."""
    configuration = k8s.Configuration()
    k8s_config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    with k8s.ApiClient(configuration) as client:
        yield client


@pytest.fixture
def namespace(api: k8s.ApiClient) -> Iterator[str]:
    name = f"e2e-{uuid.uuid4().hex[:10]}"
    core = k8s.CoreV1Api(api)
    core.create_namespace(k8s.V1Namespace(metadata=k8s.V1ObjectMeta(name=name)))
    yield name
    with contextlib.suppress(k8s.ApiException):
        core.delete_namespace(name)


@pytest.fixture
def jobman(cluster: Cluster, namespace: str, tmp_path: Path) -> Jobman:
    env = cluster.env | {
        "KUBECONFIG": str(cluster.kubeconfig),
        "JOBMAN_NAMESPACE": namespace,
        "JOBMAN_IMAGE": cluster.image,
        "JOBMAN_FLAVOR": '{"name": "e2e", "resources": {"requests": {"cpu": "10m"}}}',
    }
    return Jobman(cluster, namespace, env, tmp_path)


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str, tmp_path: Path) -> Callable[..., Result]:
    """`kubectl` in the test's namespace, with a cache of its own."""

    def run(*args: str, stdin: bytes = b"", timeout_s: float = 60) -> Result:
        command = ["kubectl", "--cache-dir", str(tmp_path / "kubectl cache"), "-n", namespace]
        done = subprocess.run(
            [*command, *args],
            input=stdin,
            capture_output=True,
            env=cluster.env | {"KUBECONFIG": str(cluster.kubeconfig)},
            timeout=timeout_s * cluster.scale,
            check=False,
        )
        return Result(args, done.returncode, done.stdout, done.stderr)

    return run
