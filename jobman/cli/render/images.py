"""Images and their tags as rows and as tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from jobman.cli.render.jobs import age
from jobman.cli.render.table import Column
from jobman.images.models import Image
from jobman.values.duration import parse_rfc3339
from jobman.values.quantity import format_bytes

TAGS_SHOWN = 4
DIGEST_SHOWN = len("sha256:") + 12
DEFAULT_TAG = "latest"
PROJECT = Column("PROJECT")
NAME = Column("NAME")
STANDARD = (
    Column("TAGS", fold=True),
    Column("PUSHED", right=True),
    Column("SIZE", right=True),
    Column("PULLS", right=True),
)
WIDE = (Column("REFERENCE"), Column("DESCRIPTION", fold=True))
OF_TAGS = (
    Column("TAG"),
    Column("PUSHED", right=True),
    Column("SIZE", right=True),
    Column("ARCHITECTURE", fold=True),
    Column("SCAN", fold=True),
    Column("DIGEST"),
)
CSV_TITLES = ("project", "name", "reference", "tags", "pushedAt", "sizeBytes", "pulls")
TAG_CSV_TITLES = (
    "project",
    "name",
    "tag",
    "reference",
    "digest",
    "pushedAt",
    "sizeBytes",
    "platforms",
    "labels",
    "vulnerabilities",
)


class TagRow(msgspec.Struct, frozen=True, rename="camel"):
    """A tag of an image, as `jobman images --tags -o json` prints it.

    Sizes are in bytes, compressed. `vulnerabilities` is null where nothing was scanned.
    """

    project: str
    name: str
    tag: str
    reference: str
    digest: str
    pushed_at: str | None
    size_bytes: int
    platforms: list[str]
    labels: list[str]
    vulnerabilities: str | None


def tag_rows(images: Sequence[Image]) -> Iterator[TagRow]:
    """A row for each tag of each image."""
    for image in images:
        for tag in image.tags:
            yield TagRow(
                image.project,
                image.name,
                tag.name,
                f"{image.reference}:{tag.name}",
                tag.digest,
                tag.pushed_at,
                tag.size_bytes,
                tag.platforms,
                tag.labels,
                tag.vulnerabilities,
            )


@dataclass(frozen=True)
class Look:
    """How rows are shown: `projects` where that varies, `short` names where they suffice."""

    now: datetime
    wide: bool = False
    projects: bool = False
    short: bool = False


@dataclass(frozen=True)
class Sheet:
    """Rows in every form; those that are not asked for are never made."""

    rows: Sequence[msgspec.Struct]
    left_out: int
    columns: Sequence[Column]
    cells: Iterable[list[str]]
    names: Iterable[str]
    titles: Sequence[str]
    csv: Iterable[list[str]]


def of_images(images: Sequence[Image], look: Look, most: int | None) -> Sheet:
    """A row for each image, `most` at most."""
    rows = images[:most]
    first = [PROJECT, NAME] if look.projects else [NAME]
    return Sheet(
        rows=rows,
        left_out=len(images) - len(rows),
        columns=[*first, *STANDARD, *(WIDE if look.wide else ())],
        cells=(cells(row, look) for row in rows),
        names=(submittable(row, short=look.short) for row in rows if row.tags),
        titles=CSV_TITLES,
        csv=map(csv_cells, rows),
    )


def of_tags(images: Sequence[Image], look: Look, most: int | None) -> Sheet:
    """A row for each tag, `most` at most."""
    all_rows = list(tag_rows(images))
    rows = all_rows[:most]
    first = [PROJECT, NAME] if look.projects else [NAME]
    return Sheet(
        rows=rows,
        left_out=len(all_rows) - len(rows),
        columns=[*first, *OF_TAGS],
        cells=(tag_cells(row, look) for row in rows),
        names=(f"{row.name}:{row.tag}" if look.short else row.reference for row in rows),
        titles=TAG_CSV_TITLES,
        csv=map(tag_csv_cells, rows),
    )


def cells(image: Image, look: Look) -> list[str]:
    """The image's cells."""
    description = image.description.strip().partition("\n")[0].lstrip("# ")
    return [
        *([image.project] if look.projects else []),
        image.name,
        first_tags(image),
        pushed(image.pushed_at, look.now),
        "-" if image.size_bytes is None else format_bytes(image.size_bytes),
        str(image.pulls),
        *([image.reference, description or "-"] if look.wide else []),
    ]


def first_tags(image: Image) -> str:
    """The newest tags, and how many more there are."""
    if not image.complete:
        return "?"
    names = [tag.name for tag in image.tags]
    more = f" (+{len(names) - TAGS_SHOWN})" if len(names) > TAGS_SHOWN else ""
    return ", ".join(names[:TAGS_SHOWN]) + more or "-"


def tag_cells(row: TagRow, look: Look) -> list[str]:
    """The tag's cells; the digest whole where there is room."""
    return [
        *([row.project] if look.projects else []),
        row.name,
        row.tag,
        pushed(row.pushed_at, look.now),
        format_bytes(row.size_bytes),
        ", ".join(row.platforms) or "-",
        row.vulnerabilities or "-",
        row.digest if look.wide else row.digest[:DIGEST_SHOWN],
    ]


def pushed(moment: str | None, now: datetime) -> str:
    """How long ago; a dash for a time that is none."""
    try:
        return age(parse_rfc3339(moment) if moment else None, now)
    except ValueError:
        return "-"


def submittable(image: Image, *, short: bool) -> str:
    """What `submit -i` takes for an image that has tags; none given, it takes latest."""
    name = image.name if short else image.reference
    return name if image.tag(DEFAULT_TAG) else f"{name}:{image.tags[0].name}"


def csv_cells(image: Image) -> list[str]:
    """The cells under CSV_TITLES; tags with spaces between, null is empty."""
    tags = " ".join(tag.name for tag in image.tags)
    size = "" if image.size_bytes is None else str(image.size_bytes)
    return [
        *(image.project, image.name, image.reference, tags),
        *(image.pushed_at or "", size, str(image.pulls)),
    ]


def tag_csv_cells(row: TagRow) -> list[str]:
    """The cells under TAG_CSV_TITLES."""
    return [
        *(row.project, row.name, row.tag, row.reference, row.digest, row.pushed_at or ""),
        *(str(row.size_bytes), " ".join(row.platforms), " ".join(row.labels)),
        row.vulnerabilities or "",
    ]
