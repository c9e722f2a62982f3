"""The log directory, which is the run: what has a log is done.

- run.json: the run's id, what it runs, its settings, totals, attempts and times; its owner's alone
- NAME.log: the log of an item that succeeded, whole
- NAME.err: that of one that failed, or what is known of it
- failed.csv: the failed items with their parameters, reason and exit code
- .attempts-N: how often each item was begun since run.json was written
- .failures: how each .err came about
- .partial/: logs on their way, those of each runner apart
"""

from __future__ import annotations

import csv
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec

from jobman import __version__
from jobman.errors import ConfigError, UsageError
from jobman.map.attempts import Attempts
from jobman.map.outcome import Outcome
from jobman.values.files import create_file, replace_file
from jobman.values.names import random_suffix

RUN_ID_LENGTH = 8
FAILED_SHARE = 50
"""failed.csv is written anew after so many times as long as it took."""


class Totals(msgspec.Struct, rename="camel"):
    """How many items there are, and how many have come to which end."""

    items: int = 0
    succeeded: int = 0
    failed: int = 0


class Source(msgspec.Struct, frozen=True):
    """What a run runs: `items` and `template` are digests, `count` the number of items."""

    count: int
    items: str
    template: str
    namespace: str


class RunFile(msgspec.Struct, rename="camel", kw_only=True):
    """run.json."""

    run: str
    source: Source
    template: Any = None
    server: str = ""
    version: str = __version__
    command: list[str] = []
    retry: list[str] = []
    """The command that runs again what failed; empty where the items came from stdin."""
    directory: str = ""
    """Where the command was given."""
    settings: dict[str, Any] = {}
    totals: Totals = msgspec.field(default_factory=Totals)
    attempts: dict[str, str] = {}
    """Item indexes by how often they were begun."""
    journal: int = 0
    """The number of the file that the attempts go on in."""
    incomplete_logs: list[str] = []
    rerun: bool = False
    """Everything is to be run again, and the old logs are not all gone yet."""
    started_at: str = ""
    updated_at: str = ""
    finished_at: str | None = None


