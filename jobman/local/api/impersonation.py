"""Speaking for somebody else (`kubectl --as`): as whom, and who may.

Kubernetes has several modes of that, tried one after the other. In one of them a right is needed
for what is done in the other's name, too: `impersonate-on:user-info:list` on jobs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from aiohttp import web
from msgspec.structs import replace

from jobman.local.api import authz, rules, status
from jobman.local.api.authz import Act
from jobman.local.api.call import act_of
from jobman.local.api.paths import Named
from jobman.local.api.registry import Registry
from jobman.local.api.status import ApiError
from jobman.local.api.users import MASTERS, NODES, User, account_of, identified

_USER, _UID, _GROUP = "Impersonate-User", "Impersonate-Uid", "Impersonate-Group"
_HEADERS, _EXTRA = "impersonate-", "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"
_NODE = "system:node:"
_LEGACY, _OF_NODE, _OF_ACCOUNT, _OF_USER = "", "arbitrary-node", "serviceaccount", "user-info"
_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def speaker(registry: Registry, request: web.BaseRequest, found: Named | None, user: User) -> User:
    """For whom the caller speaks. Raises a 403 unless that is allowed."""
    if not any(name.lower().startswith(_HEADERS) for name in request.headers):
        return user
    wanted = _wanted(request)
    if not wanted.name:
        if wanted == User("", ()):
            return user
        raise status.bad_request(f"requested {_in_go(wanted)} without impersonating a user name")
    refusals = []
    for mode in _modes(wanted):
        refusal = next(_refusals(registry, request, found, user, wanted, mode), None)
        if refusal is None:
            return _whole(wanted, mode)
        refusals.append(refusal)
    raise refusals[0]


def _wanted(request: web.BaseRequest) -> User:
    """As whom to act, as the headers have it."""

    def texts(name: str) -> list[str]:
        return [_text(value) for value in request.headers.getall(name, [])]

    extra: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(name.lower() for name in request.headers):
        if name.startswith(_EXTRA):
            key = _unescaped(name.removeprefix(_EXTRA))
            extra[key] = (*extra.get(key, ()), *texts(name))
    user, uid = next(iter(texts(_USER)), ""), next(iter(texts(_UID)), "")
    return User(user, tuple(texts(_GROUP)), uid=uid, extra=extra)


def _text(value: str) -> str:
    """A header's value; what is no UTF-8 in it is shown so."""
    return value.encode(errors="surrogateescape").decode(errors="replace")


def _unescaped(key: str) -> str:
    return _text(key) if _BROKEN_ESCAPE.search(key) else unquote(_text(key))


def _modes(wanted: User) -> Iterator[str]:
    only_named = not (wanted.groups or wanted.uid or wanted.extra)
    if _node_of(wanted.name):
        yield from [_OF_NODE] if only_named else []
    elif account_of(wanted.name):
        yield from [_OF_ACCOUNT] if only_named else []
    else:
        yield _OF_USER
    yield _LEGACY


def _whole(wanted: User, mode: str) -> User:
    """The user with the groups that go with the name."""
    groups = (NODES,) if mode == _OF_NODE else wanted.groups
    return identified(wanted.name, groups, uid=wanted.uid, extra=wanted.extra)


def _refusals(
    registry: Registry,
    request: web.BaseRequest,
    found: Named | None,
    user: User,
    wanted: User,
    mode: str,
) -> Iterator[ApiError]:
    """The 403 of each right that is missing for a mode."""
    if mode == _LEGACY:
        verb, group = "impersonate", ""
    else:
        verb, group = f"impersonate:{mode}", _AUTHENTICATION
        yield from _refused_on(registry, request, found, user, f"impersonate-on:{mode}:")

    def missing(act: Act) -> Iterator[ApiError]:
        if authz.decide(registry, user, act) is None:
            yield authz.refused(registry, user, act)

    def never(resource: str, why: str, *, of: str = group, name: str = "") -> Iterator[ApiError]:
        if why and mode != _LEGACY:
            yield authz.refused(registry, user, Act(verb, of, resource, name=name), why)

    yield from missing(_of_name(verb, group, wanted.name, mode))
    if wanted.uid:
        yield from missing(Act(verb, _AUTHENTICATION, "uids", name=wanted.uid))
    if "" in wanted.groups:
        yield from never("groups", "impersonating the empty string group is not allowed")
    if MASTERS in wanted.groups:
        why = "impersonating the system:masters group is not allowed"
        yield from never("groups", why, name=MASTERS)
    for name in wanted.groups:
        yield from missing(Act(verb, group, "groups", name=name))
    for key, values in wanted.extra.items():
        yield from never("userextras", _wrong_extra(key, values), of=_AUTHENTICATION)
    for key, values in wanted.extra.items():
        for value in values:
            yield from missing(Act(verb, _AUTHENTICATION, "userextras", key, name=value))


def _refused_on(
    registry: Registry, request: web.BaseRequest, found: Named | None, user: User, prefix: str
) -> Iterator[ApiError]:
    """The 403 of what is asked, unless it may be done in somebody else's name."""
    if found is None:
        verb, path = f"{prefix}{request.method.lower()}", request.rel_url.raw_path
        if authz.decide_path(registry, user, verb, path) is None:
            yield authz.refused_path(registry, user, verb, path)
        return
    asked = act_of(request, found)
    act = replace(asked, verb=prefix + asked.verb)
    if authz.decide(registry, user, act) is None:
        yield authz.refused(registry, user, act)


def _of_name(verb: str, group: str, name: str, mode: str) -> Act:
    if mode == _OF_NODE:
        return Act(verb, group, "nodes", name=_node_of(name))
    account = account_of(name)
    if account is not None:
        return Act(verb, group, "serviceaccounts", namespace=account[0], name=account[1])
    return Act(verb, group, "users", name=name)


def _node_of(name: str) -> str:
    """The node whose user that is, if it is one's."""
    node = name.removeprefix(_NODE)
    return node if name.startswith(_NODE) and node and not rules.dns_subdomain(node) else ""


def _wrong_extra(key: str, values: Sequence[str]) -> str:
    """Why nobody may speak with such an extra; empty where that depends on the rights."""
    domain, _, path = key.partition("/")
    if not key:
        return "impersonating the empty string key in extra is not allowed"
    if not path or not domain or rules.dns_subdomain(domain):
        return (
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value:"
            f' {_quoted(key)}: must be a domain-prefixed path (such as "acme.io/foo")'
        )
    if key != key.lower():
        return f"impersonating a non-lowercase key in extra is not allowed: {_quoted(key)}"
    return "impersonating the empty string value in extra is not allowed" if "" in values else ""


def _in_go(wanted: User) -> str:
    """As Go prints it, which is what a client sees of a name that is missing."""

    def texts(values: Sequence[str]) -> str:
        return f"[]string{{{', '.join(map(_quoted, values))}}}" if values else "[]string(nil)"

    entries = (f"{_quoted(key)}:{texts(values)}" for key, values in sorted(wanted.extra.items()))
    extra = f"{{{', '.join(entries)}}}" if wanted.extra else "(nil)"
    return (
        f'&user.DefaultInfo{{Name:"", UID:{_quoted(wanted.uid)}, Groups:{texts(wanted.groups)},'
        f" Extra:map[string][]string{extra}}}"
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
