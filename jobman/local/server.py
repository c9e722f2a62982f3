"""The API server: authentication, authorization, and the way from a URL to its handler."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from jobman.local.api import answers, authz, discovery, handlers, openapi, pods, status
from jobman.local.api.agent import NodeAgent
from jobman.local.api.bodies import BODY_MAX
from jobman.local.api.discovery import Document
from jobman.local.api.handlers import Call
from jobman.local.api.paths import Target, target
from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError, PlainError
from jobman.local.api.users import ANONYMOUS, User

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[web.StreamResponse]]
_HEALTH = ("/healthz", "/livez", "/readyz")
_METHODS: Mapping[str, Handler] = {
    "POST": handlers.create,
    "PUT": handlers.update,
    "PATCH": handlers.patch,
    "DELETE": handlers.delete,
}
_POD_PARTS: Mapping[str, Callable[[Call, NodeAgent], Awaitable[web.StreamResponse]]] = {
    "log": pods.log,
    "exec": pods.exec_,
    "binding": pods.binding,
    "eviction": pods.eviction,
}


def application(
    registry: Registry, *, tokens: Mapping[str, User], node_agent: NodeAgent, version: str
) -> web.Application:
    """The server of a registry. `tokens` are looked up at each request; they may change."""
    server = _Server(registry, tokens, node_agent, version)
    app = web.Application(client_max_size=BODY_MAX)
    app.router.add_route("*", "/{path:.*}", server.serve)
    return app


class _Server:
    def __init__(
        self,
        registry: Registry,
        tokens: Mapping[str, User],
        node_agent: NodeAgent,
        version: str,
    ) -> None:
        self._registry = registry
        self._tokens = tokens
        self._agent = node_agent
        self._version = version

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; what goes wrong inside is a Status of its own."""
        try:
            return await self._answer(request, self._user(request))
        except ApiError as error:
            return await answers.answer(
                request, error.status, code=error.code, headers=error.headers
            )
        except PlainError as error:
            return answers.plain(error.text, error.code)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:
            log.exception("%s %s", request.method, request.raw_path)
            broken = status.internal("see the log of the embedded cluster")
            return await answers.answer(request, broken.status, code=500)

    async def _answer(self, request: web.Request, user: User) -> web.StreamResponse:
        path = request.rel_url.raw_path
        found = target(path) if path.startswith(("/api/", "/apis/")) else None
        if found is None:
            return await self._document(request, user)
        call = Call(self._registry, request, found, user)
        call.authorize()
        handler = self._handler(found, request.method)
        return await handler(call)

    def _handler(self, found: Target, method: str) -> Handler:
        part = _POD_PARTS.get(found.subresource or "")
        if part is not None:
            agent = self._agent

            async def with_agent(call: Call) -> web.StreamResponse:
                return await part(call, agent)

            return with_agent
        if method == "GET":
            return handlers.get if found.name and not found.watch else handlers.collection
        return _METHODS[method]

    async def _document(self, request: web.Request, user: User) -> web.StreamResponse:
        """What is not a resource: health, version, discovery, OpenAPI."""
        path = request.rel_url.raw_path
        authz.check_path(user, request.method.lower(), path)
        if path in _HEALTH:
            return answers.plain("ok")
        if request.method not in ("GET", "HEAD"):
            raise status.method_not_allowed()
        found = self._found(path, request.headers.get("Accept", ""))
        if found is None:
            raise status.page_not_found()
        headers = {"ETag": found.etag, "Vary": "Accept"} if found.etag else {}
        if found.etag and found.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=answers.common_headers() | headers)
        return await answers.answer_bytes(request, found.body, found.content_type, headers=headers)

    def _found(self, path: str, accept: str) -> Document | None:
        if path == "/version":
            return Document(discovery.version(self._version), answers.JSON, None)
        if path == "/openapi/v3":
            return Document(openapi.index(), answers.JSON, f'"{openapi.etag()}"')
        if path.startswith("/openapi/v3/"):
            body = openapi.document(path.removeprefix("/openapi/v3/"))
            return Document(body, answers.JSON, f'"{openapi.etag()}"') if body else None
        return discovery.document(path, accept)

    def _user(self, request: web.Request) -> User:
        """Who holds the bearer token. Raises a 401 for one that nobody holds."""
        header = request.headers.get("Authorization", "")
        if not header:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        given = token.strip().encode()
        user: User | None = None
        for known, holder in self._tokens.items():
            # every token is compared, each in constant time
            if hmac.compare_digest(known.encode(), given):
                user = holder
        if scheme.lower() != "bearer" or user is None:
            raise status.unauthorized()
        return user
