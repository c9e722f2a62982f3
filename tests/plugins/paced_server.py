"""An API server that answers from memory, each list after the time that a real server took for it.

It does nothing else: bodies are made and packed beforehand, and it sleeps where a server works.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
TableOf = Callable[[Sequence[Object]], Object]

PAGE_SIZE = 500
PACKED_FROM = 128 * 1024
"""Bytes from which an API server packs an answer."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it goes over the wire, and the seconds after which it is sent."""

    raw: bytes
    after_s: float


def answer(
    body: Object, *, code: int = 200, kind: str = "application/json", s_per_byte: float = 0.0
) -> Answer:
    """`body` as JSON, packed where it is long; `s_per_byte` is of what it is unpacked."""
    text = json.dumps(body, separators=(",", ":")).encode() + b"\n"
    packed = len(text) >= PACKED_FROM
    sent = gzip.compress(text, 1) if packed else text
    head = [f"HTTP/1.1 {code} -", f"Content-Type: {kind}", f"Content-Length: {len(sent)}"]
    head += ["Content-Encoding: gzip"] if packed else []
    return Answer("\r\n".join([*head, "", ""]).encode() + sent, len(text) * s_per_byte)


@dataclass(frozen=True)
class Asked:
    """What of a request decides its answer; `table`: rows to print are wanted, not objects."""

    method: str
    path: str
    continue_: str = ""
    table: bool = False


def pages(
    path: str, head: Object, items: Sequence[Object], *, s_per_byte: float, table: TableOf | None
) -> Iterator[tuple[Asked, Answer]]:
    """The answers to a collection's pages: `head` is the List, or what `table` makes of items."""
    for start in range(0, max(len(items), 1), PAGE_SIZE):
        part, left = items[start : start + PAGE_SIZE], len(items) - start - PAGE_SIZE
        more = {"continue": f"from-{start + PAGE_SIZE}", "remainingItemCount": left}
        metadata = {"resourceVersion": "14262", **(more if left > 0 else {})}
        bodies = {False: {**head, "metadata": metadata, "items": part}}
        if table is not None:
            bodies[True] = {**table(part), "metadata": metadata}
        for as_table, body in bodies.items():
            asked = Asked("GET", path, f"from-{start}" if start else "", as_table)
            yield asked, answer(body, s_per_byte=s_per_byte)


_NOT_FOUND = answer({"kind": "Status", "reason": "NotFound", "code": 404}, code=404)


@contextlib.contextmanager
def serving(answers: Mapping[Asked, Answer], certificate: tuple[Path, Path]) -> Iterator[str]:
    """Serve them over TLS; the URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                found = answers.get(await _asked(reader), _NOT_FOUND)
                await asyncio.sleep(found.after_s)
                writer.write(found.raw)
        writer.close()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)

    async def end(server: asyncio.Server) -> None:
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _asked(reader: asyncio.StreamReader) -> Asked:
    """The next request; its body is read and not looked at."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in lines)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    continue_ = parse_qs(parts.query).get("continue", [""])[0]
    return Asked(method, parts.path, continue_, "as=Table" in headers.get("accept", ""))
