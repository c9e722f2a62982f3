"""The directories of containers, the files there, and what is said to and by their holders."""

from __future__ import annotations

# Each run of a container has a directory in its pod's: NAME.NUMBER. The pod's volumes are beside
# them in one without a dot, which is in no container's name.
RUN_DIRECTORIES = "*.*"

CTL = "ctl"
CLAIM = "claim"
LOG = "log"
EXIT = "exit"

# Commands, written to the FIFO.
TERMINATE = b"T"
KILL = b"K"

# What a holder says to the daemon: a word, a blank, and more where it says so. STARTED is followed
# by ENDED or LAST; what never ran has ended without.
STARTED = b"started"  # when: nanoseconds since 1970
CLAIMED = b"claimed"  # another holder has, or had, this container
FAILED = b"failed"  # nothing was started, and why
ENDED = b"ended"  # the text of the exit file, if it is short; the next container may come
LAST = b"last"  # the same, and no container may come


def run_directory(container: str, number: int) -> str:
    """The name of the directory of a container's run."""
    return f"{container}.{number}"


def run_of(directory: str) -> tuple[str, int]:
    """Of which container it is the directory, and of which run."""
    container, _, number = directory.partition(".")
    return container, int(number)
