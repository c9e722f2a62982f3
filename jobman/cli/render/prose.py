"""Sentences as lines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobman.cli.context import AppContext


def broken(app: AppContext, line: str, indent: str = "  ") -> str:
    """A line for stdout: on a terminal broken between words, else whole, to be searched."""
    if not app.out_is_terminal or len(line) <= app.width or "\n" in line:
        return line
    parts = textwrap.wrap(
        line,
        max(app.width, len(indent) + 1),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(parts)