class Ledger:
    """One run's directory; files are written by many threads, everything else by one."""

    def __init__(self, directory: Path, file: RunFile) -> None:
        self.directory = directory
        self.file = file
        self.attempts = Attempts(directory, file.source.count)
        self._partial = directory / ".partial" / new_run_id()
        self._failures = directory / ".failures"
        self._writing = threading.Lock()
        self._incomplete = set(file.incomplete_logs)
        self._failed_again_at = float("-inf")

    @classmethod
    def open(cls, directory: Path, fresh: RunFile) -> Ledger:
        """The run that the directory holds, or `fresh` as a new one.

        Raises UsageError where the directory holds a run of something else that has begun an
        item, ConfigError where its run.json cannot be read.
        """
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "run.json"
        fresh.started_at = fresh.updated_at = _now()
        try:
            create_file(path, _encoded(fresh))
        except FileExistsError:
            found = read(directory)
            refuse_another(found, fresh, directory)
            return cls(directory, found)
        return cls(directory, fresh)

    @property
    def run(self) -> str:
        """The run's id."""
        return self.file.run

    def take_up(self, fresh: RunFile) -> None:
        """Read what the last runner left; nobody else may be at work."""
        found = read(self.directory)
        refuse_another(found, fresh, self.directory)
        if found.source != fresh.source:
            found.source, found.template, found.totals = fresh.source, fresh.template, Totals()
            self.attempts = Attempts(self.directory, fresh.source.count)
        found.settings, found.server = fresh.settings, fresh.server
        found.command, found.retry = fresh.command, fresh.retry
        found.directory = fresh.directory
        found.version, found.finished_at = fresh.version, None
        self.file = found
        self._incomplete = set(found.incomplete_logs)
        self.attempts.load(found.journal, found.attempts)
        shutil.rmtree(self._partial.parent, ignore_errors=True)
        self._partial.mkdir(parents=True)
        _end_line(self._failures)

    def outcome_on_disk(self, name: str) -> bool | None:
        """Whether the item succeeded; None where neither a log nor an error is there."""
        if os.path.exists(self._path(name, True)):  # noqa: PTH110 - a million of these
            self._path(name, False).unlink(missing_ok=True)
            return True
        return False if os.path.exists(self._path(name, False)) else None  # noqa: PTH110

    def ended(self) -> set[int]:
        """The hashes of the names that have a log or an error.

        To look for each of a million names on the disk would take half a minute.
        """
        with os.scandir(self.directory) as entries:
            names = (entry.name for entry in entries)
            return {hash(name[:-4]) for name in names if name.endswith((".log", ".err"))}

    def begin_anew(self) -> None:
        """Everything is to be run again; what is there goes before anything begins."""
        self.file.rerun = True
        self._replace()

    def cleared(self) -> None:
        """What was there is gone."""
        self.file.rerun = False
        self._failures.unlink(missing_ok=True)
        self._incomplete.clear()
        self._replace()

    def _replace(self) -> None:
        replace_file(self.directory / "run.json", _encoded(self.file))

    def forget(self, name: str) -> None:
        """Remove the item's logs."""
        self._path(name, True).unlink(missing_ok=True)
        self._path(name, False).unlink(missing_ok=True)

    def partial(self, index: int, attempt: int) -> Path:
        """Where the log of an attempt at an item grows."""
        return self._partial / f"{index}.{attempt}"

    def keep(self, outcome: Outcome, partial: Path) -> None:
        """Put a log that is whole in its place, durably; the pod may go then."""
        if not outcome.succeeded:
            self.note_failure(outcome)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self._path(outcome.name, outcome.succeeded))
        self._path(outcome.name, not outcome.succeeded).unlink(missing_ok=True)
        self._sync_directory()
        with self._writing:
            for succeeded in (True, False):
                self._incomplete.discard(self._path(outcome.name, succeeded).name)
            if outcome.incomplete:
                self._incomplete.add(self._path(outcome.name, outcome.succeeded).name)

    def note_failure(self, outcome: Outcome) -> None:
        """Remember how an item comes to its .err."""
        line = msgspec.json.encode(outcome) + b"\n"
        with self._writing, self._failures.open("ab") as file:
            file.write(line)

    def failures(self) -> Iterator[Outcome]:
        """How each item that has an .err came to it, by index."""
        places = {outcome.index: place for place, outcome in self._noted()}
        if not places:
            return
        with self._failures.open("rb") as file:
            for index in sorted(places):
                file.seek(places[index])
                outcome = msgspec.json.decode(file.readline(), type=Outcome)
                if self._path(outcome.name, False).exists():
                    yield outcome

    def write(self, totals: Totals, *, finished: bool = False, last: bool = True) -> None:
        """Replace run.json, and failed.csv; of very many failures not each time, but the `last`."""
        self.file.totals = totals
        self.file.attempts = self.attempts.fold()
        self.file.journal = self.attempts.number
        with self._writing:
            self.file.incomplete_logs = sorted(self._incomplete)
        self.file.updated_at = _now()
        self.file.finished_at = self.file.updated_at if finished else None
        self._replace()
        self.attempts.forget_older()
        if last or time.monotonic() >= self._failed_again_at:
            began = time.monotonic()
            self._write_failed()
            now = time.monotonic()
            self._failed_again_at = now + FAILED_SHARE * (now - began)

    def close(self) -> None:
        """Nothing more is written."""
        self.attempts.close()
        shutil.rmtree(self._partial, ignore_errors=True)

    def _path(self, name: str, succeeded: bool) -> Path:
        return self.directory / f"{name}.{'log' if succeeded else 'err'}"

    def _noted(self) -> Iterator[tuple[int, Outcome]]:
        """Each failure that was noted, and where; a line that was never finished is none."""
        place = 0
        try:
            with self._failures.open("rb") as file:
                for line in file:
                    with suppress(msgspec.DecodeError, UnicodeError):
                        yield place, msgspec.json.decode(line, type=Outcome)
                    place += len(line)
        except FileNotFoundError:
            return

    def _write_failed(self) -> None:
        """Row by row: there may be as many as items."""
        path, aside = self.directory / "failed.csv", self._partial / "failed.csv"
        if not self._failures.exists() and not path.exists():
            return
        named = list(dict.fromkeys(key for _, outcome in self._noted() for key in outcome.values))
        with aside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            write_failed(file, named, self.failures())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_failed(file: TextIO, named: list[str], failures: Iterable[Outcome]) -> None:
    """The failed items as CSV: index, name, the item or its `named` values, and what happened."""
    tail = ("reason", "exit_code", "node", "attempts", "message", "last_line")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["index", "name", *(named or ["item"]), *tail])
    for outcome in failures:
        item = [outcome.values.get(key, "") for key in named] or [outcome.item]
        what = [getattr(outcome, key) for key in tail]
        writer.writerow([outcome.index, outcome.name, *item, *what])


