"""One image, looked for in the configured projects in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jobman.config.settings import HarborProject
from jobman.errors import JobmanError, NotFoundError, UnreachableError, UsageError
from jobman.images import address
from jobman.images.models import Image
from jobman.images.projects import Project
from jobman.images.reference import Reference
from jobman.images.resolve import lacks
from jobman.values.names import nearest


def find(
    reference: Reference,
    settings: Sequence[HarborProject],
    environ: Mapping[str, str],
    cache: Path,
) -> tuple[Image, list[JobmanError]]:
    """The image with labels and scans, and why projects before it could not be asked.

    Raises NotFoundError, UsageError for a registry that is not configured, and UnreachableError
    where a project that could not be asked may have it.
    """
    failed: list[JobmanError] = []
    projects: list[Project] = []
    for one in _candidates(reference, settings):
        try:
            projects.append(Project(one, environ, cache))
            image = projects[-1].get(reference.name.removeprefix(f"{one.name}/"))
        except JobmanError as error:
            failed.append(error)
            continue
        if image is not None:
            return image, failed
    raise _missing(reference, projects, failed)


def _candidates(reference: Reference, settings: Sequence[HarborProject]) -> Iterator[HarborProject]:
    """The projects that may have the image. Raises UsageError where a registry is none of them."""
    if reference.host is None:
        yield from settings
        return
    held = [
        one
        for one in settings
        if address.host(one) == reference.host and reference.name.startswith(f"{one.name}/")
    ]
    if not held:
        raise UsageError(
            f"'{reference}' is in none of the configured Harbor projects",
            hint="jobman images lists what is there; harborProjects in the settings names them",
        )
    yield from held


def _missing(
    reference: Reference, projects: Sequence[Project], failed: Sequence[JobmanError]
) -> JobmanError:
    if len(failed) == 1 and len(projects) <= 1:
        return failed[0]
    if failed:
        reasons = "\n".join(f"  {error.message}" for error in failed)
        return UnreachableError(f"cannot tell whether '{reference}' is on Harbor:\n{reasons}")
    close = nearest(reference.name, _names(projects))
    return NotFoundError(
        f"no image '{reference.name}' in {', '.join(project.project for project in projects)}",
        hint=f"did you mean {close}?" if close else "all images: jobman images",
    )


def _names(projects: Sequence[Project]) -> Iterator[str]:
    """The names that a misspelt one may have meant; a project that fails has none."""
    for project in projects:
        try:
            images = project.known(max_age_s=None) or project.images()
        except JobmanError:
            continue
        yield from (image.name for image in images)


def narrowed(image: Image, reference: Reference) -> Image:
    """The image with the tags that the reference means. Raises NotFoundError where it has none."""
    if reference.tag is not None:
        image = tagged(image, reference.tag)
    if reference.digest is None:
        return image
    import msgspec

    found = [tag for tag in image.tags if tag.digest == reference.digest]
    if not found:
        which = f"tag '{reference.tag}'" if reference.tag else "no tag"
        verb = "does not have" if reference.tag else "has"
        raise NotFoundError(
            f"{which} of image {image.reference} {verb} the digest {reference.digest}",
            hint=f"all its tags: jobman image-details {image.name}",
        )
    return msgspec.structs.replace(image, tags=found)


def tagged(image: Image, tag: str) -> Image:
    """The image with this tag alone. Raises NotFoundError."""
    import msgspec

    found = image.tag(tag)
    if found is None:
        names = [known.name for known in image.tags]
        close = nearest(tag, names)
        hint = f"did you mean {image.name}:{close}?" if close else None
        raise NotFoundError(lacks(image.reference, tag, names), hint=hint)
    return msgspec.structs.replace(image, tags=[found])
