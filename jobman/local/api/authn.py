"""Who asks, by a bearer token."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from aiohttp import web

from jobman.local.api import status
from jobman.local.api.users import ANONYMOUS, User


def caller(request: web.BaseRequest, tokens: Mapping[str, User]) -> User:
    """Who holds the request's bearer token. Raises a 401 for one that nobody holds."""
    header = request.headers.get("Authorization", "")
    if not header:
        return ANONYMOUS
    scheme, _, token = header.partition(" ")
    given = token.strip().encode(errors="surrogateescape")
    user: User | None = None
    for known, holder in tokens.items():
        # every token is compared, each in constant time
        if hmac.compare_digest(known.encode(), given):
            user = holder
    if scheme.lower() != "bearer" or user is None:
        raise status.unauthorized()
    return user
