"""An HTTP server that answers as scripted: the outermost boundary for tests of HTTP clients.

    server.script("GET", "/api/v1/pods", Reply(503), Reply(200, {"items": []}))

answers the first such request with 503 and each further one with the list. What was asked is in
`server.requests`. A request that no script knows is answered 404 as an API server would.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest


@dataclass(frozen=True)
class Asked:
    """A request as it arrived; `certificate` is the common name in the client's."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    certificate: str | None = None


@dataclass(frozen=True)
class Reply:
    """An answer: `body` as JSON unless it is bytes.

    `chunks`: a chunked body, piece by piece as the iterable yields it. `cut`: the connection is
    reset, before the status line when there are no chunks, else after them.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] | None = None
    cut: bool = False


Script = Reply | Callable[[Asked], Reply]


class ScriptedServer:
    """`url` is where it listens; `requests` what it was asked, oldest first."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Asked] = []
        self._scripts: dict[tuple[str, str], list[Script]] = {}
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _handler(self))
        if context is not None:
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def script(self, method: str, path: str, *replies: Script) -> None:
        """Answer these requests with these replies in turn; the last one stays."""
        self._scripts[method, path] = list(replies)

    def asked(self, method: str, path: str) -> list[Asked]:
        """The requests of one kind."""
        return [r for r in self.requests if (r.method, r.path) == (method, path)]

    def reply_to(self, asked: Asked) -> Reply:
        with self._lock:
            self.requests.append(asked)
            scripts = self._scripts.get((asked.method, asked.path), [_NOT_FOUND])
            script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        return script if isinstance(script, Reply) else script(asked)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


_NOT_FOUND = Reply(
    404, {"kind": "Status", "reason": "NotFound", "message": "no script", "code": 404}
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of the tests."""


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: Any) -> None:
            pass

        def answer(self) -> None:
            reply = server.reply_to(self._asked())
            if reply.cut and reply.chunks is None:
                self._reset()
                return
            if reply.chunks is None:
                self._whole(reply)
            else:
                self._chunked(reply)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def _asked(self) -> Asked:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            with contextlib.suppress(ValueError):
                raw = json.loads(raw) if raw else None
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            headers = {name: ", ".join(self.headers.get_all(name, [])) for name in self.headers}
            return Asked(self.command, parts.path, query, headers, raw, self._certificate())

        def _certificate(self) -> str | None:
            if not isinstance(self.connection, ssl.SSLSocket):
                return None
            subject: Any = (self.connection.getpeercert() or {}).get("subject", ())
            return dict(part for parts in subject for part in parts).get("commonName")

        def _whole(self, reply: Reply) -> None:
            body = reply.body
            if not isinstance(body, bytes):
                body = json.dumps(body).encode() + b"\n"
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", **reply.headers}
            if headers.get("Content-Encoding") == "gzip":
                body = gzip.compress(body)
            for key, value in headers.items():
                self.send_header(key, value)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _chunked(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for key, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(key, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            for chunk in reply.chunks or ():
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            if reply.cut:
                self._reset()
            else:
                self.wfile.write(b"0\r\n\r\n")

        def _reset(self) -> None:
            self.close_connection = True
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    return Handler


@pytest.fixture
def scripted_server() -> Iterator[ScriptedServer]:
    """A server on plain HTTP."""
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), "scripted")


def make_certificate(folder: Path, common_name: str) -> tuple[Path, Path]:
    """Another one, of that name, in that folder."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "crt.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "crt.pem", folder / "key.pem"


@pytest.fixture
def scripted_https(certificate: tuple[Path, Path]) -> Iterator[ScriptedServer]:
    """The same over TLS, with `certificate`."""
    server = ScriptedServer(tls_of(certificate))
    yield server
    server.close()


def tls_of(own: tuple[Path, Path], *clients: Path) -> ssl.SSLContext:
    """TLS of a server with its `own` certificate, that demands one of `clients` where given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own)
    for trusted in clients:
        context.load_verify_locations(cafile=trusted)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
