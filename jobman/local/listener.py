"""The HTTP server's door: it takes no caller for ever, and logs no caller's mistakes as its own."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpProcessingError, HttpVersion11

HEADERS_S = 32.0
IDLE_S = 90.0

log = logging.getLogger(__name__)
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_CALLERS_FAULTS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


class Listener:
    """Serves `handler` on a port, as the library's server without an application's routes.

    `headers_s` is how long a caller may take to ask, `body_max` how many bytes a body may have.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        body_max: int,
        shutdown_s: float,
        headers_s: float = HEADERS_S,
    ) -> None:
        self._handler = handler
        self._body_max = body_max
        self._shutdown_s = shutdown_s
        self._headers_s = headers_s
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}
        self._loop = asyncio.get_running_loop()
        self._protocols = web.Server(
            self._hear,
            request_factory=self._request,
            access_log=None,
            logger=log,
            keepalive_timeout=IDLE_S,
            handler_cancellation=True,  # nobody is waited for who is gone: a quiet watch ends
            auto_decompress=False,  # Kubernetes reads bodies as they are; and none grows in here
        )
        self._server: asyncio.Server | None = None

    async def start(self, host: str, ssl_context: ssl.SSLContext | None = None) -> int:
        """Serve on a port that the system chooses; that port."""
        self._server = await self._loop.create_server(self._caller, host, 0, ssl=ssl_context)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more callers, and end those that are there."""
        if self._server is not None:
            self._server.close()
        for timer in self._silent.values():
            timer.cancel()
        await asyncio.sleep(0)  # who has asked already is heard
        self._protocols.pre_shutdown()
        await self._protocols.shutdown(self._shutdown_s)

    def _caller(self) -> asyncio.BaseProtocol:
        caller = self._protocols()
        self._silent[caller] = self._loop.call_later(self._headers_s, self._end, caller)
        return caller

    def _request(
        self,
        message: Any,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=self._body_max
        )

    async def _hear(self, request: web.BaseRequest) -> web.StreamResponse:
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        if "Expect" in request.headers:
            await _let_go_on(request)
        return await self._handler(request)

    def _end(self, silent: web.RequestHandler) -> None:
        del self._silent[silent]
        silent.force_close()


async def _let_go_on(request: web.BaseRequest) -> None:
    """The caller waits for a word before it sends its body. Raises a 417 for any other wish."""
    expect = request.headers["Expect"]
    if expect.lower() != "100-continue":
        raise web.HTTPExpectationFailed(text=f"Unknown Expect: {expect}")
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _is_own_fault(record: logging.LogRecord) -> bool:
    problem = record.exc_info[1] if record.exc_info else None
    return not isinstance(problem, _CALLERS_FAULTS)


log.addFilter(_is_own_fault)
