"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
import stat
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


def read_own(path: Path) -> bytes:
    """The content of a file that nobody but the caller can have written.

    The file and its directory are the caller's, the file is a plain one that none but the caller
    may write to, and not everybody may write to the directory. Raises PermissionError that says
    what is not so, OSError where it cannot be read.
    """
    _check_own(path.parent, path.parent.stat(), 0o002)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        _check_own(path, facts, 0o022)
        if not stat.S_ISREG(facts.st_mode):
            raise PermissionError(errno.EPERM, "is no plain file", str(path))
        return file.read()


def _check_own(path: Path, facts: os.stat_result, others_write: int) -> None:
    if facts.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", str(path))
    if facts.st_mode & others_write:
        raise PermissionError(errno.EPERM, "can be written by others", str(path))


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
