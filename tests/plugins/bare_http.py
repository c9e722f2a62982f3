"""An HTTP client that costs next to nothing, so that a benchmark measures the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Address:
    """A server with its CA and the bearer token that it knows."""

    url: str
    ca: str
    token: str

    @classmethod
    def of_cluster(cls, state: Path) -> Address:
        """The embedded cluster that runs in the state directory."""
        facts = json.loads((state / "daemon.json").read_text())
        return cls(facts["address"], facts["ca"], facts["token"])

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection, kept open."""
        parts = urlsplit(self.url)
        tls = ssl.create_default_context(cadata=self.ca)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=tls)
        try:
            yield Connection(reader, writer, self.token)
        finally:
            writer.transport.abort()


@dataclass(frozen=True)
class Connection:
    """Requests go out one after the other."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The answer's code and body; bodies of unknown length are not read."""
        self._send(method, path, body)
        code, length = await self._head()
        return code, await self.reader.readexactly(length)

    async def ask(self, method: str, path: str, value: Any = None) -> Any:
        """JSON for JSON; anything but success is an error."""
        body = json.dumps(value).encode() if value is not None else b""
        code, answer = await self.request(method, path, body)
        assert code < 300, answer
        return json.loads(answer)

    async def watch(self, path: str) -> AsyncIterator[Any]:
        """The events of a watch; nothing else can be asked over this connection any more."""
        self._send("GET", path, b"")
        await self._head()
        text = b""
        while size := int(await self.reader.readline(), 16):
            text += (await self.reader.readexactly(size + 2))[:-2]
            *lines, text = text.split(b"\n")
            for line in lines:
                yield json.loads(line)

    def _send(self, method: str, path: str, body: bytes) -> None:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)

    async def _head(self) -> tuple[int, int]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        _, _, after = head.lower().partition(b"content-length: ")
        return int(head[9:12]), int(after.partition(b"\r")[0]) if after else 0


async def post_all(address: Address, path: str, bodies: Iterable[bytes], *, at_once: int) -> None:
    """POST each body; every answer must be a 201."""
    left = iter(bodies)

    async def post(share: Iterator[bytes]) -> None:
        async with address.connection() as connection:
            for body in share:
                code, answer = await connection.request("POST", path, body)
                assert code == 201, answer

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(post(left))
