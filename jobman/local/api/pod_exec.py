"""`…/pods/NAME/exec` over a WebSocket: Kubernetes' channel protocols v5 and v4.

Binary frames; the first byte is the channel: 0 stdin, 1 stdout, 2 stderr, 3 the outcome as a
Status, 4 the terminal's size, 255 (v5) the end of another channel.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from jobman.local.api import answers, status
from jobman.local.api.agent import ExecError, ExecOptions, NodeAgent
from jobman.local.api.call import Call
from jobman.local.api.pod_log import chosen_container
from jobman.local.api.status import ApiError, PlainError

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _OUTCOME, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_NO_SPDY = "exec over SPDY is not served here: use a client that speaks WebSocket (kubectl >= 1.31)"
_SIZES_KEPT = 16
_STDIN_KEPT = 64


async def serve(call: Call, agent: NodeAgent) -> web.StreamResponse:
    """Run a command in a container, its streams on one WebSocket."""
    request = call.request
    pod = call.registry.get("pods", call.target.home, call.name)
    container = chosen_container(pod, request.query.get("container", ""))
    if not pod["spec"].get("nodeName"):
        name = pod["metadata"]["name"]
        raise status.bad_request(f"pod {name} does not have a host assigned")
    upgrade = request.headers.get("Upgrade", "").lower()
    if upgrade.startswith("spdy/"):
        raise status.bad_request(_NO_SPDY)
    if upgrade != "websocket":
        raise status.bad_request("Upgrade request required")
    options = _options(request)
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        raise PlainError(500, f'container not found ("{container}")')
    protocol = _protocol(request)
    if protocol is None:
        return web.Response(status=403, headers=answers.common_headers())
    agent.check(pod)
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
    await socket.prepare(request)
    await socket.send_bytes(bytes([_STDOUT]))
    session = _Session(socket)
    reader = asyncio.create_task(session.read())
    try:
        outcome = await _outcome(agent, pod, container, options, session, protocol)
        await socket.send_bytes(bytes([_OUTCOME]) + json.dumps(outcome).encode())
    except ConnectionError:
        pass  # the caller went away
    finally:
        reader.cancel()
        await socket.close()
    return socket


class _Session:
    """The Channels of one WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._stdin: asyncio.Queue[bytes] = asyncio.Queue(_STDIN_KEPT)
        self._sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue(_SIZES_KEPT)

    async def read(self) -> None:
        """Sort the caller's frames to their channels until it goes."""
        async for message in self._socket:
            frame = _frame(message)
            if not frame:
                continue
            channel, data = frame[0], frame[1:]
            if channel == _STDIN and data:
                await self._stdin.put(data)
            elif channel == _CLOSE and data[:1] == bytes([_STDIN]):
                await self._stdin.put(b"")
            elif channel == _RESIZE:
                self._resize(data)
        await self._stdin.put(b"")

    async def read_stdin(self) -> bytes:
        """The next bytes for the process; empty at the end."""
        return await self._stdin.get()

    async def write(self, channel: int, data: bytes) -> None:
        """Bytes of the process."""
        await self._socket.send_bytes(bytes([channel]) + data)

    async def resized(self) -> tuple[int, int]:
        """The next size of the terminal."""
        return await self._sizes.get()

    def _resize(self, data: bytes) -> None:
        try:
            size = json.loads(data)
            columns, rows = int(size["Width"]), int(size["Height"])
        except (ValueError, KeyError, TypeError):
            return
        if columns > 0 and rows > 0 and not self._sizes.full():
            self._sizes.put_nowait((columns, rows))


def _frame(message: WSMessage) -> bytes:
    """A frame's bytes; some clients send text as such."""
    data: str | bytes = message.data
    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
        return b""
    return data.encode() if isinstance(data, str) else data


async def _outcome(
    agent: NodeAgent,
    pod: dict[str, Any],
    container: str,
    options: ExecOptions,
    session: _Session,
    protocol: str,
) -> dict[str, Any]:
    """The Status that tells how the command ended."""
    try:
        code = await agent.exec(pod, container, options, session)
    except ExecError as error:
        return _internal(str(error))
    except ApiError as error:
        return error.status
    except PlainError as error:
        return _internal(error.text)
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    how = f"command terminated with exit code {code}"
    if protocol == PROTOCOLS[1]:
        how = f"error executing command [{' '.join(options.command)}], exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {how}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _internal(message: str) -> dict[str, Any]:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


def _options(request: web.BaseRequest) -> ExecOptions:
    query = request.query

    def wanted(name: str) -> bool:
        return query.get(name, "") in ("1", "true", "True", "TRUE", "t", "T")

    options = ExecOptions(
        command=tuple(query.getall("command", [])),
        stdin=wanted("stdin"),
        stdout=wanted("stdout"),
        stderr=wanted("stderr"),
        tty=wanted("tty"),
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise PlainError(400, "you must specify at least 1 of stdin, stdout, stderr")
    return options


def _protocol(request: web.BaseRequest) -> str | None:
    """The protocol to speak: the newest that both know, v4 where the caller names none."""
    header = request.headers.get("Sec-WebSocket-Protocol", "")
    offered = [name.strip() for name in header.split(",") if name.strip()]
    if not offered:
        return PROTOCOLS[1]
    return next((name for name in PROTOCOLS if name in offered), None)
