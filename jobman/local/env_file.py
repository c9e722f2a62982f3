"""Env files, in which one container leaves variables for the next: `NAME='value'` a line."""

from __future__ import annotations

import re

# Blank, a comment, NAME='value' (over several lines too), or `NAME= …`, which is empty as in a
# shell.
_LINE = re.compile(
    r"[ \t]*"
    r"(?:(?P<name>[^\s=#][^\s=]*)=(?:'(?P<value>[^']*)'|(?=[ \t])[^\n]*))?"
    r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)"
)


def find(text: str, name: str) -> str | None:
    """The value of the first line that sets `name`. Raises ValueError for lines of another form.

    As a kubelet does, nothing behind that line is looked at.
    """
    at = 0
    while at < len(text):
        line = _LINE.match(text, at)
        if line is None:
            number = text.count("\n", 0, at) + 1
            raise ValueError(f"invalid environment variable format at line {number}")
        if line["name"] == name:
            return line["value"] or ""
        at = line.end()
    return None
