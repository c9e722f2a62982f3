"""Speaking for somebody else (`kubectl --as`): as whom, and who may.

Kubernetes has several modes of that, tried one after the other. In one of them a right is needed
for what is done in the other's name, too: `impersonate-on:user-info:list` on jobs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    caller = _Caller(registry, request, found, user)
    refusals = []
    for mode in _modes(wanted):
        refusal = next(_refusals(caller, wanted, mode), None)
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


@dataclass(frozen=True)
class _Caller:
    """Who wants to speak for somebody else, and what he asks in the other's name."""

    registry: Registry
    request: web.BaseRequest
    found: Named | None
    user: User

    def lacks(self, act: Act) -> Iterator[ApiError]:
        """The 403 of an act, unless it is allowed."""
        if authz.decide(self.registry, self.user, act) is None:
            yield self.refused(act)

    def refused(self, act: Act, why: str = "") -> ApiError:
        """The 403 of an act."""
        return authz.refused(self.registry, self.user, act, why)

    def lacks_on(self, prefix: str) -> Iterator[ApiError]:
        """The 403 of what is asked, with a prefix to its verb, unless it is allowed."""
        if self.found is not None:
            asked = act_of(self.request, self.found)
            yield from self.lacks(replace(asked, verb=prefix + asked.verb))
            return
        verb, path = f"{prefix}{self.request.method.lower()}", self.request.rel_url.raw_path
        if authz.decide_path(self.registry, self.user, verb, path) is None:
            yield authz.refused_path(self.registry, self.user, verb, path)


def _refusals(caller: _Caller, wanted: User, mode: str) -> Iterator[ApiError]:
    """The 403 of each right that is missing for a mode."""
    if mode == _LEGACY:
        verb, group = "impersonate", ""
    else:
        verb, group = f"impersonate:{mode}", _AUTHENTICATION
        yield from caller.lacks_on(f"impersonate-on:{mode}:")
    yield from caller.lacks(_of_name(verb, group, wanted.name, mode))
    if wanted.uid:
        yield from caller.lacks(Act(verb, _AUTHENTICATION, "uids", name=wanted.uid))
    for name, why in _wrong_groups(wanted.groups) if mode != _LEGACY else ():
        yield caller.refused(Act(verb, group, "groups", name=name), why)
    for name in wanted.groups:
        yield from caller.lacks(Act(verb, group, "groups", name=name))
    for why in _wrong_extra(wanted.extra) if mode != _LEGACY else ():
        yield caller.refused(Act(verb, _AUTHENTICATION, "userextras"), why)
    for key, values in wanted.extra.items():
        for value in values:
            yield from caller.lacks(Act(verb, _AUTHENTICATION, "userextras", key, name=value))


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


def _wrong_groups(groups: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The groups that nobody may claim, whatever his rights, and why."""
    if "" in groups:
        yield "", "impersonating the empty string group is not allowed"
    if MASTERS in groups:
        yield MASTERS, "impersonating the system:masters group is not allowed"


def _wrong_extra(extra: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Why nobody may speak with such extras, whatever his rights."""
    for key, values in extra.items():
        domain, _, path = key.partition("/")
        if not key:
            yield "impersonating the empty string key in extra is not allowed"
        elif not path or not domain or rules.dns_subdomain(domain):
            yield (
                "impersonating an invalid key in extra is not allowed: extra.key: Invalid value:"
                f' {_quoted(key)}: must be a domain-prefixed path (such as "acme.io/foo")'
            )
        elif key != key.lower():
            yield f"impersonating a non-lowercase key in extra is not allowed: {_quoted(key)}"
        elif "" in values:
            yield "impersonating the empty string value in extra is not allowed"


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
