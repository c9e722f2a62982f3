"""Refusals: Kubernetes' Status objects with its own texts.

Source: recorded answers of a Kubernetes 1.36 API server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobman.local.api.cause import Cause

__all__ = ["ApiError", "Cause"]

BODY_MAX = 3 * 1024 * 1024


class ApiError(Exception):
    """An answer that is a failure: `status` is its body, `headers` go with it."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.headers = dict(headers or {})
        self.status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.status["reason"] = reason
        if details is not None:
            self.status["details"] = dict(details)
        self.status["code"] = code


class PlainError(Exception):
    """A failure that is plain text: what the HTTP layer refuses before any object is looked at."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def success(details: Mapping[str, Any]) -> dict[str, Any]:
    """The Status that answers a DELETE."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": dict(details),
    }


def details_of(name: str, group: str, plural: str, **more: Any) -> dict[str, Any]:
    """A Status' details: which object."""
    named = {"name": name} if name else {}
    grouped = {"group": group} if group else {}
    return {**named, **grouped, "kind": plural, **more}


def qualified(plural: str, group: str) -> str:
    """`jobs.batch`, `pods`."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> ApiError:
    """404 for one object."""
    message = f'{qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, details=details_of(name, group, plural))


def no_such_resource(known: str = "") -> ApiError:
    """404 for a version or a resource of a group that is served.

    `known`: what Kubernetes would have under that name.
    """
    message = "the server could not find the requested resource"
    if known:
        message += f" ({known} is not served by the embedded cluster of jobman)"
    return ApiError(404, "NotFound", message, details={})


def page_not_found() -> PlainError:
    """404 for a path that is no API's."""
    return PlainError(404, "404 page not found\n")


def already_exists(plural: str, group: str, name: str, *, deleting: bool = False) -> ApiError:
    """409 for a name that is taken."""
    being = "object is being deleted: " if deleting else ""
    message = f'{being}{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=details_of(name, group, plural))


def conflict(plural: str, group: str, name: str, why: str | None = None) -> ApiError:
    """409 for an object that is not as the caller thinks."""
    changed = (
        "the object has been modified; please apply your changes to the latest version"
        " and try again"
    )
    message = (
        f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why or changed}'
    )
    return ApiError(409, "Conflict", message, details=details_of(name, group, plural))


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 with each cause; `kind` in the singular, as Kubernetes has it here.

    A cause that two rules found is told once in the message and twice in the details.
    """
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = details_of(
        name,
        group,
        kind,
        causes=[
            {"reason": cause.reason, "message": cause.message, "field": cause.field}
            for cause in causes
        ],
    )
    if not kind:
        del details["kind"]
    message = f'{qualified(kind, group)} "{name}" is invalid: {joined}'
    return ApiError(422, "Invalid", message, details=details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(plural: str, group: str, name: str, why: str, **details: Any) -> ApiError:
    """403 for one object or, with no name, for a kind of objects."""
    quoted = f' "{name}"' if name else ""
    message = f"{qualified(plural, group)}{quoted} is forbidden: {why}"
    return ApiError(403, "Forbidden", message, details=details_of(name, group, plural, **details))


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    """405."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, details={})


def expired(message: str, *, new_continue: str = "") -> ApiError:
    """410; a new continue token lets the caller go on with what is there now."""
    error = ApiError(410, "Expired", message)
    if new_continue:
        error.status["metadata"] = {"continue": new_continue}
    return error


def too_large() -> ApiError:
    """413: a body over 3 MiB."""
    message = f"Request entity too large: limit is {BODY_MAX}"
    return ApiError(413, "RequestEntityTooLarge", message)


def not_acceptable(accepted: Sequence[str]) -> ApiError:
    """406."""
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return ApiError(406, "NotAcceptable", message)


def not_available(available: Sequence[str]) -> ApiError:
    """406 of a caller that takes nothing that there is."""
    message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(available)}"
    return ApiError(406, "NotAcceptable", message, details={})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415 of a body that is not in a known form."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
    )
    return ApiError(415, "UnsupportedMediaType", message)


def unsupported_patch_type() -> ApiError:
    """415 of a patch."""
    message = "415: Unsupported Media Type"
    return ApiError(415, "UnsupportedMediaType", message, details={})


def internal(message: str) -> ApiError:
    """500."""
    return ApiError(500, "InternalError", f"Internal error occurred: {message}")


def timed_out() -> ApiError:
    """504 for a request that goes on for too long."""
    message = "Timeout: request did not complete within the allotted timeout"
    return ApiError(504, "Timeout", message, details={})


def version_too_large(asked: int, current: int) -> ApiError:
    """504 for a resourceVersion that is still to come."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        details={"causes": [cause], "retryAfterSeconds": 1},
        headers={"Retry-After": "1"},
    )


def no_such_version(text: str) -> str:
    """What is wrong with a resourceVersion that is no number, or one of too many digits."""
    shown = json.dumps(text, ensure_ascii=False)
    why = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
    return f"resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: {why}"
