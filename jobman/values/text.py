"""Foreign text made safe to show."""

from __future__ import annotations

import unicodedata


def visible(text: str, *, newlines: bool = False, limit: int | None = None) -> str:
    r"""`text` with its control characters shown as escapes (`\x1b`), cut to `limit` characters.

    Newlines stay when `newlines`; tabs always become escapes, so that columns hold.
    """
    if limit is not None and len(text) > limit:
        text = text[: max(limit - 1, 0)] + "…"
    if text.isprintable():
        return text
    return "".join(
        char if (newlines and char == "\n") or not _is_control(char) else _escape(char)
        for char in text
    )


def is_utf8(text: str) -> bool:
    """Whether the text can be written as UTF-8: words of a command line may be other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_control(char: str) -> bool:
    """C0, C1, line separators, surrogates, and the format characters that reorder text."""
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
