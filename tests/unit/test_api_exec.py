"""Execs that are refused before anything begins, and input as clients send it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from plugins.api_server import ApiServer
from plugins.local_registry import pod

POD = "/api/v1/namespaces/default/pods/p"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[ApiServer]:
    """A server with a running pod."""
    made = pod("p", nodeName="n") | {"status": {"phase": "Running"}}
    made["metadata"] |= {"namespace": "default", "uid": "u"}
    with ApiServer(tmp_path) as server:
        server.put("pods", made)
        yield server


@pytest.mark.parametrize(
    ("upgrade", "said"),
    [
        ("SPDY/3.1", "exec over SPDY is not served here: use a client that speaks WebSocket"),
        ("", "Upgrade request required"),
    ],
)
def test_who_speaks_no_websocket_is_told(running: ApiServer, upgrade: str, said: str) -> None:
    headers = {"Upgrade": upgrade, "Connection": "Upgrade"} if upgrade else {}
    refused = running.ask("POST", f"{POD}/exec", {"command": "ls", "stdout": "1"}, headers=headers)
    assert (refused.code, refused.json["reason"]) == (400, "BadRequest")
    assert refused.json["message"].startswith(said)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        *(
            (part, f" (pods/{part} is not served by the embedded cluster of jobman)")
            for part in ("attach", "portforward", "ephemeralcontainers", "resize")
        ),
        ("proxy/x", ""),
        ("nonsense", ""),
    ],
)
def test_what_is_not_served_is_not_there(running: ApiServer, part: str, told: str) -> None:
    for method in ("GET", "POST"):
        refused = running.ask(method, f"{POD}/{part}")
        assert (refused.code, refused.json["reason"]) == (404, "NotFound")
        said = "the server could not find the requested resource" + told
        assert refused.json["message"] == said


def test_input_comes_as_bytes_or_as_text(running: ApiServer) -> None:
    url = f"http://127.0.0.1:{running.port}{POD}/exec?command=cat&stdin=1&stdout=1"

    async def echoed() -> bytes:
        said = b""
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer token-of-admin"}) as session,
            session.ws_connect(url, protocols=["v5.channel.k8s.io"]) as socket,
        ):
            await socket.send_str("\0text, ")
            await socket.send_bytes(b"\0bytes")
            await socket.send_bytes(b"\xff\0")
            async for message in socket:
                said += message.data[1:] if message.data[0] == 1 else b""
        return said

    assert asyncio.run(echoed()) == b"text, bytes"
