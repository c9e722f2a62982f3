"""A TCP proxy that breaks every connection after a while, in the middle of what it carries.

TLS goes through it untouched, so that a kubeconfig needs another address and the server's name.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Connections to `target` live `life_s` seconds, give or take a half; None: for ever.

    `cuts` counts those that were broken. `rate` bounds the bytes per second to the client, so
    that a cut meets a transfer under way.
    """

    def __init__(
        self, target: tuple[str, int], life_s: float | None, *, rate: int | None = None
    ) -> None:
        self.life_s = life_s
        self.cuts = 0
        self._cut = threading.Condition()
        self._target = target
        self._rate = rate
        self._dice = random.Random(7)
        self._stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._shut = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Break all connections, and take none within."""
        self._shut = True
        for connection in list(self._open):
            _break(connection)
        try:
            yield
        finally:
            self._shut = False

    def wait_for_cuts(self, count: int, timeout_s: float = 60) -> None:
        """Return when so many more connections have been broken."""
        with self._cut:
            wanted = self.cuts + count
            assert self._cut.wait_for(lambda: self.cuts >= wanted, timeout_s), self.cuts

    def close(self) -> None:
        """Take no more connections, and break those that are open."""
        self._stopped.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._shut:
                _break(client)
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            _break(client)
            return
        server.settimeout(None)
        over = threading.Event()
        self._open.add(client)
        for source, sink, rate in ((client, server, None), (server, client, self._rate)):
            args = (source, sink, rate, over)
            threading.Thread(target=self._pump, args=args, daemon=True).start()
        life_s = None if self.life_s is None else self.life_s * self._dice.uniform(0.5, 1.5)
        if self._shut:
            _break(client)
        if not over.wait(life_s):
            with self._cut:
                self.cuts += 1
                self._cut.notify_all()
        self._open.discard(client)
        _break(client)
        _break(server)

    def _pump(
        self, source: socket.socket, sink: socket.socket, rate: int | None, over: threading.Event
    ) -> None:
        size = 65536 if rate is None else max(rate // 50, 1)
        with suppress(OSError):
            while data := source.recv(size):
                sink.sendall(data)
                if rate is not None:
                    self._stopped.wait(len(data) / rate)
        over.set()


def _break(connection: socket.socket) -> None:
    """Close it with a reset, as a load balancer does."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def cutting(
    kubeconfig: Path, directory: Path, life_s: float | None, *, rate: int | None = None
) -> Iterator[tuple[CuttingProxy, Path]]:
    """A proxy before the cluster of `kubeconfig`, and a kubeconfig that leads through it."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = next(c for c in config["contexts"] if c["name"] == config["current-context"])
    named = context["context"]["cluster"]
    cluster = next(c for c in config["clusters"] if c["name"] == named)["cluster"]
    address = urlsplit(cluster["server"])
    assert address.hostname is not None
    port = address.port or (443 if address.scheme == "https" else 80)
    proxy = CuttingProxy((address.hostname, port), life_s, rate=rate)
    cluster["server"] = f"{address.scheme}://127.0.0.1:{proxy.port}{address.path}"
    if address.scheme == "https":
        cluster.setdefault("tls-server-name", address.hostname)
    through = directory / f"through-{proxy.port}.yaml"
    through.write_text(yaml.safe_dump(config))
    try:
        yield proxy, through
    finally:
        proxy.close()
