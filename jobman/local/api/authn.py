"""Who asks: bearer tokens, and speaking for somebody else."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from aiohttp import web
from msgspec.structs import replace

from jobman.local.api import authz, status
from jobman.local.api.authz import Act
from jobman.local.api.call import act_of
from jobman.local.api.paths import Named
from jobman.local.api.registry import Registry
from jobman.local.api.users import ANONYMOUS, User, account_of, identified

_FOR_USER, _FOR_GROUP = "Impersonate-User", "Impersonate-Group"


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


def speaker(registry: Registry, request: web.BaseRequest, found: Named | None, user: User) -> User:
    """For whom the caller speaks (`kubectl --as`). Raises a 403 unless that is allowed."""
    name, groups = request.headers.get(_FOR_USER, ""), request.headers.getall(_FOR_GROUP, [])
    if not name:
        if groups:
            raise status.bad_request(f"{_FOR_GROUP} without {_FOR_USER}")
        return user
    acts = (_as_user(name), *(Act("impersonate", resource="groups", name=each) for each in groups))
    if any(authz.decide(registry, user, act) is None for act in acts):
        raise _may_not_speak(request, found, user)
    return identified(name, groups)


def _as_user(name: str) -> Act:
    account = account_of(name)
    if account is None:
        return Act("impersonate", resource="users", name=name)
    return Act("impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])


def _may_not_speak(request: web.BaseRequest, found: Named | None, user: User) -> status.ApiError:
    if found is None:
        verb = f"impersonate-on:user-info:{request.method.lower()}"
        return authz.refused_path(user, verb, request.rel_url.raw_path)
    act = act_of(request, found)
    return authz.refused(user, replace(act, verb=f"impersonate-on:user-info:{act.verb}"))
