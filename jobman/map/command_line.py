"""The command that began a run, and the one that runs again what failed of it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_AGAIN = "--retry-reason"
_FAILED = "--retry-failed"
_FLAGS = (_FAILED, "--rerun")


@dataclass(frozen=True)
class CommandLine:
    """`before` the options of `jobman map`, up to its name; `options`; the `words` behind them.

    It was given in `directory`. `stdin`: the items were read from there.
    """

    before: tuple[str, ...] = ("jobman", "map")
    options: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    stdin: bool = False
    directory: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """As it was given."""
        return (*self.before, *self.options, *self.words)

    @property
    def retry(self) -> tuple[str, ...]:
        """The same, for all items that failed; empty where the items cannot be had again."""
        if self.stdin:
            return ()
        return (*self.before, _FAILED, *self._unchosen(), *self.words)

    def again(self, reason: str) -> str:
        """For a shell: the same, for just the items that failed for this reason or cause."""
        words = (*self.before, _AGAIN, reason, *self._unchosen(), *self.words)
        told = " (with the same items on stdin)" if self.stdin else ""
        return shlex.join(words) + told

    def _unchosen(self) -> Iterator[str]:
        """The options without those that choose what is run again."""
        options = iter(self.options)
        for option in options:
            if option == _AGAIN:
                next(options, None)
            elif option not in _FLAGS and not option.startswith(f"{_AGAIN}="):
                yield option
