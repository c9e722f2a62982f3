"""The Harbor projects of the settings, ready to be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jobman.config.settings import HarborProject, Settings
from jobman.errors import JobmanError, UsageError
from jobman.images import address
from jobman.images.cache import Cache
from jobman.images.credentials import of_project
from jobman.images.models import Image, Tag
from jobman.values.names import nearest

if TYPE_CHECKING:
    from jobman.images.harbor import Harbor


class Project:
    """A Harbor project with what was kept of it; a `Registry` for resolving."""

    def __init__(self, settings: HarborProject, environ: Mapping[str, str], cache: Path) -> None:
        self._settings = settings
        self.host = address.host(settings)
        self.project = settings.name
        self.pull_secret = settings.pull_secret
        self._credential = of_project(settings, self.host, environ)
        self._cache = Cache(cache, address.base_url(settings), self.project, self._credential)

    @cached_property
    def _harbor(self) -> Harbor:
        # requests takes a while to import, and what was kept often serves
        from jobman.images.harbor import Harbor
        from jobman.images.transport import Transport

        return Harbor(Transport(self._settings, self._credential))

    @property
    def problems(self) -> Sequence[JobmanError]:
        """The images whose tags the last `images` could not read."""
        return self._harbor.problems

    def known(self, *, max_age_s: float | None) -> list[Image] | None:
        """The images as they were kept, where they are not older."""
        return self._cache.load(max_age_s=max_age_s)

    def was_seen(self, image: str, *, max_age_s: float | None) -> bool:
        """Whether name:tag was found there within `max_age_s` (None: ever)."""
        return self._cache.was_seen(image, max_age_s=max_age_s)

    def images(self, *, scans: bool = False) -> list[Image]:
        """All images as the server has them now; kept when complete, and without `scans`."""
        images = self._harbor.images(scans=scans)
        if not self._harbor.problems and not scans:
            self._cache.save(images)
        return images

    def get(self, name: str) -> Image | None:
        """One image with labels and scan summaries."""
        return self._harbor.get(name)

    def tag(self, name: str, tag: str) -> Tag | None:
        """One tag of one image, or None."""
        found = self._harbor.tag(name, tag)
        if found is not None:
            self._cache.note(f"{name}:{tag}")
        return found

    def tags(self, name: str) -> list[Tag] | None:
        """The tags of an image, newest first; None where there is no such image."""
        return self._harbor.tags(name)


def configured(settings: Settings) -> list[HarborProject]:
    """`harborProjects`, and the older single `harbor` as one more without a credential."""
    older = settings.harbor
    if older is None or not older.url or not older.project:
        return list(settings.harbor_projects)
    if any(p.name == older.project for p in settings.harbor_projects):
        return list(settings.harbor_projects)
    return [*settings.harbor_projects, HarborProject(name=older.project, base_url=older.url)]


def chosen(projects: Sequence[HarborProject], name: str | None) -> list[HarborProject]:
    """All projects, or the one of that name. Raises UsageError with what there is."""
    if not projects:
        raise UsageError(
            "no Harbor project is configured",
            hint='add {"harborProjects": [{"name": …, "baseUrl": "https://…"}]} to the settings',
        )
    found = [project for project in projects if name is None or project.name == name]
    if not found:
        names = [project.name for project in projects]
        close = nearest(name or "", names)
        raise UsageError(
            f"no Harbor project '{name}' in the settings; there are {', '.join(names)}",
            hint=f"did you mean {close}?" if close else None,
        )
    return found
