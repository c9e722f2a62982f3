"""`GET …/pods/NAME/log`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from jobman.local.api import answers, status
from jobman.local.api.agent import LinesLostError, LogOptions, NodeAgent
from jobman.local.api.call import Call
from jobman.local.api.cause import Cause
from jobman.local.api.query import flag, integer
from jobman.values.duration import parse_rfc3339

Object = dict[str, Any]

ROTATED = '299 - "the log was rotated: its beginning is gone"'
"""What a kubelet keeps to itself."""


async def serve(call: Call, agent: NodeAgent) -> web.StreamResponse:
    """The log of one container, as it comes."""
    _check_accept(call.request.headers.get("Accept", ""))
    query = call.request.query
    options = log_options(call.name, query)
    pod = call.registry.get("pods", call.target.home, call.name)
    container = chosen_container(pod, query.get("container", ""), init_first=True)
    if not pod["spec"].get("nodeName"):
        return web.Response(status=204, headers=answers.common_headers())
    # looked at before the log is opened: it may be rotated while its first piece is awaited
    lacks_head = _from_start(options) and agent.lacks_head(pod, container, options)
    chunks = agent.log(pod, container, options)
    async with contextlib.aclosing(chunks):  # type: ignore[type-var]
        # the first piece decides between an answer and an error
        first = await anext(chunks, b"")
        headers = {**answers.common_headers(), "Content-Type": "text/plain"}
        if lacks_head:
            headers["Warning"] = ROTATED
        response = web.StreamResponse(headers=headers)
        await response.prepare(call.request)
        with contextlib.suppress(ConnectionError):
            try:
                await _send(response, first, chunks)
            except LinesLostError:
                _cut(call.request)
    return response


def _cut(request: web.BaseRequest) -> None:
    """Break the answer off after what was sent: a clean end would say that nothing is missing."""
    if request.transport is not None:
        request.transport.close()


def _from_start(options: LogOptions) -> bool:
    return options.tail_lines is None and options.since_seconds is None and not options.since_time


async def _send(response: web.StreamResponse, first: bytes, rest: AsyncIterator[bytes]) -> None:
    if first:
        await response.write(first)
    async for chunk in rest:
        await response.write(chunk)
    await response.write_eof()


def chosen_container(pod: Object, asked: str, *, init_first: bool = False) -> str:
    """The container that is meant. Raises a 400 naming them where none or a wrong one is given."""
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    mains = [container["name"] for container in spec.get("containers", [])]
    inits = [container["name"] for container in spec.get("initContainers", [])]
    if asked:
        if asked not in mains + inits:
            raise status.bad_request(f"container {asked} is not valid for pod {pod_name}")
        return asked
    if len(mains) == 1:
        return str(mains[0])
    choices = " ".join(inits + mains if init_first else mains)
    raise status.bad_request(
        f"a container name must be specified for pod {pod_name}, choose one of: [{choices}]"
    )


def log_options(pod: str, query: Mapping[str, str]) -> LogOptions:
    """PodLogOptions of a query. Raises 400 for what cannot be read, 422 for what is not allowed."""
    options = LogOptions(
        follow=flag(query, "follow"),
        previous=flag(query, "previous"),
        timestamps=flag(query, "timestamps"),
        tail_lines=integer(query, "tailLines"),
        since_seconds=integer(query, "sinceSeconds"),
        since_time=_moment(query),
        limit_bytes=integer(query, "limitBytes"),
    )
    causes = [*_causes(options), *_stream_causes(query)]
    if causes:
        raise status.invalid("PodLogOptions", "", pod, causes)
    return options


def _causes(options: LogOptions) -> list[Cause]:
    found = []
    if options.tail_lines is not None and options.tail_lines < 0:
        found.append(_wrong("tailLines", options.tail_lines, "greater than or equal to 0"))
    if options.limit_bytes is not None and options.limit_bytes < 1:
        found.append(_wrong("limitBytes", options.limit_bytes, "greater than 0"))
    if options.since_seconds is not None and options.since_time is not None:
        text = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        found.append(Cause("FieldValueForbidden", "[]", text))
    elif options.since_seconds is not None and options.since_seconds < 1:
        found.append(_wrong("sinceSeconds", options.since_seconds, "greater than 0"))
    return found


def _stream_causes(query: Mapping[str, str]) -> list[Cause]:
    if query.get("stream", "All") == "All":
        return []
    return [Cause("FieldValueForbidden", "stream", "Forbidden: may not be specified")]


def _wrong(field: str, value: int, must_be: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {value}: must be {must_be}")


def _moment(query: Mapping[str, str]) -> datetime | None:
    text = query.get("sinceTime", "")
    if not text:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError:
        raise status.bad_request(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        ) from None


def _check_accept(header: str) -> None:
    """A log is plain text, but it must not be asked for as that."""
    kinds = [clause.partition(";")[0].strip() for clause in header.split(",") if clause.strip()]
    if not kinds or any(kind in ("*/*", "application/*", *answers.AVAILABLE) for kind in kinds):
        return
    if "text/plain" in kinds:
        raise status.not_acceptable(answers.AVAILABLE)
    raise status.ApiError(
        406,
        "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: "
        + ", ".join(("text/plain", *answers.AVAILABLE)),
        details={},
    )
