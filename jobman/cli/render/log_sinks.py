"""Where the bytes of logs go: stdout as they are, stdout with prefixes, or files."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from jobman.errors import UsageError
from jobman.values.names import random_suffix
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.logs import Sink
    from jobman.jobs.pods import PodView

COLORS = (36, 33, 32, 35, 34, 31)
"""The terminal's own colours, one pod after the other."""
RESET = b"\x1b[0m"
INCOMPLETE = ".incomplete"


class Finished(NamedTuple):
    """The files that are there now; `failed`: why others are not, by the name they still have."""

    files: list[Path]
    failed: dict[Path, str]


class Target(Protocol):
    """Where the logs of several pods go."""

    def sink(self, pod: PodView, /) -> Sink:
        """The place of one pod's log."""

    def finish(self, lacking: Collection[str], whole: bool, /) -> Finished:
        """All is written, though not of the pods in `lacking`."""

    def discard(self) -> None:
        """Leave nothing unfinished behind; to be called unless that is all there is."""


class Stdout:
    """One log after the other, unchanged."""

    def __init__(self, app: AppContext) -> None:
        from jobman.cli.render.forms import binary

        self._out = binary(app)

    def sink(self, _pod: PodView, /) -> Sink:
        """Stdout itself."""
        return self._out

    def finish(self, _lacking: Collection[str], _whole: bool, /) -> Finished:
        """Nothing to do."""
        return Finished([], {})

    def discard(self) -> None:
        """Nothing to do."""


class Prefixed:
    """Each line behind the `[pod/index] ` that wrote it; the lines of all pods as they come."""

    def __init__(self, app: AppContext) -> None:
        from jobman.cli.render.forms import binary

        self._out = binary(app)
        self._color = app.color
        self._lock = Lock()
        self._sinks: list[_Lines] = []

    def sink(self, pod: PodView, /) -> Sink:
        """A sink that writes whole lines."""
        number = len(self._sinks)
        color = COLORS[number % len(COLORS)] if self._color else None
        self._sinks.append(_Lines(self._out, prefix(pod, color), self._lock))
        return self._sinks[-1]

    def finish(self, _lacking: Collection[str], _whole: bool, /) -> Finished:
        """Write the lines that lack an end."""
        for sink in self._sinks:
            sink.end()
        return Finished([], {})

    def discard(self) -> None:
        """Let nothing more be written: no thread may be at it when the process ends."""
        self._lock.acquire(timeout=1)


def prefix(pod: PodView, color: int | None) -> bytes:
    """`[pod/index] `, without the index for a pod that has none."""
    index = "" if pod.index is None else f"/{pod.index}"
    text = visible(f"[{pod.name}{index}]").encode()
    return text + b" " if color is None else b"\x1b[%dm%s%s " % (color, text, RESET)


class _Lines:
    """Whole lines behind a prefix; a line without an end is kept back until it has one."""

    def __init__(self, out: BinaryIO, head: bytes, lock: Any) -> None:
        self._out = out
        self._head = head
        self._lock = lock
        self._rest: list[bytes] = []

    def write(self, data: bytes) -> None:
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            lines = b"".join([*self._rest, whole]).split(b"\n")
            with self._lock:
                self._out.write(b"".join(self._head + line + b"\n" for line in lines))
            self._rest = []
        if rest:
            self._rest.append(rest)

    def flush(self) -> None:
        self._out.flush()

    def end(self) -> None:
        if self._rest:
            self.write(b"\n")
        self.flush()


class OneFile:
    """All logs in one file, which is there when they are whole.

    What lacks something goes by the name with `.incomplete` behind it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside, self._file = _open_aside(path)

    def sink(self, _pod: PodView, /) -> Sink:
        """The file, under another name yet."""
        return self._file

    def finish(self, _lacking: Collection[str], whole: bool, /) -> Finished:
        """Give the file its name."""
        return _named([(self._aside, self._file, _final(self._path, whole))])

    def discard(self) -> None:
        """Take away what did not get its name."""
        _close(self._aside, self._file)


class Directory:
    """A file `POD.log` for each pod."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._open: dict[str, tuple[Path, BinaryIO]] = {}

    def sink(self, pod: PodView, /) -> Sink:
        """The pod's file."""
        self._open[pod.name] = _open_aside(self._path / f"{pod.name}.log")
        return self._open[pod.name][1]

    def finish(self, lacking: Collection[str], _whole: bool, /) -> Finished:
        """Give the files their names, each as far as it can have its own."""
        return _named(
            (*opened, _final(self._path / f"{pod}.log", pod not in lacking))
            for pod, opened in self._open.items()
        )

    def discard(self) -> None:
        """Take away what did not get its name."""
        for opened in self._open.values():
            _close(*opened)


def save_to(place: str) -> OneFile | Directory:
    """A directory where one is there or meant by a `/` at the end, else a file."""
    path = Path(place)
    try:
        if place.endswith("/") or path.is_dir():
            return Directory(path)
        if path.exists() and not path.is_file():
            raise UsageError(
                f"--save {visible(place)}: is no plain file, which a log would replace",
                hint="without --save the log goes to stdout, and a shell's > takes it anywhere",
            )
        return OneFile(_target(path) if path.is_symlink() else path)
    except OSError as error:
        raise UsageError(f"--save {visible(place)}: {error.strerror}") from error


def _target(link: Path) -> Path:
    found = Path(os.path.realpath(link))
    if found.is_symlink():  # one of links that lead to each other
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return found


def _open_aside(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `path`, with the rights of any new file."""
    aside = path.with_name(f".{path.name}.{random_suffix(8)}")
    return aside, aside.open("xb")


def _final(path: Path, whole: bool) -> Path:
    return path if whole else path.with_name(path.name + INCOMPLETE)


def _named(opened: Iterable[tuple[Path, BinaryIO, Path]]) -> Finished:
    """Give each file, open under a name yet, its final one."""
    done = Finished([], {})
    for aside, file, final in opened:
        try:
            with file:
                file.flush()
                os.fsync(file.fileno())
            aside.replace(final)
        except OSError as error:
            done.failed[aside] = f"{final} cannot be written: {error.strerror}"
        else:
            done.files.append(final)
    return done


def _close(aside: Path, file: BinaryIO) -> None:
    with suppress(OSError):
        file.close()
    aside.unlink(missing_ok=True)
