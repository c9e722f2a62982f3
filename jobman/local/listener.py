"""The HTTP server's door: it takes no caller for ever, and logs no caller's mistakes as its own."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http import HttpProcessingError

HEADERS_S = 32.0
IDLE_S = 90.0

log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_CALLERS_FAULTS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


class Listener:
    """An application served on a port; `headers_s` is how long a caller may take to ask."""

    def __init__(
        self, app: web.Application, *, shutdown_s: float, headers_s: float = HEADERS_S
    ) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=log,
            shutdown_timeout=shutdown_s,
            keepalive_timeout=IDLE_S,
            auto_decompress=False,  # Kubernetes reads bodies as they are; and none grows in here
        )
        self._headers_s = headers_s
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}
        app.middlewares.append(self._hear)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, ssl_context: ssl.SSLContext | None = None) -> int:
        """Serve on a port that the system chooses; that port."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._caller, host, 0, ssl=ssl_context)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more callers, and end those that are there."""
        if self._server is not None:
            self._server.close()
        for timer in self._silent.values():
            timer.cancel()
        await self._runner.cleanup()

    def _caller(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        assert server is not None
        handler = server()
        loop = asyncio.get_running_loop()
        self._silent[handler] = loop.call_later(self._headers_s, self._end, handler)
        return handler

    @web.middleware
    async def _hear(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        return await handler(request)

    def _end(self, silent: web.RequestHandler) -> None:
        del self._silent[silent]
        silent.force_close()


def _is_own_fault(record: logging.LogRecord) -> bool:
    problem = record.exc_info[1] if record.exc_info else None
    return not isinstance(problem, _CALLERS_FAULTS)


log.addFilter(_is_own_fault)
