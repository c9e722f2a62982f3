"""A project of a Harbor registry: its images with their tags, one image, one tag.

Requests for a project of R repositories and T tagged artifacts: ceil(R/100) + ceil(T/100) where
the server lists the artifacts of a whole project (Harbor 2.12, not anonymous), else ceil(R/100)
and one for each repository that is not empty; CONCURRENCY at once at most.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import quote

import msgspec

from jobman.errors import (
    ForbiddenError,
    JobmanError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from jobman.images.models import HarborArtifact, HarborRepository, Image, Tag, image, tags_of
from jobman.images.transport import CONCURRENCY, Answer, Transport
from jobman.kube.beside import beside, in_order

PAGE_SIZE = 100
TAGGED_IMAGES = "tags=*,type=IMAGE"
Params = Mapping[str, str | int]
Artifacts = Mapping[str, "list[HarborArtifact] | None"]
BY_NAME: Params = {"sort": "name"}
WITH_SCANS: Params = {"with_label": "true", "with_scan_overview": "true"}
T = TypeVar("T")


class Harbor:
    """One project of one Harbor. Every method may raise the errors of Transport.get."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.host = transport.host
        self.project = transport.project
        self.problems: list[JobmanError] = []

    def images(self, *, scans: bool = False) -> list[Image]:
        """All images, by name; the error of one whose tags cannot be read goes to `problems`.

        `scans`: with labels and scan summaries, which cost the server more.
        """
        self.problems = []
        extra = WITH_SCANS if scans else {}
        # nothing more is asked before one answer shows that this caller gets any
        first = self._page(self._path(), BY_NAME, 1)
        at_once = beside(lambda: self._artifacts_at_once(extra))
        listed = self._with_rest(first, self._path(), BY_NAME, HarborRepository)
        repositories = {repository.name: repository for repository in listed}
        artifacts = at_once()
        if artifacts is None:
            artifacts = self._artifacts_one_by_one(repositories.values(), extra)
        return [image(self.host, r, artifacts.get(r.name, [])) for r in repositories.values()]

    def get(self, name: str) -> Image | None:
        """The image `name` with labels and scan summaries; None where there is none."""
        repository = self._repository(name)
        if repository is None:
            return None
        return image(self.host, repository, self._artifacts(name, TAGGED_IMAGES, WITH_SCANS))

    def _repository(self, name: str) -> HarborRepository | None:
        full = f"{self.project}/{name}"
        query: Params = {"q": f"name={full}", "page": 1, "page_size": 2}
        found = self._decode(self._transport.get(self._path(), query), HarborRepository)
        # Harbor ignores query keys that it does not know: look again here.
        return next((r for r in found if r.name == full), None)

    def tag(self, name: str, tag: str) -> Tag | None:
        """The tag of an image; None where the image or the tag is not there."""
        found = tags_of(self._artifacts(name, f"tags={tag}"))
        return next((t for t in found if t.name == tag), None)

    def tags(self, name: str) -> list[Tag] | None:
        """The tags of an image, newest first; None where there is no such image."""
        found = tags_of(self._artifacts(name, TAGGED_IMAGES))
        return found if found or self._repository(name) is not None else None

    def _path(self, *rest: str) -> str:
        return "/".join((f"/projects/{quote(self.project, safe='')}/repositories", *rest))

    def _artifacts_path(self, name: str) -> str:
        """Names are encoded twice: Harbor's own proxy decodes them once."""
        return self._path(quote(quote(name, safe=""), safe=""), "artifacts")

    def _artifacts_at_once(self, extra: Params) -> Artifacts | None:
        """The artifacts of the whole project; None where the caller must ask one by one.

        That is Harbor before 2.12, and who may not: the anonymous never may.
        """
        if self._transport.credential is None:
            return None
        path = f"/projects/{quote(self.project, safe='')}/artifacts"
        params: Params = {"q": TAGGED_IMAGES, "with_tag": "true", "sort": "id", **extra}
        try:
            first = self._page(path, params, 1)
        except (UnauthorizedError, ForbiddenError, NotFoundError):
            return None
        found: defaultdict[str, list[HarborArtifact]] = defaultdict(list)
        for artifact in self._with_rest(first, path, params, HarborArtifact):
            found[artifact.repository_name].append(artifact)
        return found

    def _artifacts_one_by_one(
        self, repositories: Iterable[HarborRepository], extra: Params
    ) -> Artifacts:
        names = [r.name for r in repositories if r.artifact_count]
        found = in_order(lambda name: self._artifacts_or_problem(name, extra), names, CONCURRENCY)
        return dict(zip(names, found, strict=True))

    def _artifacts_or_problem(self, full_name: str, extra: Params) -> list[HarborArtifact] | None:
        try:
            return self._artifacts(full_name.partition("/")[2], TAGGED_IMAGES, extra)
        except JobmanError as error:
            self.problems.append(error)
            return None

    def _artifacts(
        self, name: str, query: str, extra: Params | None = None
    ) -> list[HarborArtifact]:
        """The artifacts of one repository; none where there is no such repository."""
        params: Params = {"q": query, "with_tag": "true", "sort": "id", **(extra or {})}
        try:
            return self._in_turn(self._artifacts_path(name), params, HarborArtifact)
        except NotFoundError:
            return []

    def _with_rest(self, first: Answer, path: str, params: Params, model: type[T]) -> list[T]:
        """All items of a list whose first page is there; the others are asked for in parallel.

        The server's own `next` links are not followed: Harbor unescapes their queries.
        """
        found = self._decode(first, model)
        if first.total is None:
            more = len(found) == PAGE_SIZE
            return found + (self._in_turn(path, params, model, start=2) if more else [])
        pages = range(2, math.ceil(first.total / PAGE_SIZE) + 1)
        for answer in in_order(lambda page: self._page(path, params, page), pages, CONCURRENCY):
            found += self._decode(answer, model)
        return found

    def _in_turn(self, path: str, params: Params, model: type[T], start: int = 1) -> list[T]:
        """All items from page `start` on, one page after the other, up to a short one."""
        found: list[T] = []
        for page in itertools.count(start):
            items = self._decode(self._page(path, params, page), model)
            found += items
            if len(items) < PAGE_SIZE:
                break
        return found

    def _page(self, path: str, params: Params, page: int) -> Answer:
        return self._transport.get(path, {**params, "page": page, "page_size": PAGE_SIZE})

    def _decode(self, answer: Answer, model: type[T]) -> list[T]:
        """The items; Harbor writes an empty list as null."""
        try:
            return msgspec.convert(answer.value or [], list[model])  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise UnreachableError(
                f"Harbor project '{self.project}' ({self._transport.base_url}): "
                f"the answer is not Harbor's: {error}"
            ) from None
