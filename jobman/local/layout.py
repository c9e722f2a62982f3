"""The files in a container's directory, and what is said to and by its holder (see shim.py)."""

from __future__ import annotations

CTL = "ctl"
CLAIM = "claim"
LOG = "log"
EXIT = "exit"

# Commands, written to the FIFO.
TERMINATE = b"T"
KILL = b"K"

# What a holder says to the daemon: a word, a blank, and more where it says so.
STARTED = b"started"  # when: nanoseconds since 1970
ENDED = b"ended"  # it never ran, and the exit file says why
CLAIMED = b"claimed"  # another holder has, or had, this container
FAILED = b"failed"  # nothing was started, and why
IDLE = b"idle"  # the container is over, and the next may come
