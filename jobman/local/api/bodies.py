"""Request bodies: read within bounds, decoded by their content type."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from jobman.local.api import decode, protobuf, status
from jobman.local.api.resources import Resource
from jobman.local.api.status import BODY_MAX as BODY_MAX

_READ_BESIDE = 16 * 1024
READ_S = web.RequestKey("read_s", float)
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED = (
    "application/json",
    "application/yaml",
    PROTOBUF,
)
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


async def read(request: web.BaseRequest) -> bytes:
    """The body. Raises 413 over 3 MiB, 504 where it does not come in time, 400 where it is cut."""
    if (request.content_length or 0) > BODY_MAX:
        raise status.too_large()
    try:
        if request.content.is_eof():  # all of it is here: there is nothing to wait for
            return _checked(request.content.read_nowait())
        async with asyncio.timeout(request[READ_S]):
            return await request.read()
    except TimeoutError:
        raise status.timed_out() from None
    except web.HTTPRequestEntityTooLarge:
        raise status.too_large() from None
    except (web.RequestPayloadError, ValueError) as error:
        raise status.bad_request(f"the request's body cannot be read: {error}") from None


def _checked(body: bytes) -> bytes:
    if len(body) > BODY_MAX:
        raise status.too_large()
    return body


async def decoded(request: web.BaseRequest, resource: Resource) -> Any:
    """The object in the body. Raises 400 and 415."""
    kind = content_type(request)
    body = await read(request)
    if kind not in ACCEPTED:
        raise status.unsupported_media_type(ACCEPTED)
    if kind == PROTOBUF:
        return _protobuf(body)
    try:
        return decode.decode(body) if kind == "application/json" else await _of_yaml(body)
    except (ValueError, RecursionError) as error:
        raise _unrecognized(resource, error) from None


async def patch(request: web.BaseRequest) -> tuple[str, Any]:
    """The patch's content type and its decoded body. Raises 400 and 415."""
    kind = content_type(request)
    body = await read(request)
    if kind not in PATCHES:
        raise status.unsupported_patch_type()
    try:
        value = await _of_yaml(body) if kind.endswith("yaml") else decode.from_json(body)
    except (ValueError, RecursionError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from None
    return kind, value


async def options(request: web.BaseRequest) -> dict[str, Any] | None:
    """The DeleteOptions in the body; None without one. Raises 400 and 415."""
    kind, body = content_type(request), await read(request)
    if not body:
        return None
    if kind not in ACCEPTED:
        raise status.unsupported_media_type(ACCEPTED)
    if kind == PROTOBUF:
        return _protobuf(body)
    try:
        value = await _of_yaml(body) if kind.endswith("yaml") else decode.from_json(body)
    except (ValueError, RecursionError) as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(value, dict):
        text = f"json: cannot unmarshal {decode.json_type(value)} into Go value of type struct"
        raise status.bad_request(f"couldn't get version/kind; json parse error: {text}")
    return value


def content_type(request: web.BaseRequest) -> str:
    """The body's type without parameters; JSON where none is given."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip() or "application/json"


async def _of_yaml(body: bytes) -> Any:
    """YAML is slow to read: much of it keeps nobody else waiting."""
    if len(body) < _READ_BESIDE:
        return decode.decode_yaml(body)
    return await asyncio.get_running_loop().run_in_executor(None, decode.decode_yaml, body)


def _unrecognized(resource: Resource, error: Exception) -> status.ApiError:
    return status.bad_request(
        f"the object provided is unrecognized (must be of type {resource.kind}):"
        f" couldn't get version/kind; json parse error: {error}"
    )


def _protobuf(body: bytes) -> dict[str, Any]:
    try:
        return protobuf.decode(body)
    except ValueError as error:
        raise status.unsupported_media_type(ACCEPTED[:2]) from error
