"""SIGTERM, which `timeout`, systemd and batch systems send, ends a command as Ctrl-C does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TERMINATED = 128 + signal.SIGTERM


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM is a KeyboardInterrupt; however that is taken, the exit code tells of it.

    A second SIGTERM ends jobman at once. Where it is ignored it stays so.
    """
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    told = False

    def end(*_: object) -> None:
        nonlocal told
        told = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if told:
            sys.exit(TERMINATED)
