"""Credentials that a program hands out: its failure becomes an error.

The kubernetes package only logs it, to the root logger, and goes on without credentials.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from jobman.errors import UnauthorizedError


class _Overheard(logging.Handler):
    """Keeps, per thread, the last error that was logged to the root logger.

    Being there, it also keeps Python from printing the libraries' own warnings on stderr.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "root" and record.levelno >= logging.ERROR:
            self._kept.text = record.getMessage()

    def take(self) -> str | None:
        text: str | None = getattr(self._kept, "text", None)
        self._kept.text = None
        return text


_overheard = _Overheard()


class CredentialPlugin:
    """The `exec` of a kubeconfig's user; `command` is None where there is none."""

    def __init__(self, command: str | None = None) -> None:
        self.command = command

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Raise UnauthorizedError when the plugin fails inside."""
        logging.getLogger().addHandler(_overheard)
        _overheard.take()
        yield
        said = _overheard.take()
        if said is not None:
            raise UnauthorizedError(
                f"the credential plugin {self.command or 'of the kubeconfig'} failed: {said}",
                code=401,
                reason="CredentialPlugin",
                hint="run it by hand, or log in again",
            )
