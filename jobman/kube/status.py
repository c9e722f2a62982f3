"""What the server answers when it refuses, turned into one of jobman's errors.

A refusal is a Status object; from API priority and fairness it is plain text, from a proxy HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from jobman.errors import (
    ApiError,
    ApiNotFoundError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    UnauthorizedError,
    UnavailableError,
)
from jobman.values.text import visible

LONGEST_MESSAGE = 4000
"""Characters of a message that are shown; an immutable template comes back as a whole Go struct."""

BY_REASON: Mapping[str, type[ApiError]] = {
    "NotFound": ApiNotFoundError,
    "Forbidden": ForbiddenError,
    "Unauthorized": UnauthorizedError,
    "BadRequest": InvalidError,
    "Invalid": InvalidError,
    "RequestEntityTooLarge": InvalidError,
    "AlreadyExists": ConflictError,
    "Conflict": ConflictError,
    "Expired": ExpiredError,
    "Gone": ExpiredError,
    "TooManyRequests": UnavailableError,
    "InternalError": UnavailableError,
    "ServiceUnavailable": UnavailableError,
    "ServerTimeout": UnavailableError,
    "Timeout": UnavailableError,
}
BY_CODE: Mapping[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: ApiNotFoundError,
    409: ConflictError,
    410: ExpiredError,
    413: InvalidError,
    422: InvalidError,
    429: UnavailableError,
}
_FORBIDDEN_TO = re.compile(
    r'User "(?P<user>.*?)" cannot (?P<verb>[a-z]+) resource "(?P<resource>[a-z0-9./-]+)"'
    r' in API group "(?P<group>[a-z0-9.-]*)"'
    r'(?: in the namespace "(?P<namespace>[a-z0-9-]+)")?'
)


def error_from(
    code: int, body: bytes, *, content_type: str = "", location: str | None = None
) -> ApiError:
    """The error for an answer with HTTP status `code` that is no success."""
    status = _status_of(body)
    if status is not None:
        return from_status(status, code)
    if location is not None and 300 <= code < 400:
        return ApiError(
            f"the server answers {code} and points to {visible(location, limit=200)}",
            code=code,
            hint="is the kubeconfig's server a Kubernetes API, and not a login page?",
        )
    message, hint = _foreign(code, body, content_type)
    return _class_of("", code)(message, code=code, hint=hint or _hint("", code, message, {}))


def from_status(status: Mapping[str, Any], code: int | None = None) -> ApiError:
    """The error for a Status object, of an answer or of a watch's ERROR line."""
    found = status.get("code")
    code = code or (found if isinstance(found, int) else 500)
    reason = _text(status.get("reason"))
    message = _text(status.get("message")) or reason or f"the server answered {code}"
    message = _shortened(message.strip())
    return _class_of(reason, code)(
        message,
        code=code,
        reason=reason,
        status=status,
        hint=_hint(reason, code, message, status),
    )


def causes(error: ApiError) -> list[tuple[str, str, str]]:
    """(reason, field, message) of each cause that the Status names."""
    details = error.status.get("details")
    found = details.get("causes") if isinstance(details, dict) else None
    return [
        (_text(c.get("reason")), _text(c.get("field")), _text(c.get("message")))
        for c in (found if isinstance(found, list) else [])
        if isinstance(c, dict)
    ]


def _class_of(reason: str, code: int) -> type[ApiError]:
    """By the reason where it is known, else by the code."""
    known = BY_REASON.get(reason) or BY_CODE.get(code)
    return known or (UnavailableError if code >= 500 else ApiError)


def _status_of(body: bytes) -> dict[str, Any] | None:
    if body.lstrip()[:1] != b"{":
        return None
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return found if isinstance(found, dict) and found.get("kind") == "Status" else None


def _foreign(code: int, body: bytes, content_type: str) -> tuple[str, str | None]:
    """Message and hint for a body that is no Status."""
    text = body[: LONGEST_MESSAGE * 4].decode("utf-8", "replace")
    if "html" in content_type or text.lstrip()[:1] == "<":
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        said = f": {' '.join(title[1].split())}" if title else ""
        message = _shortened(f"the server answered {code} with a web page{said}")
        return message, "is there a proxy or a login page between this machine and the cluster?"
    first = text.strip()
    if code == 404 and first == "404 page not found":
        return (
            "the server has no such API (404 page not found)",
            "is the kubeconfig's server the address of a Kubernetes API?",
        )
    return _shortened(first) or f"the server answered {code}", None


def _hint(reason: str, code: int, message: str, status: Mapping[str, Any]) -> str | None:
    if code == 401:
        return "the credentials are missing, wrong or expired: log in to the cluster again"
    if code == 403:
        return _forbidden_hint(message)
    if code == 404:
        return _missing_hint(status)
    if code == 410:
        return "the list changed meanwhile: run the command again"
    if code == 429 or code >= 500:
        return "the server is busy or in trouble: try again in a while"
    if code == 409 and reason == "Conflict":
        return "somebody else changed it meanwhile: run the command again"
    return None


def _forbidden_hint(message: str) -> str | None:
    """How to check the right that is missing, or what stands in the way besides rights."""
    if "exceeded quota" in message:
        return "wait until something ends, ask for less, or ask an administrator for more"
    if "being terminated" in message:
        return "the namespace is being deleted: name another one with -n"
    if 'User "system:anonymous"' in message:
        return "no credentials were sent: does the kubeconfig's user have a token or a certificate?"
    if match := _FORBIDDEN_TO.search(message):
        return _can_i(match)
    return None


def _can_i(match: re.Match[str]) -> str:
    resource, _, subresource = match["resource"].partition("/")
    what = f"{resource}.{match['group']}" if match["group"] else resource
    words = ["kubectl auth can-i", match["verb"], what]
    if subresource:
        words.append(f"--subresource={subresource}")
    words.append(f"-n {match['namespace']}" if match["namespace"] else "--all-namespaces")
    return f"ask an administrator for this right; check it with: {' '.join(words)}"


def _missing_hint(status: Mapping[str, Any]) -> str | None:
    details = status.get("details")
    if isinstance(details, dict) and details.get("kind") == "namespaces":
        return "name an existing namespace with -n, or ask an administrator to create this one"
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"
