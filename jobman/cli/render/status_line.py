"""One line on stderr that says what is being waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.pods import PodView
    from jobman.jobs.state import JobView

ERASE = "\r\x1b[K"
MESSAGE_LIMIT = 300


class StatusLine:
    """A terminal's line is rewritten; elsewhere each change is a line of its own."""

    def __init__(self, app: AppContext) -> None:
        self._app = app
        self._shown = ""

    def show(self, text: str) -> None:
        """Say `text`, unless it was what was said last."""
        if text == self._shown:
            return
        if self._app.err_is_terminal:
            self._app.err.write(ERASE + cut(text, max(self._app.width - 1, 1)))
            self._app.err.flush()
        elif text:
            self._app.say(text)
        self._shown = text

    def clear(self) -> None:
        """Take the line away from a terminal."""
        if self._app.err_is_terminal:
            self.show("")


def describe(view: JobView | PodView) -> str:
    """State, reason and message in one line."""
    reason = f"{view.state}: {view.reason}" if view.reason else str(view.state)
    text = f"{reason}: {view.message}" if view.message else reason
    return visible(" ".join(text.split()), limit=MESSAGE_LIMIT)


def cut(text: str, width: int) -> str:
    """As many whole words as fit, for half a number is a wrong one; of one long word its head."""
    if len(text) <= width:
        return text
    head, _, _ = text[: width - 1].rpartition(" ")
    return f"{head} …" if head else text[: width - 1] + "…"
