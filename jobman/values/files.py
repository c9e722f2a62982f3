"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` as `path`: aside, synced, then renamed over it.

    Missing directories are made for the owner alone. Raises OSError, the old file untouched.
    """
    with _aside(path, data, mode) as aside:
        aside.replace(path)


def create_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` as the new file `path`: aside, synced, then linked to its name.

    Missing directories are made for the owner alone. Raises FileExistsError and leaves what is
    there as it is; OSError where it cannot be written.
    """
    with _aside(path, data, mode) as aside:
        path.hardlink_to(aside)


@contextmanager
def _aside(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A synced file of another name beside `path`, gone at the end unless it was renamed."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(mode)
        yield aside
    finally:
        aside.unlink(missing_ok=True)
