"""A directory of directories that have nothing to do with each other.

ext4 puts a new directory beside the one that it is made in, and looks for its place among all that
were deleted there in the last minutes, one by one: after a thousand pods the next costs several
times as much. It can be told to scatter them over the disk instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
from pathlib import Path

# From linux/fs.h: the calls, an int in what they take for a long, and FS_TOPDIR_FL.
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_FLAGS = struct.Struct("@i4x")
_TOP_OF_HIERARCHIES = 0x00020000


def make(directory: Path) -> None:
    """Make the directory unless it is there, for its owner alone. Raises OSError.

    File systems that do not know of this place directories as they like.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            _tell(directory)


def _tell(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = _FLAGS.unpack(fcntl.ioctl(fd, _GET_FLAGS, bytes(_FLAGS.size)))
        fcntl.ioctl(fd, _SET_FLAGS, _FLAGS.pack(flags | _TOP_OF_HIERARCHIES))
    finally:
        os.close(fd)
