"""Which image a job gets, and with which Secret the cluster pulls it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jobman.errors import UnreachableError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from jobman.cli.context import AppContext
    from jobman.config.flavors import Flavor
    from jobman.config.settings import HarborProject
    from jobman.images.reference import Reference


@dataclass(frozen=True)
class Choice:
    """A reference as the cluster is to pull it, and the Secret of the project it lies in."""

    reference: str
    pull_secret: str | None = None


@dataclass(frozen=True)
class Named:
    """The image as it was asked for; `prefixed` where job.imagePrefix made it a full reference."""

    reference: Reference
    prefixed: bool


def named(app: AppContext, given: str | None, flavor: Flavor) -> Named:
    """The image of `-i`, else the flavor's, else the settings', behind job.imagePrefix.

    Raises UsageError where there is none, or what there is is no image reference.
    """
    from jobman.images.reference import Reference

    job = app.settings.values.job
    text = given or flavor.image or job.default_image
    if not text:
        raise UsageError("no image: give -i, or set job.defaultImage in the settings")
    asked = Reference.parse(text)
    reference = asked.with_prefix(job.image_prefix)
    return Named(reference, prefixed=asked.host is None and reference.host is not None)


def on_harbor(app: AppContext, image: Named, *, check: bool) -> Choice:
    """The image as the configured Harbor projects know it; what there is to say is said.

    Raises NotFoundError for a tag that an existing image lacks, and UnreachableError where a
    project cannot answer; without `check` neither.
    """
    from jobman.images.address import host
    from jobman.images.projects import configured

    reference, projects = image.reference, configured(app.settings.values)
    if not projects:
        return Choice(str(reference))
    if reference.host is None:
        return _resolved(app, reference, projects, check=check)
    for project in projects:
        if reference.host == host(project) and reference.name.startswith(f"{project.name}/"):
            if image.prefixed:
                _check(app, reference, project, check=check)
            return Choice(str(reference), project.pull_secret)
    return Choice(str(reference))


def _check(app: AppContext, reference: Reference, project: HarborProject, *, check: bool) -> None:
    """Refuse a tag that the image lacks; whatever else happens, nobody else's image is taken."""
    inside = replace(reference, host=None)
    try:
        _resolved(app, inside, [project], check=check)
    except UnreachableError as error:
        app.warn(error.message)


def _resolved(
    app: AppContext, reference: Reference, projects: list[HarborProject], *, check: bool
) -> Choice:
    from jobman.images.address import security_warnings
    from jobman.images.cache import FRESH_S
    from jobman.images.projects import Project
    from jobman.images.resolve import resolve

    for warning in (text for project in projects for text in security_warnings(project)):
        app.warn(warning)
    registries = [Project(project, app.environ, cache_directory()) for project in projects]
    found = resolve(reference, registries, FRESH_S, check=check)
    for note in found.notes:
        app.warn(note)
    if found.registry is not None:
        app.say(f"image: {found.reference}")
    return Choice(str(found.reference), found.registry.pull_secret if found.registry else None)


def cache_directory() -> Path:
    """Where the images of the Harbor projects are kept for a short while."""
    from platformdirs import user_cache_path

    return user_cache_path("jobman") / "images"
