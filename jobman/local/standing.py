"""How a session stands to others on a busy core, where the kernel weighs by session (autogroup).

Standard library only.
"""

from __future__ import annotations

import os

_PATH = "/proc/self/autogroup"
# A tenth of the weight of a session that asks for nothing.
_BACK, _FORWARD = b"10", b"0"


class Standing:
    """Of this process, the leader of its session.

    The kernel grants few such wishes at a time, so they are to be told again and again.
    """

    def __init__(self) -> None:
        self._is_back = False

    def back(self) -> None:
        """Let others go first: what this process has to do can wait."""
        if not self._is_back:
            self._is_back = _granted(_BACK)

    def forward(self) -> None:
        """Somebody waits for this process: it takes its full share."""
        if self._is_back:
            self._is_back = not _granted(_FORWARD)


def _granted(nice: bytes) -> bool:
    try:
        fd = os.open(_PATH, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:  # sessions are not weighed here
        return True
    try:
        os.write(fd, nice)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
