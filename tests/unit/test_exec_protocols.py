"""Commands in containers, against a WebSocket server that speaks the protocol a test names."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from jobman.errors import ForbiddenError, UnreachableError
from jobman.jobs.exec import Streams, carry
from jobman.kube.channels import Channels, open_exec
from jobman.kube.client import Client

V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
SUCCESS = {"metadata": {}, "status": "Success"}
REFUSAL = {"kind": "Status", "reason": "Forbidden", "message": "no exec", "code": 403}
Body = Callable[[web.WebSocketResponse], Awaitable[None]]


def exited(code: int) -> dict[str, Any]:
    cause = {"reason": "ExitCode", "message": str(code)}
    return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}


@dataclass
class ExecServer:
    """Takes commands in the protocols it knows, and does what the body says; none: refuses."""

    protocols: tuple[str, ...]
    body: Body | None
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked = list(request.query.items())
        self.headers = list(request.headers.items())
        if self.body is None:
            return web.json_response(REFUSAL, status=403)
        websocket = web.WebSocketResponse(protocols=self.protocols)
        await websocket.prepare(request)
        await self.body(websocket)
        return websocket


@contextmanager
def serving(*protocols: str, body: Body | None) -> Iterator[ExecServer]:
    server = ExecServer(protocols, body)
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/team/pods/p/exec", server.answer)
    runner = web.AppRunner(app)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    def on_loop(what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, loop).result(30)

    on_loop(start())
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        on_loop(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@dataclass
class Carried:
    """What a command left."""

    code: int
    out: bytes
    err: bytes
    can_close_stdin: bool


def carried(client: Client, given: bytes | None = None) -> Carried:
    """Run a command with this input, which then ends."""
    out, err = io.BytesIO(), io.BytesIO()
    channels = opened(client, stdin=given is not None)
    reader, writer = os.pipe()
    try:
        os.write(writer, given or b"")
        os.close(writer)
        code = carry(channels, Streams(out, err, None if given is None else reader))
    finally:
        os.close(reader)
        channels.close()
    return Carried(code, out.getvalue(), err.getvalue(), channels.can_close_stdin)


def opened(client: Client, *, stdin: bool = False) -> Channels:
    return open_exec(
        client, "p", ["sh", "-c", "a b"], namespace=None, container="main", stdin=stdin, tty=False
    )


async def told(websocket: web.WebSocketResponse, outcome: dict[str, Any]) -> None:
    await websocket.send_bytes(b"\x03" + json.dumps(outcome).encode())
    await websocket.close()


@pytest.mark.parametrize(("offered", "taken"), [((V4,), V4), ((V5,), V5), ((V5, V4), V5)])
@pytest.mark.parametrize(("outcome", "code"), [(SUCCESS, 0), (exited(7), 7)])
def test_output_and_exit_code(
    make_client: Callable[..., Client],
    offered: tuple[str, ...],
    taken: str,
    outcome: dict[str, Any],
    code: int,
) -> None:
    async def body(websocket: web.WebSocketResponse) -> None:
        await websocket.send_bytes(b"\x01")
        await websocket.send_bytes(b"\x01" + b"o" * 200_000)
        await websocket.send_bytes(b"\x02err\xff")
        await websocket.ping()
        await websocket.send_bytes(b"\x01\nend")
        await told(websocket, outcome)

    with serving(*offered, body=body) as server:
        done = carried(make_client(server.url))
    assert (done.code, done.err) == (code, b"err\xff")
    assert done.out == b"o" * 200_000 + b"\nend"
    assert done.can_close_stdin is (taken == V5)
    assert [value for key, value in server.asked if key == "command"] == ["sh", "-c", "a b"]
    assert ("container", "main") in server.asked
    assert "stdin" not in dict(server.asked)


@pytest.mark.parametrize("protocol", [V4, V5])
def test_the_end_of_the_input_is_told_where_that_can_be_said(
    make_client: Callable[..., Client], protocol: str
) -> None:
    ended: list[bytes] = []

    async def body(websocket: web.WebSocketResponse) -> None:
        got = b""
        async for message in websocket:
            assert message.type is WSMsgType.BINARY
            if message.data[:1] == b"\x00":
                got += message.data[1:]
            else:
                ended.append(message.data)
            if got == b"12345" and (ended or protocol == V4):
                break
        await websocket.send_bytes(b"\x01" + got)
        await told(websocket, SUCCESS)

    with serving(protocol, body=body) as server:
        done = carried(make_client(server.url), b"12345")
    assert (done.code, done.out) == (0, b"12345")
    assert ended == ([b"\xff\x00"] if protocol == V5 else [])
    assert ("stdin", "true") in server.asked


def test_a_connection_that_ends_before_the_command(make_client: Callable[..., Client]) -> None:
    async def body(websocket: web.WebSocketResponse) -> None:
        await websocket.send_bytes(b"\x01begun")
        await websocket.close()

    with serving(V4, body=body) as server, pytest.raises(UnreachableError) as caught:
        carried(make_client(server.url))
    assert caught.value.hint == "the command may still run"


def test_a_command_for_somebody_else(make_client: Callable[..., Client]) -> None:
    async def body(websocket: web.WebSocketResponse) -> None:
        await told(websocket, SUCCESS)

    user = {"as": "bob", "as-groups": ["one", "two"]}
    with serving(V5, body=body) as server:
        assert carried(make_client(server.url, user=user)).code == 0
    named = [(name, value) for name, value in server.headers if name.startswith("Impersonate-")]
    assert named == [
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "one"),
        ("Impersonate-Group", "two"),
    ]


def test_a_refusal_is_the_servers_own(make_client: Callable[..., Client]) -> None:
    with serving(body=None) as server, pytest.raises(ForbiddenError, match="no exec"):
        opened(make_client(server.url))
