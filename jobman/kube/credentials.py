"""Credentials that can be read again, and the plugins that hand them out.

Where a plugin fails, the kubernetes package only logs it, to the root logger, and goes on without
credentials: here that becomes an error.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobman.errors import JobmanError, UnauthorizedError


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


class Credentials:
    """How a connection says who it is; may be used by many threads at once.

    `plugin` is the kubeconfig's `exec` command, None where there is none. `read` reads them
    again, None where they cannot have changed.
    """

    def __init__(self, plugin: str | None = None, read: Callable[[], object] | None = None) -> None:
        self.plugin = plugin
        self._read = read
        self._renewals = 0
        self._lock = threading.Lock()

    @contextmanager
    def checked(self) -> Iterator[int]:
        """Nobody else uses or renews them inside; gives how often they have been renewed.

        Raises UnauthorizedError when the plugin fails inside.
        """
        logging.getLogger().addHandler(_overheard)
        with self._lock:
            _overheard.take()
            yield self._renewals
            said = _overheard.take()
        if said is not None:
            raise UnauthorizedError(
                f"the credential plugin {self.plugin or 'of the kubeconfig'} failed: {said}",
                code=401,
                reason="CredentialPlugin",
                hint="run it by hand, or log in again",
            )

    def renew(self, used: int) -> bool:
        """Read them again; False where that cannot give others.

        `used` is what `checked` gave with those that did not count: where another thread has
        renewed them since, its are there already.
        """
        if self._read is None:
            return False
        try:
            with self.checked() as renewals:
                if renewals == used:
                    self._read()
                    self._renewals += 1
        except JobmanError:
            return False
        return True
