"""One image as text to read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from jobman.cli.render.images import DIGEST_SHOWN, pushed
from jobman.cli.render.table import Column
from jobman.values.quantity import format_bytes
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.images.models import Image, Tag

COLUMNS = (
    Column("TAG"),
    Column("PUSHED", right=True),
    Column("SIZE", right=True),
    Column("PLATFORMS", fold=True),
    Column("LABELS", fold=True),
    Column("VULNERABILITIES", fold=True),
    Column("DIGEST"),
)


def write_description(app: AppContext, text: str) -> None:
    """The description: its markdown drawn on a terminal, elsewhere as it was written."""
    if not app.out_is_terminal:
        app.write(text.rstrip("\n"))
        return
    from markdown_it import MarkdownIt
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(
        file=app.out,
        width=app.width,
        color_system="auto" if app.color else None,
        markup=False,
        emoji=False,
    )
    drawn = Markdown("", hyperlinks=False)
    # rich leaves out what looks like HTML; here <data> is what somebody wrote
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    drawn.parsed = parser.parse(visible(text, newlines=True))
    console.print(drawn)


def facts(image: Image, now: datetime) -> Iterator[str]:
    """What concerns all tags."""
    yield f"Image:   {visible(image.name)}"
    yield f"Project: {visible(image.project)}"
    yield f"Pull:    {visible(newest(image))}"
    if image.tags:
        yield f"Digest:  {visible(image.tags[0].digest)}"
    yield f"Pushed:  {pushed(image.pushed_at, now)} ago" if image.pushed_at else "Pushed:  -"
    yield f"Pulls:   {image.pulls}"


def newest(image: Image) -> str:
    """The pull reference of the newest tag."""
    return f"{image.reference}:{image.tags[0].name}" if image.tags else image.reference


def cells(tag: Tag, now: datetime, *, wide: bool) -> list[str]:
    """The tag's cells under COLUMNS; the digest whole where it is `wide`."""
    return [
        tag.name,
        pushed(tag.pushed_at, now),
        format_bytes(tag.size_bytes),
        ", ".join(tag.platforms) or "-",
        ", ".join(tag.labels) or "-",
        tag.vulnerabilities or "-",
        tag.digest if wide else tag.digest[:DIGEST_SHOWN],
    ]
