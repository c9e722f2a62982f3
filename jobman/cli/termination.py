"""Ctrl-C, and SIGTERM, which `timeout`, systemd and batch systems send: both end a command."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

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


def wait_for_input(stream: TextIO) -> None:
    """Until there is something to read, where that can be waited for.

    Ctrl-C ends this however early it comes: one a moment before a read is noticed by the read when
    the next key is pressed.
    """
    try:
        keys = stream.fileno()
    except OSError:  # not a file of the system
        return
    signalled, signals = os.pipe()
    os.set_blocking(signals, False)
    before = signal.set_wakeup_fd(signals, warn_on_full_buffer=False)
    try:
        while keys not in select.select([keys, signalled], [], [])[0]:
            os.read(signalled, 1)
    finally:
        signal.set_wakeup_fd(before)
        os.close(signalled)
        os.close(signals)


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
