"""Ctrl-C, and SIGTERM, which `timeout`, systemd and batch systems send: both end a command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
_AGAIN_S = 0.01


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM is a KeyboardInterrupt; however that is taken, the exit code tells of it.

    A second SIGTERM ends jobman at once. Where it is ignored it stays so, and so does Ctrl-C.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _interrupt(number, frame)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if told:
            sys.exit(TERMINATED)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; not in a module that is imported, where it may be lost or change."""
    if _is_importing(frame):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
