"""Lists in pages, also when the server forgets them half-way (410)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from jobman.errors import ExpiredError, UsageError
from jobman.kube import decode
from jobman.kube.beside import Ahead
from jobman.kube.decode import ListOf
from jobman.kube.objects import KubeObject, ListMeta
from jobman.kube.resources import Resource
from jobman.kube.transport import Call, Transport
from jobman.values.text import is_utf8, visible

PAGE_SIZE = 500
PAGES_AHEAD = 4
"""Pages, packed, that wait for their use; with fewer the server waits for the reader."""

STARTS = 5
"""How often a list is begun before the server's 410 is raised."""


class Page(Protocol):
    """A part of a List."""

    @property
    def metadata(self) -> ListMeta:
        """Where it stands, and how the List goes on."""


_CONTINUE = re.compile(rb'"continue": ?"([A-Za-z0-9_=-]+)"')
T = TypeVar("T", bound=KubeObject)
P = TypeVar("P", bound=Page)


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """Objects, and the version of the collection that a watch goes on from."""

    items: list[T]
    resource_version: str


class Scope(msgspec.Struct, frozen=True):
    """Which objects of a collection: of a namespace (None: of all), by their selectors."""

    namespace: str | None
    labels: str | None = None
    fields: str | None = None

    def path(self, resource: Resource[Any]) -> str:
        """The collection's path."""
        return resource.path(self.namespace)

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The selectors as query parameters. Raises UsageError for one that no text can be."""
        for selector in filter(None, (self.labels, self.fields)):
            if not is_utf8(selector):
                raise UsageError(f"'{visible(selector)}' is not UTF-8: nothing has that")
        pairs = (("labelSelector", self.labels), ("fieldSelector", self.fields))
        return tuple((key, value) for key, value in pairs if value)


def walk(
    transport: Transport,
    resource: Resource[Any],
    scope: Scope,
    read: Callable[[bytes], P],
    until: float | None = None,
) -> Iterator[P]:
    """Each page of a collection; ExpiredError where the server no longer knows how to go on.

    Of a list of many pages the next ones are on their way while one is read. After the moment
    `until` (monotonic) nothing that failed is tried again.
    """

    def ask(continue_: str) -> bytes:
        further = (("continue", continue_),) if continue_ else ()
        asked = (*scope.query, ("limit", str(PAGE_SIZE)), *further)
        budget_s = None if until is None else max(until - time.monotonic(), 0.0)
        call = Call("GET", scope.path(resource), asked, gzip=True, packed=True, budget_s=budget_s)
        return transport.send(call).body

    continue_, further = "", True
    while further:
        for text, expected in _bodies(ask, continue_):
            page = read(decode.unpacked(text, f"the list of {resource.kind}s"))
            yield page
            continue_ = page.metadata.continue_
            if continue_ != expected:
                break
        further = bool(continue_)


def _bodies(ask: Callable[[str], bytes], continue_: str) -> Iterator[tuple[bytes, str]]:
    """The bodies of pages from `continue_` on, each with how it seems to go on; empty: not so."""
    found = _one_by_one(ask, continue_)
    first = next(found)
    if not first[1]:
        yield first
        return
    with Ahead(found, PAGES_AHEAD) as others:
        yield first
        yield from others


def _one_by_one(ask: Callable[[str], bytes], continue_: str) -> Iterator[tuple[bytes, str]]:
    further = True
    while further:
        body = ask(continue_)
        continue_ = _continue_at_head(body)
        yield body, continue_
        further = bool(continue_)


def _continue_at_head(body: bytes) -> str:
    """How the list goes on, seen without unpacking it all; empty where that cannot be told."""
    head = decode.beginning(body, 2000).partition(b'"items"')[0]
    match = _CONTINUE.search(head)
    return match[1].decode("ascii") if match else ""


def complete(begin: Callable[[], Iterator[P]]) -> list[P]:
    """All pages as of one version: what the server forgets is listed anew."""
    for _ in range(STARTS - 1):
        try:
            return [*begin()]
        except ExpiredError:
            continue
    return [*begin()]


def distinct(begin: Callable[[], Iterator[ListOf[T]]]) -> Iterator[tuple[ListOf[T], list[T]]]:
    """Each page with those of its objects that no page before it had."""
    seen: set[str] = set()
    for start in range(STARTS):
        try:
            for page in begin():
                fresh = page.items or []
                if start:
                    fresh = [item for item in fresh if item.metadata.uid not in seen]
                seen.update([item.metadata.uid for item in fresh])
                yield page, fresh
        except ExpiredError:
            if start == STARTS - 1:
                raise
        else:
            return
