"""One request to the API: who asks, for what, by which verb; and how a write is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import msgspec
from aiohttp import web

from jobman.local.api import status
from jobman.local.api.authz import Act
from jobman.local.api.cause import Cause, not_supported
from jobman.local.api.paths import Named, Target
from jobman.local.api.query import flag
from jobman.local.api.registry import Registry, Write
from jobman.local.api.schema import Mode
from jobman.local.api.users import User

_MODES = ("Ignore", "Strict", "Warn")
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}
_OF_COLLECTIONS = {"GET": ("list", "watch"), "POST": ("create",), "DELETE": ("deletecollection",)}
_OF_OBJECTS = {
    "GET": ("get", "watch"),
    "PUT": ("update",),
    "PATCH": ("patch",),
    "DELETE": ("delete",),
}
_ONE_NAME = re.compile(r"metadata\.name==?([^,=!\\]+)")


class Call(msgspec.Struct, frozen=True):
    """One request to the API: what it is about, who asks."""

    registry: Registry
    request: web.BaseRequest
    target: Target
    user: User

    @property
    def verb(self) -> str:
        """The verb that roles speak of."""
        target = self.target
        return verb_of(self.request, named=target.name is not None, watch=target.watch)

    @property
    def name(self) -> str:
        """The name of the object that the URL is about."""
        assert self.target.name is not None
        return self.target.name

    def check_method(self) -> None:
        """Raise a 405 for a method that what the URL names has not."""
        target, method = self.target, self.request.method
        if target.subresource is not None:
            part = target.resource.subresource(target.subresource)
            served: Sequence[str] = part.verbs if part else ()
        elif target.name is not None:
            served = _OF_OBJECTS.get(method, ())
        elif target.resource.namespaced and target.namespace is None and method != "GET":
            served = ()
        else:
            served = _OF_COLLECTIONS.get(method, ())
        if target.watch and method != "GET":
            served = ()
        if target.subresource is None:
            served = [verb for verb in served if verb in target.resource.verbs]
        if method == "HEAD" or self.verb not in served:
            raise status.method_not_allowed()

    def write(self, options: str) -> Write:
        """How the write is asked for; `options` is what Kubernetes calls that. Raises a 422."""
        query = self.request.query
        mode = query.get("fieldValidation") or "Warn"
        causes = []
        if mode not in _MODES:
            causes.append(not_supported("fieldValidation", mode, ("", *_MODES)))
        asked = query.getall("dryRun", [])
        causes += dry_run_problems(asked)
        if causes:
            raise status.invalid(options, "meta.k8s.io", "", causes)
        return Write(self.user, bool(asked), cast(Mode, mode))


def verb_of(request: web.BaseRequest, *, named: bool, watch: bool) -> str:
    """The verb of a request to an object, or to a collection."""
    method = request.method
    if method == "DELETE":
        return "delete" if named else "deletecollection"
    verb = _VERBS.get(method, "")
    if verb != "get" or (named and not watch):
        return verb
    asked = watch or flag(request.query, "watch")
    return "watch" if asked else "list"


def act_of(request: web.BaseRequest, found: Named) -> Act:
    """What a request wants to do, as roles see it."""
    verb = verb_of(request, named=found.name is not None, watch=found.watch)
    name = found.name or ""
    if verb in ("list", "watch") and not name:
        # a list of one object is allowed to whom the object is
        only = _ONE_NAME.fullmatch(request.query.get("fieldSelector", ""))
        name = only[1] if only else ""
    return Act(verb, found.group, found.plural, found.subresource or "", found.home, name)


def dry_run_problems(asked: Sequence[str]) -> list[Cause]:
    """What is wrong with values of dryRun."""
    if all(word == "All" for word in asked):
        return []
    return [not_supported("dryRun", list(asked), ("All",))]
