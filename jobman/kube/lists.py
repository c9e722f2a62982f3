"""Lists in pages, also when the server forgets them half-way (410)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from jobman.errors import ExpiredError
from jobman.kube.decode import ListOf
from jobman.kube.objects import KubeObject, ListMeta
from jobman.kube.transport import Call, Transport

PAGE_SIZE = 500
STARTS = 5
"""How often a list is begun before the server's 410 is raised."""


class Page(Protocol):
    """A part of a List."""

    @property
    def metadata(self) -> ListMeta:
        """Where it stands, and how the List goes on."""


T = TypeVar("T", bound=KubeObject)
P = TypeVar("P", bound=Page)


def walk(
    transport: Transport,
    path: str,
    query: tuple[tuple[str, str], ...],
    read: Callable[[bytes], P],
    budget_s: float | None = None,
) -> Iterator[P]:
    """Each page of a collection; ExpiredError where the server no longer knows how to go on."""
    further: tuple[tuple[str, str], ...] = ()
    while True:
        asked = (*query, ("limit", str(PAGE_SIZE)), *further)
        page = read(transport.send(Call("GET", path, asked, gzip=True, budget_s=budget_s)).body)
        yield page
        if not page.metadata.continue_:
            return
        further = (("continue", page.metadata.continue_),)


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
                fresh = [item for item in page.items or [] if item.metadata.uid not in seen]
                seen.update(item.metadata.uid for item in fresh)
                yield page, fresh
        except ExpiredError:
            if start == STARTS - 1:
                raise
        else:
            return
