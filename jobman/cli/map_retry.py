"""`jobman retry` of a run of `jobman map`: the command that began it, once more."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from jobman.errors import ConfigError, JobmanError, UsageError
from jobman.values.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobman.cli.context import AppContext
    from jobman.cli.each import Chosen
    from jobman.map.ledger import RunFile
    from jobman.map.record import Record

_BY_HAND = (
    "there the command that began it, with one option more, does the failed items again:"
    " jobman map … --retry-failed"
)


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
    words = [*file.retry[:1], *_globals(app, file.retry), *file.retry[1:]]
    app.say(f"in {visible(file.directory)}: {shlex.join(words)}")
    try:
        os.chdir(file.directory)
    except OSError as error:
        raise JobmanError(f"{file.directory}: {error.strerror}") from error
    app.out.flush()
    app.err.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "jobman", *words[1:]])


def _file(run: str, known: Record | None) -> RunFile:
    """The run.json of the run, if it lies where its runner said and tells how it was begun.

    The place is what a Lease says, which others may have written, and the words are executed:
    they count where nobody but the caller can have put them there.
    """
    from jobman.map import ledger, record
    from jobman.values.files import read_own

    if known is None:
        raise _out_of_reach(run, "--log-dir of jobman map, ./JOBMAN by default")
    if (directory := record.here(known.logs)) is None:
        raise JobmanError(
            f"map-{run} is a run of jobman map, but not of this host: its items are in its log"
            f" directory there ({visible(known.logs)})",
            hint=f"on that host `jobman retry map-{run}` does it; or {_BY_HAND}",
        )
    try:
        file = ledger.read(directory, read_own)
    except PermissionError as error:
        raise JobmanError(
            f"the command that began map-{run} is not carried out again:"
            f" {error.filename}: {error.strerror}",
            hint=f"only a run.json of your own, in a directory of your own, is trusted; {_BY_HAND}",
        ) from error
    except (OSError, ConfigError):
        raise _out_of_reach(run, visible(known.logs)) from None
    if file.run != run or not file.directory or not _is_of_map(file.retry):
        raise _out_of_reach(run, visible(known.logs))
    return file


def _out_of_reach(run: str, where: str) -> JobmanError:
    return JobmanError(
        f"map-{run} is a run of jobman map: its items are in its log directory ({where})",
        hint=_BY_HAND,
    )


def _is_of_map(words: Sequence[str]) -> bool:
    """Whether it is a `jobman map`, whatever global options stand before `map`."""
    import typer

    from jobman.cli.app import application

    root: Any = typer.main.get_command(application(["map"]))
    context = root.context_class(root, resilient_parsing=True)
    _, rest, _ = root.make_parser(context).parse_args(list(words[1:]))
    return list(rest[:1]) == ["map"]


def _globals(app: AppContext, began: Sequence[str]) -> list[str]:
    """The cluster that was named now; what the command itself names comes behind it."""
    options = app.options
    words = ["-s", str(options.settings.absolute())] if options.settings is not None else []
    words += ["--context", options.context] if options.context is not None else []
    # said once that no cluster is named, it need not be said again
    local = options.local or app.client.connection.by_default
    local = local and "--local" not in began[: began.index("map")]
    return [*words, *(["--local"] if local else [])]
