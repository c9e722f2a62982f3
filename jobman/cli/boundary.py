"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from jobman.cli.context import AppContext
from jobman.errors import JobmanError

INTERRUPTED = 130
CLOSED_PIPE = 141
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def error_boundary(app: AppContext) -> Iterator[None]:
    """Turn what goes wrong inside into `error:` and `hint:` on stderr and the right exit code.

    JOBMAN_DEBUG=1 lets the traceback through.
    """
    try:
        yield
        app.out.flush()
    except BrokenPipeError:
        _abandon_stdout()
        raise typer.Exit(CLOSED_PIPE) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except JobmanError as error:
        if os.environ.get("JOBMAN_DEBUG") == "1":
            raise
        _report(app, error.message, error.hint)
        raise typer.Exit(error.exit_code) from error
    except OSError as error:
        if os.environ.get("JOBMAN_DEBUG") == "1":
            raise
        raise typer.Exit(tell_os_error(app, error)) from error


def tell_os_error(app: AppContext, error: OSError) -> int:
    """Say what the system refused; the exit code."""
    _report(app, _os_error_text(error), None)
    if _is_of_output(error):
        _abandon_stdout()
    return 1


def _report(app: AppContext, message: str, hint: str | None) -> None:
    app.say(f"error: {message}")
    if hint:
        app.say(f"hint: {hint}")


def _os_error_text(error: OSError) -> str:
    """What the system said, with the file it is about (a full disk, a missing right)."""
    what = error.strerror or str(error)
    if error.filename:
        return f"{error.filename}: {what}"
    return f"writing the output: {what}" if _is_of_output(error) else what


def _is_of_output(error: OSError) -> bool:
    """Whether what took no more was stdout: all other files have names."""
    return error.filename is None and error.errno in _NO_ROOM


def _abandon_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush stays silent."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
