"""A screen that is redrawn in place until q or Ctrl-C."""

from __future__ import annotations

import io
import os
import select
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from jobman.cli.options import seconds_of
from jobman.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobman.cli.context import AppContext

Interval = Annotated[
    str,
    typer.Option(metavar="DURATION", help="With --watch: between two drawings, at least 0.1s."),
]
SHORTEST_S = 0.1
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


class _Page(io.TextIOWrapper):
    """What would go to the terminal, kept."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        """As the stream it stands in for."""
        return self._terminal

    @property
    def text(self) -> str:
        """What was written."""
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined, no-any-return]


def interval_of(text: str) -> float:
    """The seconds of --interval. Raises UsageError."""
    seconds = seconds_of("--interval", text)
    if seconds < SHORTEST_S:
        raise UsageError(f"--interval {text}: is too short; at least {SHORTEST_S:g}s")
    return seconds


def watch(app: AppContext, draw: Callable[[AppContext], object], *, interval_s: float) -> None:
    """Draw every `interval_s` seconds until q or Ctrl-C.

    `draw` writes to the context it is given, and returns a version: elsewhere than on a terminal
    a page is written only when that has changed. On a terminal the last page stays at the end.
    """
    last, version = "", object()
    with ExitStack() as stack:
        if app.out_is_terminal:
            stack.enter_context(_other_screen(app))
        try:
            while True:
                page = _Page(terminal=app.out_is_terminal)
                before, version = version, draw(replace(app, out=page))
                if app.out_is_terminal or version != before:
                    _show(app, page.text)
                last = page.text
                if _quits(app, interval_s):
                    break
        except KeyboardInterrupt:
            pass
    if app.out_is_terminal:
        app.out.write(last)


@contextmanager
def _other_screen(app: AppContext) -> Iterator[None]:
    """The terminal's second screen, its keys read one by one."""
    with ExitStack() as stack:
        if app.stdin.isatty():
            stack.enter_context(_single_keys(app))
        app.out.write(_ENTER)
        try:
            yield
        finally:
            app.out.write(_LEAVE)
            app.out.flush()


@contextmanager
def _single_keys(app: AppContext) -> Iterator[None]:
    import termios
    import tty

    descriptor = app.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _show(app: AppContext, text: str) -> None:
    if app.out_is_terminal:
        rows = shutil.get_terminal_size().lines
        lines = text.splitlines()
        shown = lines if len(lines) < rows else [*lines[: rows - 2], f"… {len(lines)} lines"]
        body = "".join(f"{line}{_REST_OF_LINE}\n" for line in shown)
        text = f"{_HOME}{body}{_REST}"
    app.out.write(text if app.out_is_terminal else f"{text}\n")
    app.out.flush()


def _quits(app: AppContext, seconds: float) -> bool:
    """Wait; whether q was pressed meanwhile."""
    if not (app.out_is_terminal and app.stdin is sys.stdin and app.stdin.isatty()):
        time.sleep(seconds)
        return False
    keys = app.stdin.fileno()
    ready, _, _ = select.select([keys], [], [], seconds)
    return bool(ready) and os.read(keys, 64)[:1] in (b"q", b"Q", b"")
