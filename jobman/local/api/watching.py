"""A watch as a request: from where on, in which form, for how long."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from aiohttp import web

from jobman.local.api import answers, status
from jobman.local.api.call import Call
from jobman.local.api.cause import forbidden
from jobman.local.api.forms import encoder
from jobman.local.api.lists import Selection
from jobman.local.api.query import flag, integer, is_version
from jobman.local.api.watch import TooSlowError, Watch

_MATCH = "resourceVersionMatch"
_WRITTEN_BYTES = 64 * 1024  # what lies in the connection of each caller who does not read


async def serve(call: Call) -> web.StreamResponse:
    """Changes, a line each, as they come."""
    query, accept = call.request.query, answers.accept_of(call.request)
    version, initial = _version(query), flag(query, "sendInitialEvents")
    _check_initial_events(query, initial=initial)
    watcher = Watch(call.registry.store, _selection(call), encoder(call, accept))
    bookmarks = flag(query, "allowWatchBookmarks")
    lines = watcher.lines(
        None if initial else version,
        bookmarks=bookmarks,
        initial_end=initial and bookmarks,
        timeout_s=_timeout_s(query),
    )
    headers = {**answers.common_headers(), "Content-Type": answers.JSON}
    response = web.StreamResponse(headers=headers)
    await response.prepare(call.request)
    with contextlib.suppress(ConnectionError, TooSlowError):
        async with contextlib.aclosing(lines):
            async for batch in lines:
                for start in range(0, len(batch), _WRITTEN_BYTES):
                    await response.write(batch[start : start + _WRITTEN_BYTES])
        await response.write_eof()
    return response


def _selection(call: Call) -> Selection:
    resource, namespace = call.target.resource, call.target.namespace
    if call.target.name is not None:
        return Selection(resource, namespace, name=call.target.name)
    return Selection.of_query(resource, namespace, call.request.query)


def _version(query: Mapping[str, str]) -> int | None:
    """Where to begin; None: with everything there is."""
    text = query.get("resourceVersion", "")
    if text in ("", "0"):
        return None
    if not is_version(text):
        raise status.ApiError(500, "", status.no_such_version(text))
    return int(text)


def _check_initial_events(query: Mapping[str, str], *, initial: bool) -> None:
    match = query.get(_MATCH, "")
    problem = ""
    if initial and match != "NotOlderThan":
        problem = f"sendInitialEvents requires setting {_MATCH} to NotOlderThan"
    elif match and "sendInitialEvents" not in query:
        problem = f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided"
    if problem:
        causes = [forbidden(_MATCH, problem)]
        raise status.invalid("ListOptions", "meta.k8s.io", "", causes)


def _timeout_s(query: Mapping[str, str]) -> float | None:
    seconds = integer(query, "timeoutSeconds")
    return max(float(seconds), 0.0) if seconds else None
