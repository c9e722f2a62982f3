"""The API server: authentication, authorization, and the way from a URL to its handler."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from jobman.local.api import (
    answers,
    authn,
    authz,
    discovery,
    handlers,
    impersonation,
    openapi,
    pods,
    status,
)
from jobman.local.api.agent import NodeAgent
from jobman.local.api.answers import WARNINGS
from jobman.local.api.bodies import READ_S
from jobman.local.api.call import Call, act_of
from jobman.local.api.discovery import Document
from jobman.local.api.paths import Target, named, target
from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError, PlainError
from jobman.local.api.users import User

log = logging.getLogger(__name__)

BODY_S = 30.0

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


class Server:
    """The server of a registry. `tokens` are looked up at each request; they may change.

    `body_s` is how long a request's body may take to come.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        tokens: Mapping[str, User],
        node_agent: NodeAgent,
        version: str,
        body_s: float = BODY_S,
    ) -> None:
        self._registry = registry
        self._tokens = tokens
        self._agent = node_agent
        self._version = version
        self._body_s = body_s

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; what goes wrong inside is a Status of its own."""
        request[READ_S], request[WARNINGS] = self._body_s, []
        try:
            return await self._answer(request)
        except ApiError as error:
            return await answers.refusal(request, error)
        except PlainError as error:
            return answers.plain(error.text, error.code)
        except RecursionError:  # of what operations on it made of a body, which has its own limit
            return await answers.refusal(request, status.bad_request("exceeded max depth"))
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:
            log.exception("%s %s", request.method, request.raw_path)
            return await answers.refusal(
                request, status.internal("see the log of the embedded cluster")
            )

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._registry.turns.request()
        found = named(request.rel_url.raw_path)
        user = authn.caller(request, self._tokens)
        user = impersonation.speaker(self._registry, request, found, user)
        if found is None:
            return await self._document(request, user)
        authz.check(self._registry, user, act_of(request, found))
        call = Call(self._registry, request, target(found), user)
        call.check_method()
        handler = self._handler(call.target, request.method)
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

    async def _document(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        """What is not a resource: health, version, discovery, OpenAPI."""
        path = request.rel_url.raw_path
        authz.check_path(self._registry, user, request.method.lower(), path)
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
        if path in ("/version", "/version/"):
            return Document(discovery.version(self._version), answers.JSON, None)
        if path == "/openapi/v2":
            return Document(*openapi.v2(accept), None)
        if path == "/openapi/v3":
            return Document(openapi.index(), answers.JSON, f'"{openapi.etag()}"')
        if path.startswith("/openapi/v3/"):
            body = openapi.document(path.removeprefix("/openapi/v3/"))
            return Document(body, answers.JSON, f'"{openapi.etag()}"') if body else None
        return discovery.document(path, accept)
