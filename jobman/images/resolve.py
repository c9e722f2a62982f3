"""Which image a short name means: the configured projects are asked in order.

Anything with `list` and `tag`/`tags` can stand where a Harbor project stands (`Registry`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jobman.errors import JobmanError, NotFoundError, UnreachableError
from jobman.images.models import Image, Tag
from jobman.images.reference import Reference
from jobman.values.names import nearest

DEFAULT_TAG = "latest"
TAGS_SHOWN = 8


class Registry(Protocol):
    """A project of a registry."""

    host: str
    project: str

    def known(self, *, max_age_s: float | None) -> list[Image] | None:
        """The images as they were kept, where they are not older; None: nothing is kept."""

    def list(self) -> list[Image]:
        """All images."""

    def tag(self, name: str, tag: str) -> Tag | None:
        """One tag of one image, or None."""

    def tags(self, name: str) -> list[Tag]:
        """The tags of an image, newest first; none where there is no such image."""


@dataclass(frozen=True)
class Resolved:
    """A pullable reference, the project it was found in (None: none), and what to say about it."""

    reference: Reference
    project: str | None = None
    notes: tuple[str, ...] = ()


def resolve(reference: Reference, registries: Sequence[Registry], fresh_s: float) -> Resolved:
    """The pullable reference that `reference` means.

    One that names its registry is taken as it is. A name no project has is left to Kubernetes'
    default registry. Raises NotFoundError for a tag that an existing image lacks, and
    UnreachableError where a project cannot answer and nothing is kept of it: a short name must
    not become somebody else's image unnoticed.
    """
    if reference.host is not None:
        return Resolved(reference)
    notes: list[str] = []
    for registry in registries:
        found = _in_registry(reference, registry, fresh_s, notes)
        if found is not None:
            return Resolved(found, registry.project, tuple(notes))
    suggestion = _suggestion(reference, registries)
    if suggestion:
        notes.append(
            f"image '{reference.name}' is on no configured registry; nearest: {suggestion}"
        )
    return Resolved(reference, None, tuple(notes))


def project_of(reference: Reference, registries: Sequence[Registry]) -> str | None:
    """The configured project that a full reference lies in."""
    for registry in registries:
        if reference.host == registry.host and reference.name.startswith(f"{registry.project}/"):
            return registry.project
    return None


def _in_registry(
    reference: Reference, registry: Registry, fresh_s: float, notes: list[str]
) -> Reference | None:
    """The reference inside `registry`; None where it has no such image."""
    name = reference.name.removeprefix(f"{registry.project}/")
    wanted = reference.tag or (None if reference.digest else DEFAULT_TAG)
    here = reference.at(registry.host, registry.project, name, wanted)
    if _has(registry.known(max_age_s=fresh_s), name, wanted):
        return here
    try:
        if wanted is not None and registry.tag(name, wanted) is not None:
            return here
        tags = registry.tags(name)
    except JobmanError as error:
        if _has(registry.known(max_age_s=None), name, wanted):
            notes.append(f"{error.message}; taking '{here}' as it was last seen")
            return here
        raise UnreachableError(
            f"cannot tell whether '{reference}' is on {registry.host}/{registry.project}: "
            f"{error.message}",
            hint="write the full reference (host/project/name:tag), or --no-image-check",
        ) from error
    if not tags:
        return None
    if wanted is None:
        return here
    raise _no_such_tag(reference, here, wanted, tags)


def _has(images: list[Image] | None, name: str, tag: str | None) -> bool:
    found = next((image for image in images or [] if image.name == name), None)
    return found is not None and (tag is None or found.tag(tag) is not None)


def _no_such_tag(
    asked: Reference, here: Reference, wanted: str, tags: Sequence[Tag]
) -> NotFoundError:
    names = [tag.name for tag in tags]
    shown = ", ".join(names[:TAGS_SHOWN])
    more = f" and {len(names) - TAGS_SHOWN} more" if len(names) > TAGS_SHOWN else ""
    close = nearest(wanted, names)
    hint = f"did you mean {asked.name}:{close}? " if close else ""
    untagged = f" (no tag was given, so '{wanted}' is meant)" if asked.tag is None else ""
    return NotFoundError(
        f"image {here.host}/{here.name} has no tag '{wanted}'{untagged}; it has {shown}{more}",
        hint=f"{hint}--no-image-check goes on all the same",
    )


def _suggestion(reference: Reference, registries: Sequence[Registry]) -> str | None:
    """The nearest name on a registry, where what was written looks like a misspelling of it."""
    names = [image.name for registry in registries for image in _listed(registry)]
    return nearest(reference.name, names)


def _listed(registry: Registry) -> list[Image]:
    known = registry.known(max_age_s=None)
    if known is not None:
        return known
    try:
        return registry.list()
    except JobmanError:
        return []
