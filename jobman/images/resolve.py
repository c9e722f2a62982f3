"""Which image a short name means: the configured projects are asked in order.

Anything with `images` and `tag`/`tags` can stand where a Harbor project stands (`Registry`).
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
    pull_secret: str | None

    def known(self, *, max_age_s: float | None) -> list[Image] | None:
        """The images as they were kept, where they are not older; None: nothing is kept."""

    def was_seen(self, image: str, *, max_age_s: float | None) -> bool:
        """Whether name:tag was found there within `max_age_s` (None: ever)."""

    def images(self) -> list[Image]:
        """All images."""

    def tag(self, name: str, tag: str) -> Tag | None:
        """One tag of one image, or None."""

    def tags(self, name: str) -> list[Tag] | None:
        """The tags of an image, newest first; None where there is no such image."""


@dataclass(frozen=True)
class Resolved:
    """A pullable reference, where it was found (None: nowhere), and what to say about it."""

    reference: Reference
    registry: Registry | None = None
    notes: tuple[str, ...] = ()


def resolve(
    reference: Reference, registries: Sequence[Registry], fresh_s: float, *, check: bool = True
) -> Resolved:
    """The pullable reference that `reference` means.

    One that names its registry is taken as it is. A name no project has is left to Kubernetes'
    default registry. Raises NotFoundError for a tag that an existing image lacks, and
    UnreachableError where a project cannot answer and nothing is kept of it: a short name must
    not become somebody else's image unnoticed. Without `check` both are notes.
    """
    if reference.host is not None:
        return Resolved(reference)
    notes: list[str] = []
    for registry in registries:
        look = _Look(reference, registry)
        try:
            found = look.known(fresh_s) or look.asked(notes)
        except (NotFoundError, UnreachableError) as error:
            if check:
                raise
            notes.append(f"{error.message}; going on unchecked")
            found = look.here if isinstance(error, NotFoundError) else None
        if found is not None:
            return Resolved(found, registry, tuple(notes))
    suggestion = _suggestion(reference, registries)
    if suggestion:
        notes.append(
            f"image '{reference.name}' is on no configured registry; nearest: {suggestion}"
        )
    return Resolved(reference, None, tuple(notes))


class _Look:
    """The look for a reference in one registry."""

    def __init__(self, reference: Reference, registry: Registry) -> None:
        self.registry = registry
        self.reference = reference
        self.name = reference.name.removeprefix(f"{registry.project}/")
        self.tag = reference.tag or (None if reference.digest else DEFAULT_TAG)
        self.here = reference.at(registry.host, registry.project, self.name, self.tag)

    def known(self, max_age_s: float | None) -> Reference | None:
        """The reference, where what was kept says that it is there."""
        seen = self.registry.was_seen(f"{self.name}:{self.tag}", max_age_s=max_age_s)
        listed = seen or _has(self.registry.known(max_age_s=max_age_s), self.name, self.tag)
        return self.here if listed else None

    def asked(self, notes: list[str]) -> Reference | None:
        """The reference, where the registry has the image; without an answer, what was kept."""
        try:
            if self.tag is not None and self.registry.tag(self.name, self.tag) is not None:
                return self.here
            tags = self.registry.tags(self.name)
        except JobmanError as error:
            return self._kept(error, notes)
        if tags is None:
            return None
        if self.tag is not None:
            raise _no_such_tag(self.reference, self.here, self.tag, tags)
        return self.here

    def _kept(self, error: JobmanError, notes: list[str]) -> Reference:
        if self.known(max_age_s=None):
            notes.append(f"{error.message}; taking '{self.here}' as it was last seen")
            return self.here
        raise UnreachableError(
            f"cannot tell whether '{self.reference}' is on "
            f"{self.registry.host}/{self.registry.project}: {error.message}",
            hint="write the full reference (host/project/name:tag), or --no-image-check",
        ) from error


def _has(images: list[Image] | None, name: str, tag: str | None) -> bool:
    found = next((image for image in images or [] if image.name == name), None)
    return found is not None and (tag is None or found.tag(tag) is not None)


def lacks(image: str, tag: str, names: Sequence[str]) -> str:
    """That `image` has no such tag, and which it has, the first TAGS_SHOWN of `names`."""
    shown = ", ".join(names[:TAGS_SHOWN]) or "none"
    more = f" and {len(names) - TAGS_SHOWN} more" if len(names) > TAGS_SHOWN else ""
    return f"image {image} has no tag '{tag}'; it has {shown}{more}"


def _no_such_tag(
    asked: Reference, here: Reference, wanted: str, tags: Sequence[Tag]
) -> NotFoundError:
    names = [tag.name for tag in tags]
    close = nearest(wanted, names)
    hint = f"did you mean {asked.name}:{close}? " if close else ""
    untagged = f" (no tag was given, so '{wanted}' is meant)" if asked.tag is None else ""
    return NotFoundError(
        lacks(f"{here.host}/{here.name}", wanted, names) + untagged,
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
        return registry.images()
    except JobmanError:
        return []