def _end_line(path: Path) -> None:
    """See that what is appended begins a line of its own."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")


def known_run(directory: Path) -> str | None:
    """The id of the run that the directory holds; None where there is none."""
    return read(directory).run if (directory / "run.json").exists() else None


def outcomes(directory: Path) -> tuple[int, int]:
    """How many logs there are of items that succeeded, and how many of ones that failed."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries]
    logs = {name[:-4] for name in names if name.endswith(".log")}
    errors = {name[:-4] for name in names if name.endswith(".err")}
    return len(logs), len(errors - logs)


def new_run_id() -> str:
    """A random one, fit for a label and for the names of pods."""
    return random_suffix(RUN_ID_LENGTH)


def read(directory: Path, content: Callable[[Path], bytes] = Path.read_bytes) -> RunFile:
    """What run.json says, as `content` reads it.

    Raises OSError where there is none, ConfigError where it makes no sense.
    """
    path = directory / "run.json"
    try:
        return msgspec.json.decode(content(path), type=RunFile)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}",
            hint="name another --log-dir, or move this one away",
        ) from error


def refuse_another(found: RunFile, wanted: RunFile, directory: Path) -> None:
    """Raise UsageError where the directory holds a run of something else than what is wanted.

    One that never began an item, its template refused say, may be followed by any other.
    """
    differences = difference(found, wanted)
    if differences and _has_begun(found, directory):
        raise UsageError(
            f"{directory} holds another run ({found.run}, begun {found.started_at}):\n"
            + "\n".join(f"  {line}" for line in differences),
            hint="name another --log-dir for this one, or remove that directory if it is"
            " no longer needed",
        )


def _has_begun(run: RunFile, directory: Path) -> bool:
    attempts = Attempts(directory, run.source.count)
    attempts.load(run.journal, run.attempts)
    ended = (path for path in directory.iterdir() if path.suffix in (".log", ".err"))
    return any(attempts.counts) or next(ended, None) is not None


def difference(found: RunFile, wanted: RunFile) -> list[str]:
    """What the run in the directory does not have in common with the one that is wanted."""
    there, here = found.source, wanted.source
    lines = []
    if there.namespace != here.namespace:
        lines.append(f"namespace: {there.namespace} there, {here.namespace} here")
    if there.count != here.count:
        lines.append(f"items: {there.count} there, {here.count} here")
    elif there.items != here.items:
        lines.append(f"items: {here.count} in both, but not the same ones")
    if there.template != here.template:
        lines += _template_difference(found.template, wanted.template)
    return lines


def _template_difference(there: Any, here: Any) -> list[str]:
    found = list(_different_paths(there, here, ""))
    return [f"template {line}" for line in found[:10]] or ["template: not the same"]


def _different_paths(there: Any, here: Any, path: str) -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in dict.fromkeys([*there, *here]):
            yield from _different_paths(there.get(key), here.get(key), f"{path}.{key}")
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, (old, new) in enumerate(zip(there, here, strict=True)):
            yield from _different_paths(old, new, f"{path}[{number}]")
    elif there != here:
        yield f"{path.lstrip('.') or 'itself'}: {_short(there)} there, {_short(here)} here"


def _short(value: Any) -> str:
    text = "nothing" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= 100 else text[:99] + "…"


def _encoded(file: RunFile) -> bytes:
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
