"""`jobman retry` of a run of `jobman map`: the command that began it, once more."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jobman.errors import ConfigError, JobmanError, UsageError
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.each import Chosen
    from jobman.map.ledger import RunFile
    from jobman.map.record import Record


def carry_out_again(app: AppContext, found: Chosen) -> NoReturn:
    """Become the command that runs again what failed of the one run that is meant.

    Raises JobmanError where its log directory, which knows the items, is not at hand.
    """
    from jobman.map import reach, record

    if found.asked != 1:
        raise UsageError("a run of jobman map is done over by itself: name nothing besides")
    if found.runs:
        run, known = found.runs[0].run, found.runs[0].record
    else:
        run = found.jobs[0].metadata.name.removeprefix("map-")
        known = record.of_lease(reach.lease_of(app.client, run))
    file = _file(run, known)
    words = [*file.retry[:1], *_globals(app), *file.retry[1:]]
    app.say(f"in {visible(file.directory)}: {shlex.join(words)}")
    try:
        os.chdir(file.directory)
    except OSError as error:
        raise JobmanError(f"{file.directory}: {error.strerror}") from error
    app.out.flush()
    app.err.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jobman", *words[1:]])


def _file(run: str, known: Record | None) -> RunFile:
    """The run.json of the run, if it lies where its runner said and tells how it was begun."""
    from jobman.map import ledger

    where = known.logs if known else "--log-dir of jobman map, ./JOBMAN by default"
    if known is not None:
        try:
            file = ledger.read(Path(known.logs.partition(":")[2]))
        except (OSError, ConfigError):
            pass
        else:
            if file.run == run and file.retry and file.directory:
                return file
    raise JobmanError(
        f"map-{run} is a run of jobman map: its items are in its log directory ({visible(where)})",
        hint="there the command that began it, with one option more, does the failed items again:"
        " jobman map … --retry-failed",
    )


def _globals(app: AppContext) -> list[str]:
    """The cluster that was named now; what the command itself names comes behind it."""
    options = app.options
    words = ["-s", str(options.settings.absolute())] if options.settings is not None else []
    words += ["--context", options.context] if options.context is not None else []
    return [*words, *(["--local"] if options.local else [])]
