"""What a run's lease tells of the run to those who do not see its log directory. Pure."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from jobman.kube.objects import Lease

RECORD = "jobman/record"
"""Annotation of a run's lease: a `Record`, as JSON."""
_LONGEST = 8192


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """How many items there are, how many have come to which end, and where their logs are.

    `logs` is HOST:DIRECTORY; `began_at` when the run was begun, as RFC 3339; `refusal` is what
    the server says against more pods, empty where it says nothing.
    """

    items: int
    succeeded: int = 0
    failed: int = 0
    logs: str = ""
    began_at: str = ""
    refusal: str = ""

    @property
    def left(self) -> int:
        """How many items have come to no end."""
        return self.items - self.succeeded - self.failed

    @property
    def annotation(self) -> dict[str, str]:
        """As the lease has it."""
        return {RECORD: msgspec.json.encode(self).decode()}


def of_lease(lease: Lease | None) -> Record | None:
    """The lease's record; None where there is none, or none that makes sense."""
    text = lease.metadata.annotations.get(RECORD, "") if lease else ""
    if not text or len(text) > _LONGEST:
        return None
    try:
        found = msgspec.json.decode(text, type=Record)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    counts = (found.items, found.succeeded, found.failed, found.left)
    return found if min(counts) >= 0 else None


def place(directory: Path) -> str:
    """HOST:DIRECTORY, as text that may be written down."""
    name = os.fsencode(directory.absolute()).decode("utf-8", "backslashreplace")
    return f"{socket.gethostname()}:{name}"


def here(place: str) -> Path | None:
    """The directory that HOST:DIRECTORY names; None where it is none of this host."""
    host, _, directory = place.partition(":")
    of_here = host == socket.gethostname() and directory.startswith("/") and "\0" not in directory
    return Path(directory) if of_here else None
