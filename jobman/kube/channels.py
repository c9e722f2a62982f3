"""The streams of a command in a container, over a WebSocket: Kubernetes' channel protocols.

Each binary frame begins with its channel: 0 stdin, 1 stdout, 2 stderr, 3 the outcome as a Status,
4 the terminal's size, 255 (v5 alone) the end of another channel. One thread reads and writes, and
neither waits for the other: a command that echoes its input would else block both ends.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobman.errors import JobmanError, UnreachableError
from jobman.kube.failures import failure_of
from jobman.kube.resources import PODS
from jobman.kube.status import error_from

if TYPE_CHECKING:
    from kubernetes.client import Configuration

    from jobman.kube.client import Client
    from jobman.kube.connect import Connection

STDIN, STDOUT, STDERR, OUTCOME, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"

_NOT_NOW = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)


class Channels:
    """An open connection that never waits; `socket` is to be selected on.

    It is readable when `frames` may give some, and to be waited for as writable while `unsent`.
    """

    def __init__(self, websocket: Any, server: str) -> None:
        self._websocket = websocket
        self._server = server
        self._out = bytearray()
        self._channel = -1
        self.closed = False
        websocket.settimeout(0)

    @property
    def socket(self) -> Any:
        """The connection's socket."""
        return self._websocket.sock

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._out)

    @property
    def can_close_stdin(self) -> bool:
        """Whether the server understands that a channel ends."""
        answer = {key.lower(): value for key, value in self._websocket.getheaders().items()}
        return bool(answer.get("sec-websocket-protocol") == V5)

    def send(self, channel: int, data: bytes) -> None:
        """Have `data` sent as soon as there is room."""
        from websocket import ABNF

        self._enqueue(bytes([channel]) + data, ABNF.OPCODE_BINARY)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the size of the terminal."""
        self.send(RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    def close_stdin(self) -> None:
        """Tell that no more input comes, where the server understands that."""
        if self.can_close_stdin:
            self.send(CLOSE, bytes([STDIN]))

    def keep_alive(self) -> None:
        """Send a sign of life, so that nothing between here and there takes the way for unused."""
        from websocket import ABNF

        self._enqueue(b"", ABNF.OPCODE_PING)

    def _enqueue(self, payload: bytes, opcode: int) -> None:
        from websocket import ABNF

        self._out += ABNF.create_frame(payload, opcode).format()
        self.flush()

    def flush(self) -> None:
        """Send as much as there is room for. Raises UnreachableError when the other end is gone."""
        while self._out:
            try:
                sent = self.socket.send(self._out)
            except _NOT_NOW:
                return
            except OSError as error:
                raise self._lost(error) from error
            del self._out[:sent]

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """What has come: channel and bytes. Raises UnreachableError for a broken connection."""
        from websocket import ABNF, WebSocketConnectionClosedException, WebSocketException

        while not self.closed:
            try:
                frame = self._websocket.recv_frame()
            except _NOT_NOW:
                return
            except (WebSocketConnectionClosedException, OSError) as error:
                raise self._lost(error) from error
            except WebSocketException as error:
                raise JobmanError(f"{self._server} sent what is no WebSocket: {error}") from error
            if frame.opcode == ABNF.OPCODE_CLOSE:
                self.closed = True
            elif frame.opcode == ABNF.OPCODE_PING:
                self._enqueue(frame.data, ABNF.OPCODE_PONG)
            elif frame.opcode == ABNF.OPCODE_CONT:
                yield self._channel, bytes(frame.data)
            elif frame.opcode != ABNF.OPCODE_PONG and frame.data:
                self._channel = frame.data[0]
                yield self._channel, bytes(frame.data[1:])

    def close(self) -> None:
        """Give the connection up."""
        self._websocket.shutdown()

    def _lost(self, error: Exception) -> UnreachableError:
        return UnreachableError(
            f"the connection to {self._server} was lost: {str(error) or type(error).__name__}",
            hint="the command may still run",
        )


def open_exec(
    client: Client,
    pod: str,
    command: Sequence[str],
    *,
    namespace: str | None,
    container: str | None,
    stdin: bool,
    tty: bool,
) -> Channels:
    """Start a command in a running container. Raises the ApiError of a refusal."""
    query = [("command", word) for word in command]
    query += [("container", container)] if container else []
    streams = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    query += [(name, "true") for name, wanted in streams.items() if wanted]
    path = PODS.path(namespace or client.namespace, pod, "exec")
    connection = client.connection
    try:
        return Channels(_connect(client, path, query), connection.server)
    except _UnauthorizedError as refused:
        if not connection.credentials.renew(refused.used):
            raise refused.error from refused
    return Channels(_connect(client, path, query), connection.server)


class _UnauthorizedError(Exception):
    def __init__(self, error: JobmanError, used: int) -> None:
        self.error = error
        self.used = used


def _connect(client: Client, path: str, query: list[tuple[str, str]]) -> Any:
    from kubernetes.stream.ws_client import get_websocket_url
    from websocket import WebSocketBadStatusException, WebSocketException

    connection = client.connection
    api = connection.api
    with connection.credentials.checked() as used:
        serialized = api.param_serialize("GET", path, auth_settings=["BearerToken"])
    _, url, headers, _, _ = serialized
    try:
        return _open(
            connection, get_websocket_url(url, query), headers, client.transport.patience.read_s
        )
    except WebSocketBadStatusException as refused:
        error = _refusal(refused)
        if refused.status_code == 401:
            raise _UnauthorizedError(error, used) from refused
        raise error from refused
    except (WebSocketException, OSError) as broken:
        raise failure_of(broken, connection.server, proxy=connection.proxy).error from broken


def _open(connection: Connection, url: str, headers: Mapping[str, str], timeout_s: float) -> Any:
    """A WebSocket; the kubernetes package's own carries no header that acts as somebody else."""
    from kubernetes.stream.ws_client import websocket_proxycare
    from websocket import WebSocket

    configuration = connection.api.configuration
    said = [("Sec-WebSocket-Protocol", f"{V5},{V4}"), *headers.items(), *connection.acting_as]
    options: dict[str, Any] = {
        "header": [f"{name}: {value}" for name, value in said],
        "timeout": timeout_s,
    }
    if configuration.proxy or configuration.proxy_headers:
        options = websocket_proxycare(options, configuration, url, None)
    websocket = WebSocket(sslopt=_tls(configuration))
    websocket.connect(url, **options)  # type: ignore[no-untyped-call]
    return websocket


def _tls(configuration: Configuration) -> dict[str, Any]:
    """How the server proves itself, and we ourselves, in the words of the websocket package."""
    told = {
        "cert_reqs": ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE,
        "check_hostname": configuration.verify_ssl and configuration.assert_hostname is not False,
        "ca_certs": configuration.ssl_ca_cert,
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
        "server_hostname": configuration.tls_server_name,
    }
    return {key: value for key, value in told.items() if value is not None}


def _refusal(refused: Any) -> JobmanError:
    headers = {key.lower(): value for key, value in (refused.resp_headers or {}).items()}
    body = refused.resp_body or b""
    text = body.encode() if isinstance(body, str) else body
    return error_from(
        refused.status_code, text, content_type=headers.get("content-type", ""), location=None
    )
