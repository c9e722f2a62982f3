"""What jobman knows of an image: Harbor's answers, and the rows made of them.

The Harbor* Structs name only the fields read, in Harbor's words; Harbor leaves out what is empty.
"""

from __future__ import annotations

import html
from typing import Any

import msgspec

NEVER = "0001-01-01"
_INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)


class HarborRepository(msgspec.Struct, frozen=True):
    """A repository; `name` begins with its project."""

    name: str
    description: str = ""
    artifact_count: int = 0
    pull_count: int = 0
    update_time: str = ""


class HarborTag(msgspec.Struct, frozen=True):
    """A tag of an artifact."""

    name: str
    push_time: str = ""


class HarborPlatform(msgspec.Struct, frozen=True):
    """What a part of an index runs on."""

    architecture: str = ""
    os: str = ""
    variant: str = ""


class HarborReference(msgspec.Struct, frozen=True):
    """A part of an index."""

    platform: HarborPlatform | None = None


class HarborLabel(msgspec.Struct, frozen=True):
    """A label."""

    name: str = ""


class HarborArtifact(msgspec.Struct, frozen=True):
    """An image or an index of images; `size` in bytes, compressed."""

    digest: str = ""
    repository_name: str = ""
    manifest_media_type: str = ""
    size: int = 0
    push_time: str = ""
    extra_attrs: dict[str, Any] | None = None
    references: list[HarborReference] | None = None
    tags: list[HarborTag] | None = None
    labels: list[HarborLabel] | None = None
    scan_overview: dict[str, Any] | None = None


class Tag(msgspec.Struct, frozen=True, rename="camel"):
    """A tag of an image; times RFC 3339, size in bytes, platforms like linux/arm64/v8."""

    name: str
    digest: str
    pushed_at: str | None
    size_bytes: int
    platforms: list[str]
    labels: list[str] = []
    vulnerabilities: str | None = None


class Image(msgspec.Struct, frozen=True, rename="camel"):
    """An image of a Harbor project with its tags, newest first.

    Each of `tags` has name, digest, pushedAt, sizeBytes, platforms, labels and vulnerabilities;
    the last two are told by `image-details` and `images --tags`. `sizeBytes` and `pushedAt` are
    those of the newest tag. `complete` is false where the tags could not be read.
    """

    project: str
    name: str
    reference: str
    description: str
    tags: list[Tag]
    pushed_at: str | None
    size_bytes: int | None
    pulls: int
    complete: bool = True

    def tag(self, name: str) -> Tag | None:
        """The tag of that name."""
        return next((tag for tag in self.tags if tag.name == name), None)


def image(host: str, repository: HarborRepository, artifacts: list[HarborArtifact] | None) -> Image:
    """The row of a repository; `artifacts` None means that they could not be read."""
    project, _, name = repository.name.partition("/")
    tags = tags_of(artifacts or [])
    newest = tags[0] if tags else None
    return Image(
        project=project,
        name=name,
        reference=f"{host}/{repository.name}",
        description=html.unescape(repository.description),
        tags=tags,
        pushed_at=newest.pushed_at if newest else None,
        size_bytes=newest.size_bytes if newest else None,
        pulls=repository.pull_count,
        complete=artifacts is not None,
    )


def tags_of(artifacts: list[HarborArtifact]) -> list[Tag]:
    """All tags, newest first; an artifact met twice (pages are no snapshot) counts once."""
    found = {tag.name: _tag(tag, a) for a in artifacts for tag in a.tags or []}
    return sorted(found.values(), key=lambda tag: (tag.pushed_at or "", tag.name), reverse=True)


def _tag(tag: HarborTag, artifact: HarborArtifact) -> Tag:
    pushed = tag.push_time or artifact.push_time
    return Tag(
        name=tag.name,
        digest=artifact.digest,
        pushed_at=None if not pushed or pushed.startswith(NEVER) else pushed,
        size_bytes=artifact.size,
        platforms=_platforms(artifact),
        labels=[label.name for label in artifact.labels or [] if label.name],
        vulnerabilities=_vulnerabilities(artifact.scan_overview),
    )


def _platforms(artifact: HarborArtifact) -> list[str]:
    if artifact.manifest_media_type in _INDEXES:
        parts = [reference.platform for reference in artifact.references or []]
        # buildx attestations are parts of "unknown/unknown"
        return [_platform(p) for p in parts if p and p.architecture not in ("", "unknown")]
    attributes = artifact.extra_attrs or {}
    architecture, system = attributes.get("architecture"), attributes.get("os")
    if not isinstance(architecture, str) or not isinstance(system, str):
        return []
    return [_platform(HarborPlatform(architecture, system))] if architecture else []


def _platform(platform: HarborPlatform) -> str:
    variant = f"/{platform.variant}" if platform.variant else ""
    return f"{platform.os}/{platform.architecture}{variant}"


def _vulnerabilities(overview: dict[str, Any] | None) -> str | None:
    """One phrase of the first scanner's report: `High: 3 High, 9 Medium (12 fixable)`."""
    report = next(iter((overview or {}).values()), None)
    if not isinstance(report, dict):
        return None
    status = report.get("scan_status")
    if status != "Success":
        return f"scan {str(status or 'unknown').lower()}"
    summary = report.get("summary")
    summary = summary if isinstance(summary, dict) else {}
    counts = summary.get("summary")
    ranked = [
        f"{counts[level]} {level}"
        for level in ("Critical", "High", "Medium", "Low", "Negligible", "Unknown")
        if isinstance(counts, dict) and isinstance(counts.get(level), int)
    ]
    fixable = summary.get("fixable")
    tail = f" ({fixable} fixable)" if isinstance(fixable, int) and ranked else ""
    return f"{', '.join(ranked)}{tail}" if ranked else "none found"
