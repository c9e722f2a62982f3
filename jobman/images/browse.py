"""The images of several projects at once; a project that fails does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobman.config.settings import HarborProject
from jobman.errors import JobmanError, UnreachableError
from jobman.images.cache import FRESH_S
from jobman.images.models import Image
from jobman.images.projects import Project
from jobman.kube.beside import in_order
from jobman.values.names import glob_matches, is_glob

PROJECTS_AT_ONCE = 4


@dataclass
class Found:
    """The images in the order of the projects; why others are missing or have no tags."""

    images: list[Image] = field(default_factory=list)
    failed: list[JobmanError] = field(default_factory=list)
    incomplete: list[JobmanError] = field(default_factory=list)
    answered: int = 0

    def raise_if_silent(self) -> None:
        """Raise where no project answered: the one error, or an UnreachableError with all."""
        if self.answered or not self.failed:
            return
        if len(self.failed) == 1:
            raise self.failed[0]
        lines = "\n".join(f"  {error.message}" for error in self.failed)
        raise UnreachableError(f"no Harbor project answers:\n{lines}")


def browse(
    projects: Sequence[HarborProject],
    environ: Mapping[str, str],
    cache: Path,
    *,
    refresh: bool = False,
    scans: bool = False,
) -> Found:
    """All images; from what was kept a short while ago, unless `refresh` or `scans`."""

    def one(settings: HarborProject) -> Found:
        project = Project(settings, environ, cache)
        kept = None if refresh or scans else project.known(max_age_s=FRESH_S)
        images = kept if kept is not None else project.images(scans=scans)
        return Found(images, incomplete=list(project.problems) if kept is None else [], answered=1)

    whole = Found()
    for part in _at_once(one, projects):
        whole.images += part.images
        whole.failed += part.failed
        whole.incomplete += part.incomplete
        whole.answered += part.answered
    return whole


def _at_once(
    one: Callable[[HarborProject], Found], projects: Sequence[HarborProject]
) -> Sequence[Found]:
    def guarded(project: HarborProject) -> Found:
        try:
            return one(project)
        except JobmanError as error:
            return Found(failed=[error])

    return list(in_order(guarded, projects, PROJECTS_AT_ONCE))


def matching(images: Sequence[Image], pattern: str | None) -> list[Image]:
    """The images whose name, with or without the project, fits a glob or holds a word."""
    if pattern is None:
        return list(images)
    word = pattern.casefold()
    glob = pattern if is_glob(pattern) else None

    def fits(image: Image) -> bool:
        full = f"{image.project}/{image.name}"
        if glob is None:
            return word in full.casefold()
        return glob_matches(glob, image.name) or glob_matches(glob, full)

    return [image for image in images if fits(image)]
