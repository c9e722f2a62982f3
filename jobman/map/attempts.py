"""How often each item was begun, on disk before it is: a journal, folded into run.json."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from jobman.errors import ConfigError
from jobman.map import ranges

MOST = 255
"""What is counted at most."""
_PREFIX = ".attempts-"


class Attempts:
    """Counts by item, each raised durably before its pod is created.

    run.json holds the counts as of its writing and the number of the journal that goes on from
    there: a line per attempt, `+INDEX` when it is about to begin, `-INDEX` when the server
    refused it, so that it never began.
    """

    def __init__(self, directory: Path, count: int) -> None:
        self.counts = bytearray(count)
        self.number = 0
        self._directory = directory
        self._journal: int | None = None

    def load(self, number: int, folded: Mapping[str, str]) -> None:
        """Take up where run.json and its journal stand; ConfigError where they make no sense."""
        self.number = number
        path = self._path(number)
        try:
            for count, where in folded.items():
                for first, last in ranges.parse(where):
                    self._spread(int(count), first, last)
            for line in _whole_lines(path):
                self._add(int(line), 1 if line[:1] == b"+" else -1)
        except (ValueError, IndexError) as error:
            raise ConfigError(
                f"{path}: the count of attempts cannot be read: {error}",
                hint="name another --log-dir, or move this one away",
            ) from error

    def _spread(self, count: int, first: int, last: int) -> None:
        if last >= len(self.counts):
            raise IndexError(f"there is no item {last}")
        self.counts[first : last + 1] = bytes([min(count, MOST)]) * (last + 1 - first)

    def _add(self, signed: int, change: int) -> None:
        index = abs(signed)
        self.counts[index] = min(max(self.counts[index] + change, 0), MOST)

    def begin(self, indexes: Iterable[int]) -> None:
        """These items are about to be created; returns when that is on disk."""
        lines = []
        for index in indexes:
            self._add(index, 1)
            lines.append(b"+%d\n" % index)
        self._append(b"".join(lines))
        os.fdatasync(self._opened())

    def never_began(self, index: int) -> None:
        """The server refused the creation."""
        self._add(index, -1)
        self._append(b"-%d\n" % index)

    def fold(self) -> dict[str, str]:
        """The counts as run.json has them; a new journal begins, the old one is kept for now."""
        self.close()
        self.number += 1
        self._opened()
        found = ranges.by_value(self.counts)
        return {str(count): where for count, where in found.items()}

    def forget_older(self) -> None:
        """Delete the journals that run.json no longer needs."""
        current = self._path(self.number)
        for path in self._directory.glob(f"{_PREFIX}*"):
            if path != current:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None

    def _append(self, lines: bytes) -> None:
        """One write: a process killed meanwhile leaves whole lines, or a torn last one."""
        left = memoryview(lines)
        while left:
            left = left[os.write(self._opened(), left) :]

    def _opened(self) -> int:
        if self._journal is None:
            path = self._path(self.number)
            _drop_torn_line(path)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._journal = os.open(path, flags, 0o644)
        return self._journal

    def _path(self, number: int) -> Path:
        return self._directory / f"{_PREFIX}{number}"


def _whole_lines(path: Path) -> list[bytes]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    return text[: text.rfind(b"\n") + 1].splitlines()


def _drop_torn_line(path: Path) -> None:
    """A line that a killed process left unfinished was never acted on."""
    try:
        with path.open("r+b") as file:
            text = file.read()
            file.truncate(text.rfind(b"\n") + 1)
    except FileNotFoundError:
        return
