"""Recorded requests, sent to an embedded server that holds what was there before each of them."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from plugins.api_server import ApiServer
from plugins.replay_diff import Comparison
from plugins.replay_node import RecordedNode, content
from plugins.replay_recordings import Object, Recording
from plugins.replay_state import arrange, feed

from jobman.local.api.users import AUTHENTICATED, MASTERS, User

_SOME_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
# What the recordings tell by a placeholder: too big to keep.
_BIG_BODIES = {
    "<Pod with a 1600000-byte env value>": ("Pod", "env", 1_600_000),
    "<Job with a 1600000-byte env value>": ("Job", "env", 1_600_000),
    "<Job with a 300000-byte annotation>": ("Job", "annotation", 300_000),
    "<ConfigMap with data.k of 1048577 characters>": ("ConfigMap", "data", 1_048_577),
    "<ConfigMap with data.k of 3200000 characters>": ("ConfigMap", "data", 3_200_000),
}
# Whom the recordings call so.
USERS = {
    "admin": User("admin", (MASTERS, AUTHENTICATED)),
    "alice": User("alice", ("team-a", AUTHENTICATED)),
    "bob": User("bob", ("team-b", AUTHENTICATED)),
    "service": User(
        "system:serviceaccount:rec-alice:default",
        ("system:serviceaccounts", "system:serviceaccounts:rec-alice", AUTHENTICATED),
    ),
}


@dataclass
class Replay:
    """A server, and the node behind it."""

    server: ApiServer
    node: RecordedNode

    def differences(self, recording: Recording) -> list[str]:
        """Replay a recording and say how the answer differs from the recorded one."""
        self.node.prepare(recording)
        self.server.on_loop(lambda: arrange(self.server, recording))
        if "frames" in recording.response:
            try:
                return asyncio.run(_exec(self.server.port, recording))
            except aiohttp.WSServerHandshakeError as error:
                return [f"status: {error.status}, not 101"]
        with self.server.connection() as connection:
            answer = _sent(connection, recording)
            wanted = recording.response["status"]
            found = [] if answer.status == wanted else [f"status: {answer.status}, not {wanted}"]
            lines = recording.lines
            if lines is None or answer.status >= 400:
                return found + _compared(answer, recording)
            self.server.on_loop(lambda: feed(self.server.store, recording))
            said = list(_read(answer, recording, len(lines)))
            return found + Comparison().differences(said, lines)


@contextmanager
def replay(directory: Path) -> Iterator[Replay]:
    """A server for replays."""
    node = RecordedNode(directory / "log")
    with ApiServer(directory, users=USERS, node=node) as server:
        try:
            yield Replay(server, node)
        finally:
            server.on_loop(node.close)


async def _exec(port: int, recording: Recording) -> list[str]:
    """An exec: what came on each channel, and how it ended."""
    response = recording.response
    offered = recording.request["headers"].get("Sec-WebSocket-Protocol", "")
    protocols = [name.strip() for name in offered.split(",") if name.strip()]
    url = f"http://127.0.0.1:{port}{recording.request['path']}?{urlencode(recording.query)}"
    headers = _identity(recording.request.get("auth"))
    ours: dict[int, bytes] = defaultdict(bytes)
    theirs: dict[int, bytes] = defaultdict(bytes)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=protocols, headers=headers) as socket,
    ):
        for frame in response["frames"]:
            if frame["dir"] == "server" and "channel" in frame:
                theirs[frame["channel"]] += content(frame)
            elif "channel" in frame:
                await socket.send_bytes(bytes([frame["channel"]]) + content(frame))
        async with asyncio.timeout(1):
            async for message in socket:
                ours[message.data[0]] += message.data[1:]
    protocol, code = socket.protocol or "", socket.close_code
    end = response["frames"][-1].get("closeCode")
    return Comparison().differences(
        {"channels": _told(ours), "protocol": protocol, "end": end and code},
        {"channels": _told(theirs), "protocol": response["negotiated"] or "", "end": end},
    )


def _told(channels: dict[int, bytes]) -> dict[str, Any]:
    return {
        str(number): json.loads(data) if number == 3 else data.decode(errors="surrogateescape")
        for number, data in channels.items()
    }


def _sent(connection: HTTPConnection, recording: Recording) -> HTTPResponse:
    request = recording.request
    headers = dict(request.get("headers") or {})
    headers.update(_identity(request.get("auth")))
    query = [(name, value) for name, value in recording.query]
    if recording.lines is not None and "timeoutSeconds" in recording.asked:
        query = [(n, "1" if n == "timeoutSeconds" else value) for n, value in query]
    path = quote(request["path"], safe="/%")
    url = f"{path}?{urlencode(query)}" if query else path
    connection.putrequest(request["method"], url, skip_accept_encoding=True)
    body = _body(request)
    if body is not None:
        headers["Content-Length"] = str(len(body))
    for name, value in headers.items():
        connection.putheader(name, _SOME_KEY if value == "<random>" else value)
    connection.endheaders(body)
    return connection.getresponse()


def _identity(auth: str | None) -> dict[str, str]:
    who = (auth or "admin").split()[0].strip(",")
    if who == "anonymous":
        return {}
    return {"Authorization": f"Bearer {'not-a-token' if who == 'bearer' else f'token-of-{who}'}"}


def _body(request: Object) -> bytes | None:
    body = request.get("bodyText", request.get("body"))
    if isinstance(body, str) and body in _BIG_BODIES:
        body = _big(*_BIG_BODIES[body])
    if body is None:
        return b"" if request["method"] in ("POST", "PUT", "PATCH") else None
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _big(kind: str, what: str, size: int) -> Object:
    filling = "x" * size
    if kind == "ConfigMap":
        about: Object = {"name": "big"}
        return {"kind": kind, "apiVersion": "v1", "metadata": about, "data": {"k": filling}}
    env = [{"name": "BIG", "value": filling}] if what == "env" else []
    container = {"name": "main", "image": "busybox", "command": ["true"], "env": env}
    spec: Object = {"restartPolicy": "Never", "containers": [container]}
    about = {"name": "bigenv"}
    if what == "annotation":
        about = {"name": "bigann", "annotations": {"big": filling}}
    if kind == "Pod":
        return {"kind": kind, "apiVersion": "v1", "metadata": about, "spec": spec}
    template = {"template": {"spec": spec}}
    return {"kind": kind, "apiVersion": "batch/v1", "metadata": about, "spec": template}


def _compared(answer: HTTPResponse, recording: Recording) -> list[str]:
    comparison = Comparison()
    theirs = recording.headers
    raw = answer.read()
    kind = answer.getheader("Content-Type", "")
    found = []
    if "Content-Type" in theirs and kind != theirs["Content-Type"]:
        found.append(f"Content-Type: {kind!r}, not {theirs['Content-Type']!r}")
    for name in ("Warning", "Retry-After"):
        wanted = theirs.get(name, [])
        wanted = [wanted] if isinstance(wanted, str) else wanted
        found += comparison.differences(answer.headers.get_all(name) or [], wanted)
    body = recording.body
    if recording.method == "HEAD" or recording.response["status"] in (204, 304):
        return found
    return found + comparison.differences(_decoded(raw, body), body)


def _decoded(raw: bytes, wanted: Any) -> Any:
    if isinstance(wanted, bytes):
        return raw
    if isinstance(wanted, str):
        return raw.decode(errors="replace")
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


def _read(answer: HTTPResponse, recording: Recording, count: int) -> Iterator[Any]:
    """The lines of a watch: to its end where it ends by itself, else as many as were recorded."""
    to_the_end = "timeoutSeconds" in recording.asked and "Bookmarks" not in str(recording.asked)
    while to_the_end or count:
        line = answer.readline()
        if not line:
            return
        count -= 1
        yield json.loads(line)
